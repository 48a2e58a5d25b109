package watch

import (
	"context"
	"fmt"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

// saved reads the complete checkpoints of a run that is to be paused at one, or that is being paused, newest first.
func (c *change) saved(ctx context.Context, id run.ID) error {
	r, err := c.w.o.Store.Run(ctx, id)
	if err != nil || r.Pausing == nil && r.StopCause != run.StopPause {
		return err
	}
	saved, err := c.w.o.Store.SavedCheckpoints(ctx, id)
	if err != nil {
		return err
	}
	for _, p := range r.ResumeFrom(saved) {
		if c.w.o.Checkpoints != nil {
			lack, known, err := c.w.o.Checkpoints.CheckpointProblem(ctx, p.Folder, r.Shape, r.InnerSteps > 0)
			if err != nil {
				return err
			}
			if known && lack != "" {
				continue
			}
		}
		c.points = append(c.points, p)
		break // older ones say no more
	}
	return nil
}

// pause has the workers stopped once the time of a pause has come.
func (c *change) pause(u *store.Update, now time.Time) error {
	if !u.Run.PauseDue(c.points) {
		return nil
	}
	why := "paused"
	if u.Run.Pausing.When == run.PauseAtCheckpoint {
		why = fmt.Sprintf("the checkpoint of step %d is complete: pausing", c.points[0].Step)
	}
	return u.Record(u.Run.PauseWorkers(why, now))
}

// followed decides what follows an attempt that has ended: that it was stopped for, or what its end calls for.
func (c *change) followed(u *store.Update, state run.State, why string, now time.Time) (run.State, string) {
	r := &u.Run
	back := r.StopCause == run.StopRollback
	asked := !u.Attempt.Recalled && !back
	if to, reason, ok := r.AfterStop(state); ok {
		if back && c.policed != nil {
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
	switch {
	case len(c.points) == 0 && r.Progress.Step > 0:
		return fmt.Sprintf("paused at step %d without a complete checkpoint: it starts over when it is resumed", r.Progress.Step)
	case len(c.points) == 0:
		return "paused before its first step"
	}
	return fmt.Sprintf("paused at step %d, to continue from step %d", max(r.Progress.Step, c.points[0].Step), c.points[0].Step)
}
