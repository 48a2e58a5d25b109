package runs_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

func TestTheRunPageAnswersFirst(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Running)
	s.Fake.AllRuns = []run.Run{r}
	a := s.Get("/runs/"+string(r.ID), 200)
	for selector, want := range map[string]string{
		"#run-headline[data-run-state=running] h1": "first try",
		"#run-headline .badge":                     "running",
		`.stats [data-metric="step"]`:              "500 / 1,000",
		`.stats [data-metric="loss"]`:              "3.14",
		`.stats [data-metric="throughput"]`:        "12.3 k tok/s",
		`.stats [data-metric="participants"]`:      "3 / 3",
		`.stats [data-metric="eta"]`:               "8 min 20 s",
		`#run-headline [data-metric="progress"]`:   "50 %",
		`.stats [data-metric="attempt"]`:           "1",
		"[data-run-reason]":                        "All workers are running.",
	} {
		if got := a.Text(t, selector); got != want {
			t.Errorf("%s: %q, want %q", selector, got, want)
		}
	}
	if got, _ := a.Doc.Find("#run-headline progress").Attr("value"); got != "0.5" {
		t.Errorf("progress bar at %q", got)
	}
	page := a.Doc.Find("#run-page")
	for attr, want := range map[string]string{"data-topic": "run:" + string(r.ID), "data-seq": fmt.Sprint(s.Hub.Seq("run:" + string(r.ID))), "data-inner-steps": "50"} {
		if got, _ := page.Attr(attr); got != want {
			t.Errorf("%s = %q, want %q", attr, got, want)
		}
	}
	if a.Count(`[data-action="ask-stop"]`) != 1 || a.Count(`[data-action="ask-delete"]`) != 0 {
		t.Error("a running run can be stopped, not deleted")
	}
}

func TestAFailedRunShowsItsCauseAndCanBeDeleted(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Failed)
	r.Reason = "worker 1 ended with exit code 1"
	s.Fake.AllRuns = []run.Run{r}
	a := s.Get("/runs/"+string(r.ID), 200)
	if got := a.Text(t, ".note-danger"); got != "Cause Worker 1 ended with exit code 1" {
		t.Errorf("cause %q", got)
	}
	if got := a.Text(t, `.stats [data-metric="eta"]`); got != "10 min 00 s" {
		t.Errorf("duration %q", got)
	}
	if a.Count(`[data-action="ask-stop"]`) != 0 || a.Count(`[data-action="ask-delete"]`) != 1 {
		t.Error("a failed run can be deleted, not stopped")
	}
}

func TestARunSaysWhoseItIs(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Failed)
	r.Project, r.Owner = "vision", "ann & bob"
	s.Fake.AllRuns = []run.Run{r}
	a := s.Get("/runs/"+string(r.ID), 200)
	for fact, want := range map[string]string{"project": "/?project=vision", "owner": "/?owner=ann+%26+bob"} {
		if got := a.Doc.Find("#run-facts [data-fact="+fact+"] a").AttrOr("href", ""); got != want {
			t.Errorf("%s leads to %q", fact, got)
		}
	}
}

func TestASuccessThatIsNotCleanSaysSo(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Succeeded)
	s.Fake.AllRuns = []run.Run{r}
	if a := s.Get("/runs/"+string(r.ID), 200); a.Text(t, "[data-run-reason]") != "All workers finished." || a.Count(".note-warning") != 0 {
		t.Errorf("a clean one says %q", a.Text(t, "[data-run-reason]"))
	}
	if a := s.Get("/", 200); a.Count("[data-caveat]") != 0 {
		t.Error("a clean one is marked in the list")
	}
	s.Fake.AllRuns[0].Reason = "finished, but worker 1 (n1) exited with code 7 (step 10)"
	if got := s.Get("/runs/"+string(r.ID), 200).Text(t, "[data-run-reason] .note-warning"); got != "Warning Finished, but worker 1 (n1) exited with code 7 (step 10)" {
		t.Errorf("its page says %q", got)
	}
	if got := s.Get("/", 200).Text(t, "[data-caveat]"); got != "Finished, but worker 1 (n1) exited with code 7 (step 10)" {
		t.Errorf("the list says %q", got)
	}
}

func TestARunThatHasEndedCountsTheWorkersItAskedFor(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Stopped)
	r.Progress.Participants = 0 // none of them runs
	s.Fake.AllRuns = []run.Run{r}
	if got := s.Get("/runs/"+string(r.ID), 200).Text(t, `.stats [data-metric="participants"]`); got != "3" {
		t.Errorf("%q", got)
	}
}

func TestARunThatWaitsForItsTurnShowsWhereItStands(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	s.Fake.AllRuns = []run.Run{{ID: "r-0000000009", Name: "mine", State: run.Queued, Reason: "needs 3 nodes", Shape: run.Shape{Nodes: 3}}}
	s.Fake.QueuePlace = &run.QueuePlace{Position: 5, Ahead: []run.Ahead{{ID: "r-0000000001", Name: "big"}, {ID: "r-0000000002", Name: "small"}}}
	page := s.Get("/runs/r-0000000009", 200)
	if got := strings.Join(strings.Fields(page.Text(t, "[data-run-line]")), " "); got != "5th in the queue behind big · small · 2 more" {
		t.Errorf("it says %q", got)
	}
	if got := page.Text(t, "[data-run-reason]"); got != "Needs 3 nodes" {
		t.Errorf("the reason is %q", got)
	}
	if n := page.Count(`[data-run-line] a[href="/runs/r-0000000001"]`); n != 1 {
		t.Errorf("%d links to the first", n)
	}
}

func TestARunThatWillBeTriedAgainSaysWhen(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Queued)
	r.Reason, r.NotBefore = "attempt 1 failed: worker 0 exited with code 1; attempt 2 follows: retry 1 of 2", webtest.Now.Add(75*time.Second)
	s.Fake.AllRuns = []run.Run{r}
	a := s.Get("/runs/"+string(r.ID), 200)
	if got := strings.TrimSpace(a.Doc.Find("[data-run-reason] [data-next-attempt]").Text()); got != "Next attempt in 1 min 15 s" {
		t.Errorf("%q", got)
	}
	at := a.Doc.Find("[data-next-attempt] time[data-until]")
	if moment, _ := at.Attr("datetime"); moment != "2026-05-06T07:09:24Z" {
		t.Errorf("counts down to %q", moment)
	}
	s.Fake.AllRuns[0].NotBefore = webtest.Now.Add(-time.Second)
	if s.Get("/runs/"+string(r.ID), 200).Count("[data-next-attempt]") != 0 {
		t.Error("a time that is over is still to come")
	}
}

func TestASuccessThatIsWorthALookIsMarked(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	lost, nan, well := webtest.Run(run.Succeeded), webtest.Run(run.Succeeded), webtest.Run(run.Succeeded)
	lost.ID, nan.ID, well.ID = "r-0000000001", "r-0000000002", "r-0000000003"
	lost.Reason, nan.Progress.Loss = "worker 1 was lost at step 300", math.NaN()
	s.Fake.AllRuns = []run.Run{well, nan, lost}
	for id, want := range map[run.ID]string{lost.ID: "Worker 1 was lost at step 300", nan.ID: "The last loss is NaN: training diverged."} {
		a := s.Get("/runs/"+string(id), 200)
		if got := a.Text(t, "[data-run-warning] .note-warning"); got != "Warning "+want {
			t.Errorf("%s: %q", id, got)
		}
		if a.Count("#run-headline .badge.state-warned[data-state=succeeded]") != 1 || a.Count("#run-headline .badge.state-succeeded") != 0 {
			t.Errorf("%s is plain green", id)
		}
	}
	live := webtest.Run(run.Degraded)
	live.ID, live.Reason, live.Progress.Loss, live.Diverged = "r-0000000004", "worker 1 was lost", math.NaN(), &run.Diverged{Step: 4, Rank: 1}
	s.Fake.AllRuns = append(s.Fake.AllRuns, live)
	if got, want := s.Get("/runs/"+string(live.ID), 200).Text(t, "[data-run-warning] .note-warning"), "Warning The loss is NaN since step 4; worker 1 was lost"; got != want {
		t.Errorf("while it runs: %q", got)
	}
	s.Fake.AllRuns = s.Fake.AllRuns[:3]
	if a := s.Get("/runs/"+string(well.ID), 200); a.Count("[data-run-warning]") != 0 || a.Text(t, "[data-run-reason]") != "All workers finished." || a.Count("#run-headline .badge.state-succeeded") != 1 {
		t.Error("a success without a warning is marked")
	}
	list := s.Get("/", 200)
	if list.Count("tbody .badge.state-warned") != 2 || list.Text(t, "#run-"+string(nan.ID)+" .badge") != "succeeded The last loss is NaN: training diverged." {
		t.Errorf("%d marks in the list", list.Count("tbody .badge.state-warned"))
	}
}

// TestAFailedRunSaysWhy also has one that waits for its next attempt, and one whose log says nothing.
func TestAFailedRunSaysWhy(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Failed)
	r.Options.Retries = 2
	r.Reason = "why"
	r.Cause = &run.Cause{
		Attempt: 1, Category: "cuda_oom", Title: "GPU out of memory", Summary: "GPU memory ran out.", Hint: "Lower train.micro_bs.", Rank: 1, Node: "gpu-<7>", Victims: []int{0, 2},
		Evidence: []run.CauseLine{{Pos: 77, Text: "torch.OutOfMemoryError: <b>"}, {Text: "Exit Code: 1"}}, Seen: run.CauseCount{Failures: 3, Runs: 2, Node: "gpu-7", OnNode: 2},
		Retry: &run.RetryPlan{Why: "not tried again: unchanged it would fail in the same way"},
	}
	s.Fake.AllRuns = []run.Run{r}
	a := s.Get("/runs/"+string(r.ID), 200)
	for selector, want := range map[string]string{
		".cause-title": "GPU out of memory", "[data-cause-summary]": "GPU memory ran out.", "[data-cause-hint]": "Lower train.micro_bs. Troubleshooting",
		"[data-run-reason]": "Not tried again: unchanged it would fail in the same way.", "[data-cause-where]": "Worker 1 (gpu-<7>); workers 0, 2 ended because of it.",
		"[data-cause-seen]": "The 3rd time in 7 days, 2 of them on gpu-7.", ".cause-lines": "torch.OutOfMemoryError: <b> Exit Code: 1",
	} {
		if got := a.Text(t, selector); got != want {
			t.Errorf("%s says %q, want %q", selector, got, want)
		}
	}
	if href, _ := a.Doc.Find(".cause-lines a").Attr("href"); href != "/runs/"+string(r.ID)+"/logs?worker=1&line=77" || a.Count(".cause-lines a") != 1 {
		t.Errorf("the line leads to %q", href)
	}
	for want, change := range map[string]func(*run.Run){
		"Attempt 2 follows: retry 1 of 2; not on gpu-7, where it failed.": func(r *run.Run) {
			r.State, r.Cause.Retry = run.Queued, &run.RetryPlan{Again: true, Why: "retry 1 of 2; not on gpu-7, where it failed"}
		},
		"Attempt 2 follows when it is resumed: retry 1 of 2.": func(r *run.Run) {
			r.State, r.Cause.Retry = run.Paused, &run.RetryPlan{Again: true, Why: "retry 1 of 2"}
		},
		"Attempt 2 follows.":                                        func(r *run.Run) { r.State = run.Queued }, // a person wants it
		"It is not tried again, because it was stopped.":            func(r *run.Run) { r.StopRequested, r.Cause.Retry = true, &run.RetryPlan{} },
		"Not tried again: unchanged it would fail in the same way.": func(*run.Run) {},
		"It is not tried again.":                                    func(r *run.Run) { r.Cause.Retry = nil }, // an older version's
	} {
		other := r
		cause := *r.Cause
		other.Cause, other.Attempt = &cause, 1
		change(&other)
		s.Fake.AllRuns = []run.Run{other}
		if got := s.Get("/runs/"+string(r.ID), 200).Text(t, "[data-run-reason]"); got != want {
			t.Errorf("what follows is %q, want %q", got, want)
		}
	}
	well := r
	well.State = run.Running
	s.Fake.AllRuns = []run.Run{well}
	if s.Get("/runs/"+string(r.ID), 200).Count(".cause") != 0 {
		t.Error("a run that goes on has a card")
	}
}

// TestARunThatGoesOnSaysWhyItLostAWorker also has one whose newest attempt failed, which has a card of its own.
func TestARunThatGoesOnSaysWhyItLostAWorker(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Degraded)
	r.Shape.Nodes, r.InnerSteps = 2, 5
	cause := &run.Cause{Category: "cuda_oom", Title: "GPU out of memory", Summary: "GPU memory ran out.", Hint: "Lower train.micro_bs.", Rank: 1, Evidence: []run.CauseLine{{Pos: 77, Text: "CUDA out of memory <b>"}}}
	s.Fake.AllRuns = []run.Run{r}
	s.Fake.AllWorkers = []run.Worker{{AllocID: "a", RunID: r.ID, State: run.WorkerRunning}, {AllocID: "b", RunID: r.ID, Rank: 1, NodeName: "gpu-<7>", State: run.WorkerFailed, Cause: cause}}
	a := s.Get("/runs/"+string(r.ID), 200)
	for selector, want := range map[string]string{
		"#run-losses .cause-title": "GPU out of memory: worker 1 (gpu-<7>)", "#run-losses [data-cause-summary]": "GPU memory ran out.", "#run-losses [data-cause-hint]": "Lower train.micro_bs. Troubleshooting",
		"[data-cause-follows]": "1 of 2 workers trains on without it. It is not replaced in this attempt: restart the run to train with all 2 again.", "#run-losses .cause-lines": "CUDA out of memory <b>",
	} {
		if got := a.Text(t, selector); got != want {
			t.Errorf("%s says %q, want %q", selector, got, want)
		}
	}
	if href, _ := a.Doc.Find(".cause-lines a").Attr("href"); href != "/runs/"+string(r.ID)+"/logs?worker=1&line=77" {
		t.Errorf("the line leads to %q", href)
	}
	failed := r
	failed.State, failed.Cause = run.Failed, cause
	s.Fake.AllRuns = []run.Run{failed}
	if a := s.Get("/runs/"+string(r.ID), 200); a.Count("#run-losses .cause") != 0 || a.Count(".cause") != 1 {
		t.Errorf("a run that failed has %d cards", a.Count(".cause"))
	}
}
