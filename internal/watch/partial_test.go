package watch_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/nomad/nomadtest"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

func (r *rig) run() run.Run {
	r.t.Helper()
	got, err := r.store.Run(r.t.Context(), r.id)
	if err != nil {
		r.t.Fatal(err)
	}
	return got
}

// startOne has Nomad place one worker of two.
func (r *rig) startOne() {
	r.t.Helper()
	r.cluster.SetWhy("needs 2 nodes, 1 place is free")
	r.cluster.Set(r.child, 0, nomadtest.Start)
	r.eventually("what runs is told", func() bool { return strings.HasPrefix(r.run().Reason, "1 of 2 workers run") })
}

func TestARunThatIsPlacedInPartSaysWhatRuns(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.startOne()
	if got := r.run(); got.State != run.Pending || got.Reason != "1 of 2 workers run; worker 1 waits for a place: needs 2 nodes, 1 place is free" || got.StartedAt.IsZero() {
		t.Errorf("it is %s since %s: %s", got.State, got.StartedAt, got.Reason)
	}
	began := r.run().StartedAt
	r.cluster.Print(r.child, 0, `COTRAIN {"v":1,"kind":"metrics","step":7,"loss":1}`+"\n")
	r.eventually("that it trains is told", func() bool {
		r.cluster.Set(r.child, 0, func(w *run.Worker) { w.Detail += "." }) // somebody looks
		return strings.HasPrefix(r.run().Reason, "1 of 2 workers run and train; worker 1 waits")
	})
	r.cluster.Set(r.child, 1, nomadtest.Start)
	if got := r.becomes(run.Running); got.Reason != "" || !got.StartedAt.Equal(began) {
		t.Errorf("it runs since %s, before since %s: %s", got.StartedAt, began, got.Reason)
	}
}

func TestARunWhoseWorkersLackASecretSaysSo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const why = "waits for secret/x in Vault: it does not exist"
	for rank := range 2 {
		r.cluster.Set(r.child, rank, func(w *run.Worker) { w.Detail = why })
	}
	r.eventually("the reason is told", func() bool { return r.run().Reason == why })
	if got := r.run(); got.State != run.Pending {
		t.Errorf("it is %s", got.State)
	}
}

func TestTheTimeOfARunThatIsPlacedInPartCounts(t *testing.T) {
	t.Parallel()
	r := newRetryRig(t, run.Options{MaxDuration: 60})
	r.startOne()
	r.skip.Store(int64(61 * time.Second))
	r.cluster.Set(r.child, 0, func(w *run.Worker) { w.Detail = "seen again" })
	if got := r.becomes(run.Stopping); got.Reason != "stopped after its maximum duration of 1m" {
		t.Errorf("it stops for the reason %q", got.Reason)
	}
}

func TestAnAttemptThatStaysPlacedInPartIsTakenBackWhole(t *testing.T) {
	t.Parallel()
	r := newRetryRig(t, run.Options{Retries: 1})
	r.startOne()
	r.skip.Store(int64(run.PlacementTimeout - time.Second))
	r.cluster.Set(r.child, 0, func(w *run.Worker) { w.Detail = "seen again" })
	r.eventually("it was looked at", func() bool {
		ws, err := r.store.Workers(t.Context(), r.id)
		return err == nil && ws[0].Detail == "seen again"
	})
	if got := r.run(); got.State != run.Pending {
		t.Fatalf("in time it is %s: %s", got.State, got.Reason)
	}
	r.skip.Store(int64(run.PlacementTimeout + time.Second))
	r.cluster.Set(r.child, 0, func(w *run.Worker) { w.Detail = "seen later" })
	r.becomes(run.Stopping)
	r.eventually("Nomad is told to stop it", func() bool { return r.cluster.Calls("Stop") > 0 })
	r.cluster.Set(r.child, 0, nomadtest.End(143))
	const why = "Nomad placed 1 of 2 workers within 5m: taken back, to be sent again when all fit"
	got := r.becomes(run.Queued)
	if got.Reason != why || got.Retried != 0 || !got.NotBefore.IsZero() || got.StopRequested {
		t.Errorf("it is %+v", got)
	}
	if ev := r.newest(); ev.Level != "warning" || ev.Actor != "cotrain" || ev.Message != why {
		t.Errorf("event is %+v", ev)
	}
	r.eventually("the queue is told", r.wasReleased)
	as, err := r.store.Attempts(t.Context(), r.id)
	if err != nil || !as[0].Recalled || as[0].EndedAt.IsZero() {
		t.Errorf("attempt %+v, %v", as, err)
	}
}

func TestAWorkerThatFailsWhileItsAttemptIsTakenBackIsNoFailureOfTheRun(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.startOne()
	r.skip.Store(int64(run.PlacementTimeout))
	r.cluster.Set(r.child, 1, nomadtest.Start) // too late, unless it is seen first
	r.cluster.Set(r.child, 1, func(w *run.Worker) { w.State = run.WorkerLost })
	r.cluster.Set(r.child, 0, func(w *run.Worker) { w.Detail = "seen again" })
	r.update(func(u *store.Update) error {
		u.Attempt.Recalled = true
		return u.Record(u.Run.StopWorkers(run.StopOverdue, "taken back", time.Now()))
	})
	r.cluster.Set(r.child, 0, nomadtest.End(75))
	if got := r.becomes(run.Queued); got.Retried != 0 {
		t.Errorf("it is %+v", got)
	}
}

func TestAStopOfARunThatIsBeingTakenBackEndsIt(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.startOne()
	r.skip.Store(int64(run.PlacementTimeout))
	r.cluster.Set(r.child, 0, func(w *run.Worker) { w.Detail = "seen again" })
	r.becomes(run.Stopping)
	r.update(func(u *store.Update) error { u.Run.StopRequested = true; return nil })
	r.cluster.Set(r.child, 0, nomadtest.End(143))
	r.becomes(run.Stopped)
}

func TestARunOfWhichNomadPlacesNothingIsTakenBackToo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cluster.SetWhy("no room")
	r.eventually("the reason is told", func() bool { return r.run().Reason == "no room" })
	r.skip.Store(int64(run.PlacementTimeout))
	r.cluster.SetWhy("still no room") // somebody looks
	if got := r.becomes(run.Queued); got.Reason != fmt.Sprintf("Nomad placed 0 of 2 workers within %s: taken back, to be sent again when all fit", "5m") {
		t.Errorf("it waits for %q", got.Reason)
	}
}

func TestAPartThatComesBackIsPendingAgainAndIsTakenBackInTheEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.startOne()
	r.cluster.Set(r.child, 0, func(w *run.Worker) { w.State = run.WorkerUnknown })
	r.becomes(run.Degraded)
	r.cluster.Set(r.child, 0, nomadtest.Start)
	if got := r.becomes(run.Pending); !strings.HasPrefix(got.Reason, "1 of 2 workers run; worker 1 waits for a place") {
		t.Errorf("reason is %q", got.Reason)
	}
	r.cluster.Set(r.child, 0, func(w *run.Worker) { w.State = run.WorkerUnknown })
	r.becomes(run.Degraded)
	r.skip.Store(int64(run.PlacementTimeout))
	r.cluster.Set(r.child, 0, func(w *run.Worker) { w.Detail = "seen again" })
	r.becomes(run.Stopping)
	if got := r.becomes(run.Queued); !strings.HasPrefix(got.Reason, "Nomad placed 1 of 2 workers") {
		t.Errorf("reason is %q", got.Reason)
	}
}

// newPartRig is newRig with three workers, 1000 steps and retries, of which Nomad has placed two.
func newPartRig(t *testing.T) *rig {
	t.Helper()
	r := newRigOf(t, run.Run{ID: "r-0000000001", State: run.Queued, Shape: run.Shape{Nodes: 3}, StepsTotal: 1000, InnerSteps: 50, Options: run.Options{Retries: 1}})
	r.cluster.Set(r.child, 0, nomadtest.Start)
	r.cluster.Set(r.child, 1, nomadtest.Start)
	r.eventually("what runs is told", func() bool { return strings.HasPrefix(r.run().Reason, "2 of 3 workers run") })
	return r
}

// TestAWorkerThatComesAfterTheEndIsStopped has Nomad give the place that worker 0 left to worker 2, which waits for worker 0.
func TestAWorkerThatComesAfterTheEndIsStopped(t *testing.T) {
	t.Parallel()
	r := newPartRig(t)
	r.leaves(0, 1000, 0)
	r.leaves(1, 1000, 0)
	r.cluster.Set(r.child, 2, nomadtest.Start)
	r.cluster.Print(r.child, 0, finished)
	r.becomes(run.Stopping)
	r.eventually("Nomad is told to stop it", func() bool { return r.cluster.Calls("Stop") > 0 })
	r.cluster.Set(r.child, 2, nomadtest.End(143))
	if got := r.becomes(run.Succeeded); got.Reason != "finished, but worker 2 (node-1) was stopped" || got.Retried != 0 {
		t.Errorf("it is %+v", got)
	}
}

func TestAWorkerThatFindsNobodyAfterTheEndIsNoFailure(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ said, reason string }{
		"and worker 0 said so":      {finished, "finished, but worker 2 (node-1) exited with code 75"},
		"and worker 0 said nothing": {"", "finished, but no worker reported a step or the end of training; worker 2 (node-1) exited with code 75"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newPartRig(t)
			for rank := range 2 {
				r.cluster.Print(r.child, rank, c.said)
				r.cluster.Set(r.child, rank, nomadtest.End(0))
			}
			r.cluster.Set(r.child, 2, nomadtest.Start)
			r.cluster.Set(r.child, 2, nomadtest.End(run.ExitRendezvous))
			if got := r.becomes(run.Succeeded); got.Reason != c.reason || got.Retried != 0 {
				t.Errorf("it is %+v", got)
			}
		})
	}
}
