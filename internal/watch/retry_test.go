package watch_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/nomad/nomadtest"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

// newRetryRig is newRig with options for its run.
func newRetryRig(t *testing.T, o run.Options) *rig {
	t.Helper()
	return newRigOf(t, run.Run{ID: "r-0000000001", State: run.Queued, Shape: run.Shape{Nodes: 2}, InnerSteps: 5, Options: o})
}

func (r *rig) startBoth() {
	r.t.Helper()
	r.cluster.Set(r.child, 0, nomadtest.Start)
	r.cluster.Set(r.child, 1, nomadtest.Start)
	r.becomes(run.Running)
}

func (r *rig) wasReleased() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Contains(r.released, r.id)
}

// newest returns the newest event that is a change of state.
func (r *rig) newest() run.Event {
	r.t.Helper()
	evs, err := r.store.Events(r.t.Context(), r.id, 0, 100)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, ev := range slices.Backward(evs) {
		if ev.Kind == "state" {
			return ev
		}
	}
	r.t.Fatal("there is no event")
	return run.Event{}
}

func TestAFailedAttemptGoesBackToTheQueue(t *testing.T) {
	t.Parallel()
	r := newRetryRig(t, run.Options{Retries: 2})
	r.startBoth()
	r.cluster.Set(r.child, 0, nomadtest.End(1))
	r.becomes(run.Stopping) // worker 1 cannot go on
	r.cluster.Set(r.child, 1, nomadtest.End(143))
	got := r.becomes(run.Queued)
	const why, told = "attempt 1 failed: worker 0 (node-1) exited with code 1; attempt 2 follows: retry 1 of 1, the limit for unknown (the run allows 2)",
		"attempt 1 failed: worker 0 (node-1) exited with code 1; attempt 2 follows in 10s: retry 1 of 1, the limit for unknown (the run allows 2)"
	if got.Reason != why || got.Retried != 1 || got.NotBefore.IsZero() || got.Progress.Participants != 0 || got.StartedAt.IsZero() || !got.EndedAt.IsZero() {
		t.Errorf("it waits as %+v", got)
	}
	if ev := r.newest(); ev.Message != told || ev.Actor != "cotrain" || ev.Level != "warning" || ev.Attempt != 1 || ev.To != run.Queued {
		t.Errorf("event is %+v", ev)
	}
	as, err := r.store.Attempts(t.Context(), r.id)
	if err != nil || len(as) != 1 || as[0].EndedAt.IsZero() {
		t.Errorf("attempts %+v, %v", as, err)
	}
	r.eventually("the queue is told", r.wasReleased)
	if h := r.history(); h != "running degraded stopping queued" {
		t.Errorf("history is %q", h)
	}
}

func TestALostWorkerIsStoppedBeforeAnotherAttempt(t *testing.T) {
	t.Parallel()
	r := newRetryRig(t, run.Options{Retries: 1})
	r.startBoth()
	for rank := range 2 { // Nomad keeps the job: a node may come back
		r.cluster.Set(r.child, rank, func(w *run.Worker) { w.State = run.WorkerLost })
	}
	r.eventually("it waits for another attempt", func() bool { // the logs of lost nodes are waited for only so long
		r.skip.Add(int64(time.Minute))
		r.cluster.Set(r.child, 1, func(w *run.Worker) { w.Detail += "." })
		got, err := r.store.Run(t.Context(), r.id)
		return err == nil && got.State == run.Queued
	})
	r.eventually("Nomad is told that nobody waits for them", func() bool { return r.cluster.Calls("Stop") > 0 })
}

func TestWhatCannotPassIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	r := newRetryRig(t, run.Options{Retries: 2})
	for rank := range 2 {
		r.cluster.Set(r.child, rank, nomadtest.End(run.ExitUsage))
	}
	if got := r.becomes(run.Failed); !strings.Contains(got.Reason, "exited with code 2; not tried again: unchanged it would fail in the same way") {
		t.Errorf("reason is %q", got.Reason)
	}
}

func TestTakenPortsAreTriedAgainWithoutRetries(t *testing.T) {
	t.Parallel()
	r := newRetryRig(t, run.Options{})
	for rank := range 2 {
		r.cluster.Set(r.child, rank, nomadtest.End(run.ExitPorts))
	}
	if got := r.becomes(run.Queued); got.Retried != 0 || got.PortConflicts != 1 || !strings.Contains(got.Reason, "attempt 2 follows: its ports were taken") {
		t.Errorf("it is %+v", got)
	}
}

func TestAStopOfWhatCouldNotGoOnIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	r := newRetryRig(t, run.Options{Retries: 2})
	r.startBoth()
	r.cluster.Set(r.child, 0, nomadtest.End(1))
	r.becomes(run.Stopping)
	r.update(func(u *store.Update) error { u.Run.StopRequested = true; return nil })
	r.cluster.Set(r.child, 1, nomadtest.End(143))
	r.becomes(run.Stopped)
}

func TestARunIsStoppedAfterItsMaximumDuration(t *testing.T) {
	t.Parallel()
	r := newRetryRig(t, run.Options{MaxDuration: 9000, Retries: 3})
	r.startBoth()
	r.skip.Store(int64(9000*time.Second - time.Minute))
	r.cluster.Set(r.child, 1, func(w *run.Worker) { w.Detail = "seen" })
	r.eventually("it was looked at", func() bool {
		ws, err := r.store.Workers(t.Context(), r.id)
		return err == nil && ws[1].Detail == "seen"
	})
	if got := r.becomes(run.Running); got.StopRequested {
		t.Error("it is stopped before its time")
	}
	r.skip.Store(int64(9001 * time.Second))
	r.cluster.Set(r.child, 1, func(w *run.Worker) { w.Detail = "seen again" })
	const why = "stopped after its maximum duration of 2h30m"
	if got := r.becomes(run.Stopping); got.Reason != why || !got.StopRequested {
		t.Errorf("it is %+v", got)
	}
	if ev := r.newest(); ev.Actor != "cotrain" || ev.Message != why {
		t.Errorf("event is %+v", ev)
	}
	r.eventually("Nomad is told", func() bool { return r.cluster.Calls("Stop") > 0 })
	for rank := range 2 {
		r.cluster.Set(r.child, rank, nomadtest.End(143))
	}
	if got := r.becomes(run.Stopped); got.Reason != why {
		t.Errorf("it ended for the reason %q", got.Reason)
	}
}
