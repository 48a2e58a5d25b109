package control_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/nomad/nomadtest"
	"github.com/cotrain/cotrain/internal/run"
)

// trained is a run of two workers that has trained to step 17 with checkpoints at 5 and 10, and its job.
func (c *console) trained() (run.Run, string) {
	c.t.Helper()
	s := submission()
	s.Config = saving
	r, err := c.control.Submit(c.t.Context(), "me", s)
	if err != nil {
		c.t.Fatal(err)
	}
	job := c.child(r.ID, 1)
	c.set(job, nomadtest.Start, 0, 1)
	c.becomes(r.ID, run.Running)
	c.trains(job, 1, 17, func(step int64, _ int) float64 { return 1000 + float64(step) })
	c.saves(job, r.CheckpointPath, 5, 0, 1)
	c.saves(job, r.CheckpointPath, 10, 0, 1)
	c.eventually("17 steps and both checkpoints are there", func() bool {
		saved, err := c.store.SavedCheckpoints(c.t.Context(), r.ID)
		return err == nil && len(saved) == 4 && len(c.curve(r.ID)) == 17 && c.run(r.ID).Progress.Step == 17
	})
	return r, job
}

func (c *console) act(id run.ID, a run.Action) {
	c.t.Helper()
	if err := c.control.Act(c.t.Context(), "me", id, a); err != nil {
		c.t.Fatalf("%s: %v", a.Act, err)
	}
}

func (c *console) run(id run.ID) run.Run {
	c.t.Helper()
	r, err := c.store.Run(c.t.Context(), id)
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

// said reports whether an event of the run has that text, by that actor.
func (c *console) said(id run.ID, actor, text string) bool {
	c.t.Helper()
	evs, err := c.store.Events(c.t.Context(), id, 0, 1000)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, ev := range evs {
		if ev.Actor == actor && strings.Contains(ev.Message, text) {
			return true
		}
	}
	return false
}

func TestARunPausesAtItsNextCheckpointAndGoesOnWithoutASeam(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	r, job := c.trained()
	c.act(r.ID, run.Action{Act: run.ActPause, When: run.PauseAtCheckpoint})
	c.eventually("it says that it is going to pause", func() bool {
		got := c.run(r.ID)
		return got.State == run.Running && got.Reason == "pauses at the next checkpoint, about step 20" && got.Pausing.After == 10
	})
	c.saves(job, r.CheckpointPath, 15, 0) // worker 1 has not saved yet
	c.eventually("the checkpoint of one is told", func() bool {
		saved, err := c.store.SavedCheckpoints(t.Context(), r.ID)
		return err == nil && len(saved) == 5
	})
	if got := c.run(r.ID); got.State != run.Running || got.Reason == "" {
		t.Errorf("with the checkpoint of one worker it is %s: %q", got.State, got.Reason)
	}
	c.trains(job, 18, 18, func(step int64, _ int) float64 { return 1000 + float64(step) })
	c.saves(job, r.CheckpointPath, 15, 1)
	if got := c.becomes(r.ID, run.Stopping); got.Reason != run.ReasonPausing {
		t.Errorf("it ends for %q", got.Reason)
	}
	c.eventually("Nomad is told", func() bool { return c.cluster.Calls("Stop") > 0 })
	c.set(job, nomadtest.End(143), 0, 1)
	got := c.becomes(r.ID, run.Paused)
	if got.Reason != "paused at step 18, to continue from step 15" || got.PausedAt.IsZero() || got.Pausing != nil || got.Progress.Participants != 0 || got.Retried != 0 {
		t.Errorf("it is paused as %+v", got)
	}
	c.act(r.ID, run.Action{Act: run.ActResume})
	second := c.child(r.ID, 2)
	if d := c.cluster.Dispatched(second); d.Resume != r.CheckpointPath+"/step_15" {
		t.Errorf("it continues from %q", d.Resume)
	}
	c.set(second, nomadtest.Start, 0, 1)
	c.trains(second, 16, 20, func(step int64, _ int) float64 { return 1000 + float64(step) })
	c.set(second, nomadtest.End(0), 0, 1)
	c.becomes(r.ID, run.Succeeded)
	curve := c.curve(r.ID)
	if len(curve) != 20 {
		t.Fatalf("the curve has %d points", len(curve))
	}
	for i, p := range curve {
		if p.Step != int64(i+1) || p.Mean != 1001+float64(i) || p.Workers != 2 {
			t.Errorf("point %d is %+v", i, p)
		}
	}
	if !c.said(r.ID, "cotrain", "the checkpoint of step 15 is complete: pausing") || !c.said(r.ID, "me", "continues from the newest complete checkpoint") {
		t.Error("its history does not say how it was paused and resumed")
	}
}

func TestAPauseAtACheckpointWaitsForItsFiles(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	r, job := c.trained()
	lack := map[string]string{r.CheckpointPath + "/step_15": "is an incomplete checkpoint"}
	c.disk.set(lack)
	c.act(r.ID, run.Action{Act: run.ActPause, When: run.PauseAtCheckpoint})
	c.saves(job, r.CheckpointPath, 15, 0, 1)
	c.eventually("both have told", func() bool {
		saved, err := c.store.SavedCheckpoints(t.Context(), r.ID)
		return err == nil && len(saved) == 6
	})
	c.cluster.Set(job, 0, func(w *run.Worker) { w.Detail = "seen" }) // somebody looks
	c.eventually("that is stored", func() bool {
		ws, err := c.store.Workers(t.Context(), r.ID)
		return err == nil && len(ws) == 2 && ws[0].Detail == "seen"
	})
	if got := c.run(r.ID); got.State != run.Running {
		t.Errorf("it is %s though the checkpoint is broken", got.State)
	}
	c.disk.set(map[string]string{})
	c.cluster.Set(job, 0, func(w *run.Worker) { w.Detail = "again" })
	c.becomes(r.ID, run.Stopping)
}

func TestPauseNowAndResumeFromWhatIsChosen(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		from   run.ResumeChoice
		resume string
		points int // of the curve, once the next attempt has trained one step
	}{{run.ResumeNewest, "/step_10", 11}, {run.ResumeAt(5), "/step_5", 6}, {run.ResumeStart, "", 1}} {
		t.Run(tc.from.String(), func(t *testing.T) {
			t.Parallel()
			c := newConsole(t)
			r, job := c.trained()
			c.act(r.ID, run.Action{Act: run.ActPause, When: run.PauseNow})
			c.becomes(r.ID, run.Stopping)
			c.set(job, nomadtest.End(143), 0, 1)
			if got := c.becomes(r.ID, run.Paused); got.Reason != "paused at step 17, to continue from step 10" {
				t.Errorf("it is paused: %q", got.Reason)
			}
			if err := c.control.Act(t.Context(), "me", r.ID, run.Action{Act: run.ActResume, From: run.ResumeAt(7)}); !errors.Is(err, fault.ErrInvalid) {
				t.Errorf("it continues from a checkpoint that there is not: %v", err)
			}
			c.act(r.ID, run.Action{Act: run.ActResume, From: tc.from})
			second := c.child(r.ID, 2)
			want := tc.resume
			if want != "" {
				want = r.CheckpointPath + want
			}
			if d := c.cluster.Dispatched(second); d.Resume != want {
				t.Errorf("it continues from %q", d.Resume)
			}
			if got := c.run(r.ID); got.NextResume != tc.from { // in case it ends before it reports
				t.Errorf("the choice is forgotten: %q", got.NextResume)
			}
			c.set(second, nomadtest.Start, 0, 1)
			c.trains(second, int64(tc.points), int64(tc.points), func(int64, int) float64 { return 2000 })
			c.eventually("the repeated steps are gone", func() bool { return len(c.curve(r.ID)) == tc.points })
			if got := c.run(r.ID); got.NextResume != run.ResumeNewest {
				t.Errorf("the choice is kept: %q", got.NextResume)
			}
		})
	}
}

func TestABrokenCheckpointCannotBeChosen(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	r, _ := c.trained()
	c.disk.set(map[string]string{r.CheckpointPath + "/step_10": "is an incomplete checkpoint: data/_0.pt is missing"})
	err := c.control.Act(t.Context(), "me", r.ID, run.Action{Act: run.ActRestart, From: run.ResumeAt(10)})
	if !errors.Is(err, fault.ErrInvalid) || !strings.Contains(err.Error(), "data/_0.pt is missing") || !strings.Contains(err.Error(), "one of 5") {
		t.Errorf("it is chosen: %v", err)
	}
	out, err := c.control.Outlook(t.Context(), r.ID)
	if err != nil || len(out.Points) != 1 || out.Points[0].Step != 5 || out.Took.Milliseconds() != 200 || out.Next != 20 {
		t.Errorf("outlook is %+v, %v", out, err)
	}
	if step, repeated := out.Continues(run.ResumeNewest); step != 5 || repeated != 12 {
		t.Errorf("it continues from %d and repeats %d", step, repeated)
	}
}

func TestSlowSavingIsToldBeforeItIsCutOff(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	r, job := c.trained() // saving took 200 ms
	c.set(job, func(w *run.Worker) { w.NodeID = "n1" }, 0, 1)
	c.eventually("it is known where its workers are", func() bool {
		workers, err := c.store.Workers(t.Context(), r.ID)
		return err == nil && len(workers) == 2 && workers[0].NodeID == "n1" && workers[1].NodeID == "n1"
	})
	for _, tt := range []struct {
		limit time.Duration
		short bool
	}{{0, false}, {time.Second, false}, {200 * time.Millisecond, true}} {
		c.cluster.SetKillLimit(tt.limit)
		out, err := c.control.Outlook(t.Context(), r.ID)
		if err != nil || out.KillTimeout != tt.limit || strings.Contains(out.TooShort(), "on node-1 are killed") != tt.short {
			t.Errorf("with a limit of %v: %q, %+v, %v", tt.limit, out.TooShort(), out.Saving, err)
		}
		like, other, clone := submission(), submission(), submission()
		like.Config, other.Config, clone.Config = saving, saving, saving
		other.Shape.Nodes, clone.Shape.Nodes, clone.Origin.Clone = 3, 3, r.ID
		bare := like
		bare.Config = config
		for what, given := range map[string]struct {
			run.Submission
			told bool
		}{"one like it": {like, tt.short}, "a clone with more nodes": {clone, tt.short}, "one of another shape": {other, false}, "one that saves nothing": {bare, false}} {
			_, warns := c.control.Check(t.Context())(given.Submission)
			dry, err := c.control.DryRun(t.Context(), given.Submission)
			for how, list := range map[string]run.FieldErrors{"form": warns, "dry run": dry.Warnings} {
				told := slices.ContainsFunc(list, func(e run.FieldError) bool {
					return e.Field == "max_kill_timeout" && strings.Contains(e.Rule, "in "+r.Name)
				})
				if err != nil || told != given.told {
					t.Errorf("with a limit of %v the %s of %s says %v, %v", tt.limit, how, what, list, err)
				}
			}
		}
	}
}

func TestRestartIsNoFailure(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	r, job := c.trained()
	c.act(r.ID, run.Action{Act: run.ActRestart, From: run.ResumeAt(5)})
	c.becomes(r.ID, run.Stopping)
	c.set(job, nomadtest.End(1), 0, 1) // a trainer that ends badly when it is told to
	second := c.child(r.ID, 2)
	if d := c.cluster.Dispatched(second); d.Resume != r.CheckpointPath+"/step_5" {
		t.Errorf("it continues from %q", d.Resume)
	}
	if got := c.run(r.ID); got.Retried != 0 || got.Cause != nil || got.StopCause != "" {
		t.Errorf("it counts as a failure: %+v", got)
	}
}

func TestAHeldRunIsNotSentUntilItIsResumed(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.cluster.SetDown(true)
	r, err := c.control.Submit(t.Context(), "me", submission())
	if err != nil {
		t.Fatal(err)
	}
	c.act(r.ID, run.Action{Act: run.ActPause, When: run.PauseAtCheckpoint})
	c.becomes(r.ID, run.Paused)
	c.cluster.SetDown(false)
	c.queue.Round(t.Context())
	if jobs := c.cluster.Jobs(); len(jobs) != 0 {
		t.Errorf("it was sent: %v", jobs)
	}
	c.act(r.ID, run.Action{Act: run.ActResume})
	c.child(r.ID, 1)
}

func TestAFailedRunIsTriedAgainAsTheSameRun(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	r, job := c.trained()
	c.set(job, nomadtest.End(1), 0, 1)
	if got := c.becomes(r.ID, run.Failed); got.Cause == nil || got.EndedAt.IsZero() {
		t.Fatalf("it failed as %+v", got)
	}
	c.act(r.ID, run.Action{Act: run.ActRetry})
	second := c.child(r.ID, 2)
	if d := c.cluster.Dispatched(second); d.Resume != r.CheckpointPath+"/step_10" {
		t.Errorf("it continues from %q", d.Resume)
	}
	got := c.run(r.ID)
	if !got.EndedAt.IsZero() || got.Cause != nil {
		t.Errorf("it goes on as %+v", got)
	}
	c.set(second, nomadtest.Start, 0, 1)
	c.trains(second, 11, 20, func(step int64, _ int) float64 { return 1000 + float64(step) })
	c.set(second, nomadtest.End(0), 0, 1)
	if got := c.becomes(r.ID, run.Succeeded); got.Progress.Step != 20 || len(c.curve(r.ID)) != 20 {
		t.Errorf("it ended as %+v", got)
	}
	if err := c.control.Act(t.Context(), "me", r.ID, run.Action{Act: run.ActRetry}); !errors.Is(err, fault.ErrConflict) {
		t.Errorf("one that has succeeded is tried again: %v", err)
	}
}

func TestARetryDoesNotWriteIntoTheFolderOfAnother(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	s := submission()
	s.Config = strings.ReplaceAll(saving, "{run}", "mine")
	r, err := c.control.Submit(t.Context(), "me", s)
	if err != nil {
		t.Fatal(err)
	}
	job := c.child(r.ID, 1)
	c.set(job, nomadtest.End(1), 0, 1)
	c.becomes(r.ID, run.Failed)
	other, err := c.control.Submit(t.Context(), "me", s)
	if err != nil {
		t.Fatal(err)
	}
	err = c.control.Act(t.Context(), "me", r.ID, run.Action{Act: run.ActRetry})
	if !errors.Is(err, fault.ErrInvalid) || !strings.Contains(err.Error(), string(other.ID)) || c.run(r.ID).State != run.Failed {
		t.Errorf("it is tried again: %v", err)
	}
}

// TestManyRetriesAtOnceMakeOneAttempt has no one be told that the run stands in its own way.
func TestManyRetriesAtOnceMakeOneAttempt(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	s := submission()
	s.Config = strings.ReplaceAll(saving, "{run}", "mine")
	r, err := c.control.Submit(t.Context(), "me", s)
	if err != nil {
		t.Fatal(err)
	}
	c.set(c.child(r.ID, 1), nomadtest.End(1), 0, 1)
	c.becomes(r.ID, run.Failed)
	var g errgroup.Group
	for range 8 {
		g.Go(func() error {
			err := c.control.Act(t.Context(), "me", r.ID, run.Action{Act: run.ActRetry})
			if errors.Is(err, fault.ErrConflict) { // it is being sent already
				return nil
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Errorf("a retry is refused: %v", err)
	}
	c.child(r.ID, 2)
	if n := c.run(r.ID).Attempt; n != 2 {
		t.Errorf("it has %d attempts", n)
	}
}

func TestWhoWaitsForAnotherAttemptIsTriedAtOnceOrNotAtAll(t *testing.T) {
	t.Parallel()
	for _, act := range []run.Act{run.ActRetry, run.ActStopRetrying, run.ActPause} {
		t.Run(string(act), func(t *testing.T) {
			t.Parallel()
			c := newConsole(t)
			s := submission()
			s.Config, s.Options.Retries = saving, 3
			r, err := c.control.Submit(t.Context(), "me", s)
			if err != nil {
				t.Fatal(err)
			}
			c.set(c.child(r.ID, 1), nomadtest.End(1), 0, 1)
			if got := c.becomes(r.ID, run.Queued); got.NotBefore.IsZero() {
				t.Fatalf("it does not wait: %+v", got)
			}
			c.act(r.ID, run.Action{Act: act, When: run.PauseNow})
			switch act {
			case run.ActRetry:
				c.child(r.ID, 2) // though its time has not come
			case run.ActStopRetrying:
				if got := c.becomes(r.ID, run.Failed); got.Cause == nil || !strings.Contains(got.Reason, "not tried again on request") {
					t.Errorf("it failed as %+v", got)
				}
			default:
				if got := c.becomes(r.ID, run.Paused); !got.NotBefore.IsZero() {
					t.Errorf("it is paused as %+v", got)
				}
			}
		})
	}
}

func TestAFailureWhileAPauseIsAwaitedPauses(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	s := submission()
	s.Config, s.Options.Retries = saving, 1
	r, err := c.control.Submit(t.Context(), "me", s)
	if err != nil {
		t.Fatal(err)
	}
	job := c.child(r.ID, 1)
	c.set(job, nomadtest.Start, 0, 1)
	c.becomes(r.ID, run.Running)
	c.act(r.ID, run.Action{Act: run.ActPause, When: run.PauseAtCheckpoint})
	c.set(job, nomadtest.End(1), 0, 1)
	if got := c.becomes(r.ID, run.Paused); !strings.HasPrefix(got.Reason, "attempt 1 failed") || !got.NotBefore.IsZero() {
		t.Errorf("it is paused as %+v", got)
	}
}

func TestAKillReachesNomadThoughItIsAway(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	r, job := c.trained()
	if err := c.control.Stop(t.Context(), "me", r.ID); err != nil {
		t.Fatal(err)
	}
	c.becomes(r.ID, run.Stopping) // its workers ignore that
	c.cluster.Fail("Kill", fmt.Errorf("away: %w", fault.ErrUnavailable))
	c.act(r.ID, run.Action{Act: run.ActKill})
	c.eventually("Nomad was asked", func() bool { return c.cluster.Calls("Kill") > 1 })
	if got := c.run(r.ID); got.State != run.Stopping {
		t.Errorf("it is %s", got.State)
	}
	c.cluster.Fail("Kill", nil)
	got := c.becomes(r.ID, run.Stopped)
	if got.Reason != "killed on request, without time to save" {
		t.Errorf("it was stopped for %q", got.Reason)
	}
	if orders, err := c.store.Orders(t.Context()); err != nil || len(orders) != 0 {
		c.eventually("the order is done", func() bool { orders, err = c.store.Orders(t.Context()); return err == nil && len(orders) == 0 })
	}
	if ws, err := c.store.Workers(t.Context(), r.ID); err != nil || len(ws) != 2 || ws[0].Signal != 9 {
		t.Errorf("workers %+v of %s, %v", ws, job, err)
	}
}
