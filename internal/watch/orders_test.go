package watch_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/nomad/nomadtest"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

// triedTo waits until a method has been called so many more times.
func (r *rig) triedTo(method string, more int) {
	r.t.Helper()
	want := r.cluster.Calls(method) + more
	r.eventually(fmt.Sprintf("%s is called %d times", method, want), func() bool { return r.cluster.Calls(method) >= want })
}

func (r *rig) noOrders() {
	r.t.Helper()
	r.eventually("no order is left", func() bool {
		orders, err := r.store.Orders(r.t.Context())
		return err == nil && len(orders) == 0
	})
}

func TestAWorkerThatIsLostDoesNotTrainOnAfterItsRun(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]error{
		"Nomad is away":          fmt.Errorf("connection refused: %w", fault.ErrUnavailable),
		"Nomad has trouble":      errors.New("500: rpc error"),
		"Nomad refuses the stop": fmt.Errorf("403: %w", fault.ErrConflict),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.startBoth()
			r.cluster.Fail("Stop", failure)
			r.cluster.Set(r.child, 0, func(w *run.Worker) { w.State = run.WorkerUnknown })
			r.becomes(run.Degraded)
			r.cluster.Set(r.child, 1, nomadtest.End(1))
			r.skip.Store(int64(11 * time.Minute)) // too long for the node of worker 0
			r.cluster.Set(r.child, 0, func(w *run.Worker) { w.Detail = "away" })
			r.eventually("the run has failed", func() bool { // the logs of a lost node are waited for only so long
				r.skip.Add(int64(time.Minute))
				r.cluster.Set(r.child, 0, func(w *run.Worker) { w.Detail += "." })
				got, err := r.store.Run(t.Context(), r.id)
				return err == nil && got.State == run.Failed
			})
			r.triedTo("Stop", 2)
			r.stop()
			r.start()
			r.triedTo("Stop", 2)
			r.cluster.Fail("Stop", nil)
			r.noOrders()
			if _, job, err := r.cluster.Workers(t.Context(), r.child); err != nil || !job.Stopped {
				t.Errorf("the job is %+v, %v", job, err)
			}
		})
	}
}

func TestAStopSaysWhetherItReachedNomad(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.startBoth()
	r.cluster.Fail("Stop", fmt.Errorf("connection refused: %w", fault.ErrUnavailable))
	r.update(func(u *store.Update) error { return u.Stop("ann", run.StopByPerson, time.Now()) })
	reason := func() string {
		got, err := r.store.Run(t.Context(), r.id)
		if err != nil {
			t.Fatal(err)
		}
		return got.Reason
	}
	r.eventually("it says that Nomad does not know", func() bool { return strings.HasPrefix(reason(), "Nomad unreachable") })
	r.cluster.Fail("Stop", nil)
	r.eventually("it says that the workers know", func() bool { return reason() == run.ReasonStopping })
	for rank := range 2 {
		r.cluster.Set(r.child, rank, nomadtest.End(143))
	}
	if got := r.becomes(run.Stopped); got.Reason != "" {
		t.Errorf("it ended for the reason %q", got.Reason)
	}
}

func TestADeletedRunsJobIsPurged(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cluster.Fail("Purge", fmt.Errorf("connection refused: %w", fault.ErrUnavailable))
	for rank := range 2 {
		r.cluster.Set(r.child, rank, nomadtest.End(0))
	}
	r.becomes(run.Succeeded)
	if err := r.store.DeleteRun(t.Context(), r.id); err != nil {
		t.Fatal(err)
	}
	r.triedTo("Purge", 2)
	r.stop()
	r.start()
	r.cluster.Fail("Purge", nil)
	r.eventually("the job is gone", func() bool { return len(r.cluster.Jobs()) == 0 })
	r.noOrders()
}
