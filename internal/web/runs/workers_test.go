package runs_test

import (
	"fmt"
	"net/url"
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

func TestWhatWorkersUseIsShownWithTheWorstFirst(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Running)
	r.Shape.GPUs, r.Shape.Memory, r.Attempt = 2, 1000, 1
	s.Fake.AllRuns = []run.Run{r}
	gpus := []run.GPU{{ID: "GPU-1", Model: "nvidia/gpu/A100"}, {ID: "GPU-2", Model: "nvidia/gpu/A100"}}
	s.Fake.AllWorkers = []run.Worker{
		{Rank: 0, NodeName: "n0", State: run.WorkerRunning, GPUs: gpus}, {Rank: 1, NodeName: "n1", State: run.WorkerRunning, GPUs: gpus}, {Rank: 2, NodeName: "n2", State: run.WorkerRunning, GPUs: gpus},
	}
	s.Fake.UsedNow = run.Used{
		0: {"task_cpu_percent": 780.4, "task_memory_bytes": 512 << 20, "gpu0/utilization_percent": 90, "gpu1/utilization_percent": 70, "gpu0/temperature_celsius": 61, "gpu1/temperature_celsius": 84},
		1: {"task_cpu_percent": 50, "gpu0/utilization_percent": 4, "gpu1/utilization_percent": 6},
	}
	path := "/runs/" + string(r.ID)
	cell := func(a webtest.Answer, rank int, key string) string {
		return a.Text(t, fmt.Sprintf(`tr[data-usage-rank="%d"] [data-usage="%s"]`, rank, key))
	}
	a := s.Get(path+"/workers", 200)
	for _, c := range []struct {
		rank      int
		key, want string
	}{{0, "cpu", "780 %"}, {0, "memory", "512 MiB of 0.977 GiB"}, {0, "busy", "80 %"}, {0, "heat", "84 °C"}, {1, "busy", "5 %"}, {1, "heat", "–"}} {
		if got := cell(a, c.rank, c.key); got != c.want {
			t.Errorf("%s of worker %d is %q, want %q", c.key, c.rank, got, c.want)
		}
	}
	if a.Count(`tr[data-usage-rank="2"]`) != 0 || a.Count(`[data-usage="power"]`) != 0 {
		t.Error("a worker or a column is shown of which nothing is known")
	}
	if a.Count(`#run-heat [data-heat-canvas]`) != 1 {
		t.Error("there is no heat map")
	}
	first := func(sort string) string {
		t.Helper()
		return s.Get(path+"/usage?sort="+sort, 200).Text(t, "tbody tr:first-child th")
	}
	for sort, want := range map[string]string{"": "0", "busy": "1", "cpu": "0", "heat": "0", "no such column": "0"} {
		if got := first(url.QueryEscape(sort)); got != want {
			t.Errorf("sorted by %q worker %s comes first, want %s", sort, got, want)
		}
	}
	s.Fake.AllRuns[0].State = run.Succeeded
	if a := s.Get(path+"/workers", 200); a.Count("[data-usage-rank]") != 0 || a.Count("[data-machines][data-live]") != 0 {
		t.Error("a run that has ended still uses something")
	}
}

func TestAHeatMapOfNothingThatIsMeasuredIsRefused(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Running)
	s.Fake.AllRuns = []run.Run{r}
	for query, status := range map[string]int{
		"metric=utilization_percent": 200, "metric=power_watts&minutes=60&px=1000": 200,
		"": 422, "metric=loss": 422, "metric=utilization_percent&minutes=-1": 422, "metric=utilization_percent&px=0": 422, "metric=utilization_percent&px=1e9": 422,
	} {
		s.Get("/runs/"+string(r.ID)+"/heat?"+query, status)
	}
}
