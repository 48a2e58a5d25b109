package watch

import (
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

// pending explains what a run with unstarted workers waits for. The run's time counts from its first start.
func (c *change) pending(u *store.Update, now time.Time) (why string) {
	r := &u.Run
	if r.StartedAt.IsZero() && anyStarted(u.Workers) {
		r.StartedAt = firstStart(u.Workers, now)
	}
	return r.PendingReason(c.obs, c.why, r.Progress.UpdatedAt.After(c.attempt.CreatedAt))
}

// recall takes back an attempt that Nomad has not placed in full for too long. It is sent again, in its turn, once all
// workers fit; it counts neither as failure nor as retry.
func (c *change) recall(u *store.Update, now time.Time) error {
	r := &u.Run
	if r.State != run.Pending && r.State != run.Degraded || !r.Overdue(c.obs, c.attempt.CreatedAt, now) {
		return nil
	}
	u.Attempt.Recalled = true
	return u.Record(r.StopWorkers(run.StopOverdue, r.OverdueReason(c.obs), now))
}
