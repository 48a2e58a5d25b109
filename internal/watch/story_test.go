package watch_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/nomad/nomadtest"
	"github.com/cotrain/cotrain/internal/run"
)

// killed ends a worker by signal 9.
func killed(w *run.Worker) {
	nomadtest.End(137)(w)
	w.Signal = 9
}

// ago ends a worker some time before.
func ago(d time.Duration, end func(*run.Worker)) func(*run.Worker) {
	return func(w *run.Worker) {
		end(w)
		w.EndedAt = w.EndedAt.Add(-d)
	}
}

const step40 = "12:00:41 [INFO] [Rank 0] step: 40, loss: 3.1\n"

// TestWhatTheAttemptSurvivedIsNotWhyItEnded has a worker run out of memory at step 10, and worker 0 end by itself later, having gone on.
func TestWhatTheAttemptSurvivedIsNotWhyItEnded(t *testing.T) {
	t.Parallel()
	const full = "Traceback (most recent call last):\n  File \"a.py\", line 1, in save\n    f()\nOSError: [Errno 28] No space left on device: 'step_20/model.pt'\n"
	for _, tc := range []struct {
		name, log string
		end       func(*run.Worker)
		state     run.State
		category  string
		reason    string
	}{
		{"killed", step40, killed, run.Queued, run.UnknownCause, "worker 0 (node-1) was ended by signal 9"},
		{"told to end", step40, nomadtest.End(143), run.Queued, "preempted_sigterm", "exited with code 143"},
		{"an error of communication", step40 + lostPeer, nomadtest.End(1), run.Queued, "peer_lost", "exited with code 1"},
		{"an error of its own", step40 + full, nomadtest.End(1), run.Failed, "disk_full", "The disk is full"},
		{"an error of communication of the same sync", lostPeer, nomadtest.End(1), run.Failed, "cuda_oom", "GPU memory ran out"},
	} {
		r := newRetryRig(t, run.Options{Retries: 2})
		r.startBoth()
		r.cluster.Print(r.child, 1, oom)
		r.cluster.Print(r.child, 0, "12:00:01 [INFO] [Rank 0] step: 9, loss: 4.1\n"+tc.log)
		r.cluster.Set(r.child, 1, ago(9*time.Second, nomadtest.End(1)))
		r.explained(1)
		r.cluster.Set(r.child, 0, tc.end)
		got := r.becomes(tc.state)
		if got.Cause == nil || got.Cause.Category != tc.category || !strings.Contains(got.Reason, tc.reason) {
			t.Errorf("%s: %+v, %q", tc.name, got.Cause, got.Reason)
			continue
		}
		if tc.category == "cuda_oom" {
			if got.Cause.Rank != 1 || !slices.Equal(got.Cause.Victims, []int{0}) || len(got.Cause.Also) > 0 {
				t.Errorf("%s: %+v", tc.name, got.Cause)
			}
			continue
		}
		const also = "Worker 1 (node-1) exited with code 1 at step 10 already (GPU out of memory), and the others went on without it."
		if got.Cause.Rank != 0 || len(got.Cause.Victims) > 0 || !slices.Equal(got.Cause.Also, []string{also}) {
			t.Errorf("%s: worker %d, victims %v, also %q", tc.name, got.Cause.Rank, got.Cause.Victims, got.Cause.Also)
		}
	}
}

// TestALossThatWentWrongIsNotWhyAWorkerThatTrainedOnEnded has worker 0 be killed long after worker 1's loss has become NaN.
func TestALossThatWentWrongIsNotWhyAWorkerThatTrainedOnEnded(t *testing.T) {
	t.Parallel()
	var nan strings.Builder
	for _, step := range []string{"2", "3", "4", "5"} {
		nan.WriteString("12:00:01 [INFO] [Rank 0] step: " + step + ", loss: nan\n")
	}
	for name, order := range map[string][]int{"worker 0 first": {0, 1}, "worker 1 first": {1, 0}} {
		r := newRetryRig(t, run.Options{Retries: 2})
		r.startBoth()
		r.cluster.Print(r.child, 1, nan.String()+lostPeer)
		r.cluster.Print(r.child, 0, "12:00:01 [INFO] [Rank 0] step: 5, loss: 3.1\n")
		for _, rank := range order {
			r.cluster.Set(r.child, rank, map[int]func(*run.Worker){0: killed, 1: nomadtest.End(1)}[rank])
		}
		got := r.becomes(run.Queued)
		if c := got.Cause; c == nil || c.Category != run.UnknownCause || c.Rank != 0 || c.Exit != "exit code 137 (signal 9)" && c.Exit != "signal 9" || !slices.Equal(c.Victims, []int{1}) || !slices.Equal(c.Also, []string{"The loss of worker 1 is not finite since step 2."}) {
			t.Errorf("%s: %+v", name, c)
		}
	}
}
