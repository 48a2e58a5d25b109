package runs_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

func TestWorkersAreListedWithWhatTheyHave(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Degraded)
	s.Fake.AllRuns = []run.Run{r}
	s.Fake.AllWorkers = []run.Worker{
		{Rank: 0, NodeName: "n0", State: run.WorkerRunning, GPUs: []run.GPU{{Model: "nvidia/gpu/A100"}, {Model: "nvidia/gpu/A100"}}, StartedAt: webtest.Now},
		{Rank: 1, NodeName: "n1", State: run.WorkerFailed, Exited: true, ExitCode: 137, Signal: 9},
		{Rank: 2, NodeName: "n2", State: run.WorkerFailed, Exited: true, ExitCode: 137, OOM: true},
		{Rank: 3, NodeName: "n3", State: run.WorkerFailed, Exited: true, ExitCode: 1, Report: run.ExitReport{ExitCode: 7}},
		{Rank: 4, NodeName: "n4", State: run.WorkerFailed, Exited: true, ExitCode: 1, Report: run.ExitReport{Signal: 9}},
		{Rank: 5, NodeName: "n5", State: run.WorkerComplete, Stopping: true, Exited: true, ExitCode: 1},
	}
	a := s.Get("/runs/"+string(r.ID)+"/workers", 200)
	cell := func(rank, n int) string {
		return a.Text(t, fmt.Sprintf(`tr[data-worker-rank="%d"] > :nth-child(%d)`, rank, n))
	}
	for _, c := range []struct {
		rank, column int
		want         string
	}{{0, 2, "n0"}, {0, 3, "2 × A100"}, {0, 4, "running"}, {0, 6, "–"}, {1, 4, "failed"}, {1, 6, "137 (signal 9)"}, {2, 6, "out of memory"}, {3, 6, "7"}, {4, 6, "signal 9"}, {5, 4, "stopped"}, {5, 6, "stopped"}, {1, 3, "none"}} {
		if got := cell(c.rank, c.column); got != c.want {
			t.Errorf("worker %d, column %d: %q, want %q", c.rank, c.column, got, c.want)
		}
	}
	if a.Count(`tr[data-worker-rank="5"] .state-stopped`) != 1 {
		t.Error("a worker that was stopped has the colour of one that has completed its work")
	}
}

func TestWorkersThatHaveNoPlaceYetKeepTheirRows(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Pending)
	r.Reason = "needs 3 nodes with 2 x A100, the cluster has 2"
	s.Fake.AllRuns = []run.Run{r}
	for tab, row := range map[string]string{"": "li", "/workers": "tr"} {
		if n := s.Get("/runs/"+string(r.ID)+tab, 200).Count(row + "[data-worker-placeholder]"); n != 3 {
			t.Errorf("%q: %d rows", tab, n)
		}
	}
	a := s.Get("/runs/"+string(r.ID), 200)
	if got := a.Text(t, "[data-run-reason]"); got != "Needs 3 nodes with 2 x A100, the cluster has 2" {
		t.Errorf("reason %q", got)
	}
}

func TestTheOverviewListsFewWorkersAndThoseThatAreNotWellFirst(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Degraded)
	s.Fake.AllRuns = []run.Run{r}
	for rank := range 300 {
		w := run.Worker{Rank: rank, NodeName: fmt.Sprint("n", rank), State: run.WorkerRunning}
		if rank == 200 {
			w.State, w.Detail = run.WorkerFailed, "<b>exit code 1</b>"
		}
		s.Fake.AllWorkers = append(s.Fake.AllWorkers, w)
	}
	a := s.Get("/runs/"+string(r.ID), 200)
	if n := a.Count("#run-workers-short li"); n != 8 || a.Count("[data-worker-rank]") != 8 {
		t.Errorf("%d rows", n)
	}
	if got := a.Text(t, "#run-workers-short li:first-child"); got != "200 n200 failed – <b>exit code 1</b>" {
		t.Errorf("the first is %q", got)
	}
	if got := a.Text(t, "#run-workers-short .card-empty"); got != "292 more running" {
		t.Errorf("the rest is %q", got)
	}
	if got := a.Doc.Find("#run-workers-short .card-head a").AttrOr("href", ""); got != "/runs/"+string(r.ID)+"/workers" {
		t.Errorf("all are at %q", got)
	}
}

func TestTheOverviewAndTheLogSayWhatBecomesOfIt(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Succeeded)
	s.Fake.AllRuns = []run.Run{r}
	due := time.Date(2026, 12, 14, 23, 0, 0, 0, time.UTC)
	for _, tab := range []string{"", "/logs"} {
		page := "/runs/" + string(r.ID) + tab
		s.Fake.LogFates = run.LogFate{}
		if a := s.Get(page, 200); a.Count("[data-log-fate] .note") != 0 {
			t.Errorf("%s: something is said of a log that is kept", page)
		}
		s.Fake.LogFates = run.LogFate{Bytes: 1, DueAt: due, Due: run.LogLimit{Age: 90 * 24 * time.Hour}, Room: 3_200_000_000, Full: run.LogLimit{Project: r.Project, Bytes: 100_000_000_000}}
		a := s.Get(page, 200)
		if got := a.Text(t, "[data-log-fate] .note:nth-child(1)"); got != "Its log is deleted on 2026-12-14 by the retention of 90 days." {
			t.Errorf("%s: of its age %q", page, got)
		}
		if got := a.Text(t, "[data-log-fate] .note:nth-child(2)"); got != "Its log is deleted once the logs of project "+r.Project+" grow by 3.2 GB, beyond the limit of 100 GB." {
			t.Errorf("%s: of the size %q", page, got)
		}
		s.Fake.LogFates = run.LogFate{Deleted: &run.DeletedLog{At: due, Project: true, Age: 90 * 86_400}}
		if got := s.Get(page, 200).Text(t, "[data-log-fate] .note"); got != "Its log was deleted on 2026-12-14 by the retention of 90 days of its project." {
			t.Errorf("%s: afterwards %q", page, got)
		}
	}
	if got := s.Get("/runs/"+string(r.ID), 200).Text(t, "#log-tail [data-log-empty]"); got != "The log was deleted" {
		t.Errorf("in its place %q", got)
	}
}
