package watch_test

import (
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/nomad/nomadtest"
	"github.com/cotrain/cotrain/internal/run"
)

// TestAWorkerLostByARunThatGoesOnHasItsCause has a worker run out of memory while the other trains on, and finishes.
func TestAWorkerLostByARunThatGoesOnHasItsCause(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.startBoth()
	r.cluster.Print(r.child, 1, oom)
	r.cluster.Set(r.child, 1, nomadtest.End(1))
	lost := r.explained(1)
	if lost.Cause.Category != "cuda_oom" || lost.Cause.Rank != 1 || lost.Cause.Node != "node-1" || lost.Cause.Title == "" || lost.Cause.Hint == "" || len(lost.Cause.Evidence) == 0 || lost.Cause.Evidence[0].Pos == 0 {
		t.Errorf("the cause is %+v", lost.Cause)
	}
	got := r.becomes(run.Degraded)
	if got.Cause != nil || !strings.HasPrefix(got.Reason, strings.TrimSuffix(lost.Cause.Summary, ".")+" (exited with code 1)") {
		t.Errorf("the run has the cause %+v and the reason %q", got.Cause, got.Reason)
	}
	failures, err := r.store.NodeFailures(t.Context(), run.AllProjects(), lost.Cause.At.Add(-time.Hour))
	if err != nil || failures["node-1"].Failures != 1 || failures["node-1"].Causes[0].Category != "cuda_oom" {
		t.Errorf("the node has %+v, %v", failures, err)
	}
	count, err := r.store.CountCause(t.Context(), run.AllProjects(), lost.Cause.Fingerprint, lost.Cause.At.Add(-time.Hour))
	if err != nil || count.Failures != 1 || count.Node != "node-1" {
		t.Errorf("the cause was seen %+v, %v", count, err)
	}
	told := 0
	evs, err := r.store.Events(t.Context(), r.id, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, ev := range evs {
		if ev.Kind == "cause" && ev.Rank == 1 && ev.Actor == run.Console && strings.HasSuffix(ev.Message, "1 of 2 workers is left, without a step since then") {
			told++
		}
	}
	if told != 1 {
		t.Errorf("it is told %d times in %+v", told, evs)
	}
	r.cluster.Print(r.child, 0, finished)
	r.cluster.Set(r.child, 0, nomadtest.End(0))
	r.becomes(run.Succeeded)
	if ws, err := r.store.Workers(t.Context(), r.id); err != nil || ws[1].Cause == nil || ws[0].Cause != nil {
		t.Errorf("at the end the workers are %+v, %v", ws, err)
	}
}

// TestALostWorkerCountsOnceOfAnAttemptThatFailed has the rest of the attempt fail, too.
func TestALostWorkerCountsOnceOfAnAttemptThatFailed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.startBoth()
	r.cluster.Print(r.child, 1, oom)
	r.cluster.Set(r.child, 1, nomadtest.End(1))
	lost := r.explained(1)
	r.cluster.Print(r.child, 0, lostPeer)
	r.cluster.Set(r.child, 0, nomadtest.End(1))
	if got := r.becomes(run.Failed); got.Cause == nil || got.Cause.Rank != 1 || got.Cause.Fingerprint != lost.Cause.Fingerprint {
		t.Fatalf("the cause is %+v", got.Cause)
	} else if got.Cause.Seen.Failures != 1 {
		t.Errorf("it was seen %+v", got.Cause.Seen)
	}
	failures, err := r.store.NodeFailures(t.Context(), run.AllProjects(), lost.Cause.At.Add(-time.Hour))
	if err != nil || failures["node-1"].Failures != 1 {
		t.Errorf("the node has %+v, %v", failures, err)
	}
}

// explained waits for the cause of a worker.
func (r *rig) explained(rank int) run.Worker {
	r.t.Helper()
	var out run.Worker
	r.eventually("the lost worker has a cause", func() bool {
		ws, err := r.store.Workers(r.t.Context(), r.id)
		if err != nil {
			r.t.Fatal(err)
		}
		out = ws[rank]
		return out.Cause != nil
	})
	return out
}
