package control_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

// works gives a run a state and a worker that runs.
func works(t *testing.T, r *rig, id run.ID, to run.State, workers ...run.Worker) {
	t.Helper()
	_, err := r.store.Update(t.Context(), id, func(u *store.Update) error {
		u.Run.State = to
		for i, w := range workers {
			w.AllocID, w.RunID, w.Attempt, w.Rank = string(id)+string(rune('a'+i)), id, u.Attempt.Number, i
			u.Workers = append(u.Workers, w)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestRunsWithWorkersAreStoppedBeforeTheirAgent(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	alive, over := run.Worker{State: run.WorkerRunning}, run.Worker{State: run.WorkerComplete}
	trains, waits, half, finished := submit(t, r), submit(t, r), submit(t, r), submit(t, r)
	s := submission()
	s.Options.Retries = 1
	retried, err := r.control.Submit(t.Context(), "test", s)
	if err != nil {
		t.Fatal(err)
	}
	works(t, r, trains.ID, run.Running, alive, alive)
	works(t, r, half.ID, run.Pending, alive)
	works(t, r, retried.ID, run.Running, alive, alive)
	works(t, r, finished.ID, run.Running, over, over)

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.control.StopWorking(ctx) }()
	for _, id := range []run.ID{trains.ID, half.ID} {
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
			got, err := r.store.Run(t.Context(), id)
			if err == nil && got.State == run.Stopping && got.StopRequested && got.Reason == "stopped with the console, whose embedded agent ran it" {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("run %s is %s (%s), %v", id, got.State, got.Reason, err)
			}
		}
	}
	works(t, r, trains.ID, run.Stopped)
	select {
	case err := <-done:
		t.Fatalf("it did not wait for the second run: %v", err)
	default:
	}
	works(t, r, half.ID, run.Stopped)
	if err := <-done; err != nil {
		t.Error(err)
	}
	for id, want := range map[run.ID]run.State{waits.ID: run.Pending, retried.ID: run.Running, finished.ID: run.Running} {
		if got, err := r.store.Run(t.Context(), id); err != nil || got.State != want || got.StopRequested {
			t.Errorf("run %s is %s, stop requested %v, %v; want it left %s", id, got.State, got.StopRequested, err, want)
		}
	}

	works(t, r, finished.ID, run.Running, run.Worker{State: run.WorkerPending})
	cancel()
	if err := r.control.StopWorking(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("with no time left: %v", err)
	}
}
