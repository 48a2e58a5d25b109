package control

import (
	"context"
	"errors"
	"fmt"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// Act carries out an action on a run; whether Nomad has done its part yet, the run's state tells. What the state does not allow is
// [fault.ErrConflict], and what cannot be chosen [run.FieldErrors].
func (c *Control) Act(ctx context.Context, actor string, id run.ID, a run.Action) error {
	switch a.Act {
	case run.ActPause:
		return c.pause(ctx, actor, id, a.When)
	case run.ActResume:
		return c.resume(ctx, actor, id, a.From)
	case run.ActRestart:
		return c.restart(ctx, actor, id, a.From)
	case run.ActRetry:
		return c.retry(ctx, actor, id, a.From)
	case run.ActStopRetrying:
		return c.stopRetrying(ctx, actor, id)
	case run.ActKill:
		return c.kill(ctx, actor, id)
	}
	return fmt.Errorf("action %q: %w", a.Act, fault.ErrInvalid)
}

// change stores what somebody did to a run, and tells everybody whom it concerns.
func (c *Control) change(ctx context.Context, id run.ID, do func(u *store.Update) error) error {
	u, err := c.o.Store.Update(ctx, id, do)
	if err != nil {
		return err
	}
	c.o.Publisher.PublishRun(u.Run, u.Events...)
	if u.Run.State.Live() {
		c.o.ReconcileSoon(id)
	} else {
		c.o.Queue.Wake() // it waits now, or leaves its place to another
	}
	return nil
}

// resumePoints are the checkpoints that an attempt of a run could continue from, newest first: those that every worker reported, without
// those that are seen to be broken. why says what is wrong with the broken ones, by step.
func (c *Control) resumePoints(ctx context.Context, r run.Run) (points []run.ResumePoint, why map[int64]string, err error) {
	saved, err := c.o.Store.SavedCheckpoints(ctx, r.ID)
	if err != nil {
		return nil, nil, err
	}
	why = map[int64]string{}
	for _, p := range r.ResumeFrom(saved) {
		if c.o.Storage != nil {
			lack, known, err := c.o.Storage.CheckpointProblem(ctx, p.Folder, r.Shape, r.InnerSteps > 0)
			switch {
			case err != nil && ctx.Err() != nil:
				return nil, nil, err
			case err != nil, !known: // it is looked at again before it is sent
			case lack != "":
				why[p.Step] = p.Folder + " " + lack
				continue
			}
		}
		points = append(points, p)
	}
	return points, why, nil
}

// checkChoice refuses to continue from a checkpoint that is not there, or not complete.
func (c *Control) checkChoice(ctx context.Context, r run.Run, from run.ResumeChoice) error {
	step, named := from.Step()
	if !named {
		return nil
	}
	points, why, err := c.resumePoints(ctx, r)
	if err != nil {
		return err
	}
	err = from.Check(points)
	var fields run.FieldErrors
	if errors.As(err, &fields) && why[step] != "" {
		fields[0].Rule = "names a checkpoint that cannot be used: " + why[step]
	}
	return err
}

// Outlook tells what an action on a run would mean now.
func (c *Control) Outlook(ctx context.Context, id run.ID) (run.Outlook, error) {
	r, err := c.o.Store.Run(ctx, id)
	if err != nil {
		return run.Outlook{}, err
	}
	out := run.Outlook{Run: r, KillTimeout: c.o.KillTimeout}
	if out.Points, _, err = c.resumePoints(ctx, r); err != nil {
		return out, err
	}
	evs, err := c.o.Store.EventsBefore(ctx, id, maxSeq, recentEvents)
	if err != nil {
		return out, err
	}
	out.SaveTime, out.Next = run.SaveTime(evs), nextCheckpoint(r)
	return out, nil
}

const (
	maxSeq       = 1<<63 - 1
	recentEvents = 200
)

// nextCheckpoint is about the step at which a run saves next, 0 if it is not known, or the run ends before.
func nextCheckpoint(r run.Run) int64 {
	conf, err := trainconf.Parse([]byte(r.Config))
	if err != nil {
		return 0 // accepted by an older version
	}
	var interval int64
	text, _ := conf.Get("ckpt.interval")
	if _, err := fmt.Sscan(text, &interval); err != nil {
		return 0
	}
	if next := run.NextCheckpoint(r.Progress.Step, interval); next <= r.StepsTotal {
		return next
	}
	return 0
}
