package watch

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

// saved reads the newest complete checkpoint of a run that is to be paused at one, or that is being paused, and what it would continue from.
func (c *change) saved(ctx context.Context, id run.ID) error {
	r, err := c.w.o.Store.Run(ctx, id)
	if err != nil || r.Pausing == nil && r.StopCause != run.StopPause {
		return err
	}
	saved, err := c.w.o.Store.SavedCheckpoints(ctx, id)
	if err != nil {
		return err
	}
	if c.whole, err = r.NewestWhole(ctx, saved, c.w.o.Checkpoints); err != nil {
		return err
	}
	r.NextResume = run.ResumeNewest
	c.next, err = r.Continuation(ctx, saved, c.w.o.Checkpoints, 1)
	return err
}

// pause has the workers stopped once the time of a pause has come.
func (c *change) pause(u *store.Update, now time.Time) error {
	if !u.Run.PauseDue(c.whole) {
		return nil
	}
	why := "paused"
	if u.Run.Pausing.When == run.PauseAtCheckpoint {
		why = fmt.Sprintf("the checkpoint of step %d is complete: pausing", c.whole.Step)
	}
	return u.Record(u.Run.PauseWorkers(why, now))
}

// followed decides what follows an attempt that has ended: that it was stopped for, or what its end calls for.
func (c *change) followed(u *store.Update, state run.State, why string, now time.Time) (run.State, string) {
	r := &u.Run
	back := r.StopCause == run.StopRollback
	asked := !u.Attempt.Recalled && !back
	if state.Terminal() && (state != run.Failed || r.StopCause.Next() != "") {
		r.NoteReach(c.failure(why))
	}
	if to, reason, ok := r.AfterStop(state); ok {
		if back && c.policed != nil {
			c.policed.Fingerprint, c.policed.Seen = "", run.CauseCount{} // it has not failed of it
			c.policed.Retry = &run.RetryPlan{Again: to == run.Queued, Why: reason}
			u.Attempt.Cause = c.policed
		}
		c.again, c.level = true, "warning"
		if asked {
			c.level = "info"
		}
		if to == run.Paused {
			reason = c.pausedReason(r)
		}
		return to, reason
	}
	switch {
	case state == run.Stopped && r.StopCause == run.StopLoss && c.policed != nil:
		c.policed.Retry = &run.RetryPlan{Why: "not tried again: " + r.StopPolicy(c.by)}
		r.Cause, u.Attempt.Cause = c.policed, c.policed
		return state, why
	case state != run.Failed:
		return state, why
	}
	why, c.again = r.Retry(c.failure(why), c.w.o.Rules.RetryRules(), now)
	r.Cause, u.Attempt.Cause = c.cause, c.cause
	switch {
	case !c.again:
		return state, why
	case r.Pausing != nil:
		return run.Paused, r.PausedFailed(why)
	}
	c.told = r.WithWait(why, now)
	return run.Queued, why
}

// pausedReason says where a paused run stands.
func (c *change) pausedReason(r *run.Run) string {
	at := max(r.Progress.Step, c.whole.Step)
	switch next := c.next.Step(); {
	case next == 0 && at > 0 && r.Excluded() == "":
		return fmt.Sprintf("paused at step %d without a complete checkpoint: it starts over when it is resumed", at)
	case next == 0 && at > 0:
		return fmt.Sprintf("paused at step %d without a complete checkpoint %s, where the loss went wrong: it starts over when it is resumed", at, strings.TrimSpace(r.Excluded()))
	case next == 0:
		return "paused before its first step"
	case next < c.whole.Step && r.Excluded() != "":
		return fmt.Sprintf("paused at step %d, to continue from step %d, the newest complete checkpoint %s", at, next, strings.TrimSpace(r.Excluded()))
	default:
		return fmt.Sprintf("paused at step %d, to continue from step %d", at, next)
	}
}
