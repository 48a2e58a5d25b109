package watch

import (
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

// pending says what a run of which not all workers have started waits for, and lets its time count from the first of them.
func (c *change) pending(u *store.Update, now time.Time) (why string) {
	r := &u.Run
	if r.StartedAt.IsZero() && anyStarted(u.Workers) {
		r.StartedAt = firstStart(u.Workers, now)
	}
	return r.PendingReason(c.obs, c.why, r.Progress.UpdatedAt.After(c.attempt.CreatedAt))
}

// recall takes an attempt back whole of which Nomad has placed only a part for too long. It is sent again, by its turn, once
// all workers fit; that is no failure of the run and no retry.
func (c *change) recall(u *store.Update, now time.Time) error {
	r := &u.Run
	if r.State != run.Pending && r.State != run.Degraded || !r.Overdue(c.obs, c.attempt.CreatedAt, now) {
		return nil
	}
	u.Attempt.Recalled = true
	return u.Record(r.StopWorkers(run.StopOverdue, r.OverdueReason(c.obs), now))
}

// recalled turns the end of an attempt that was taken back into another turn in the queue, unless training has finished or
// somebody asked for a stop meanwhile.
func (c *change) recalled(u *store.Update, state run.State, why string) (run.State, string) {
	if !u.Attempt.Recalled || u.Run.StopRequested || state != run.Failed && state != run.Stopped {
		return state, why
	}
	c.again = true
	why = u.Run.StopReason
	u.Run.StopCause, u.Run.StopReason = "", ""
	return run.Queued, why
}
