package control

import (
	"context"
	"errors"
	"fmt"
	"slices"

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

// offered is how many checkpoints a person is offered to continue from; others can be named.
const offered = 20

// resumePoints are the newest checkpoints that an attempt of a run could continue from, newest first: see [run.Run.Continuation].
func (c *Control) resumePoints(ctx context.Context, r run.Run) ([]run.ResumePoint, error) {
	saved, err := c.o.Store.SavedCheckpoints(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	r.NextResume = run.ResumeNewest
	next, err := r.Continuation(ctx, saved, seen{c}, offered)
	return next.Points, err
}

// seen are the files of checkpoints as far as they can be seen now: what cannot is looked at again before it is sent.
type seen struct{ c *Control }

// CheckpointProblem implements [run.CheckpointFiles].
func (s seen) CheckpointProblem(ctx context.Context, folder string, shape run.Shape, diloco bool) (lack string, known bool, err error) {
	if s.c.o.Storage == nil || folder == "" {
		return "", false, nil
	}
	lack, known, err = s.c.o.Storage.CheckpointProblem(ctx, folder, shape, diloco)
	if err != nil {
		return "", false, ctx.Err()
	}
	return lack, known, nil
}

// checkChoice returns what a run continues from: the choice, or [run.ResumeStart] for the newest checkpoint of a run without any. It refuses a
// checkpoint that is not there, or not complete.
func (c *Control) checkChoice(ctx context.Context, r run.Run, from run.ResumeChoice) (run.ResumeChoice, error) {
	step, named := from.Step()
	if !named {
		points, err := c.resumePoints(ctx, r)
		if err == nil && len(points) == 0 && r.Attempt > 0 && from == run.ResumeNewest {
			return run.ResumeStart, nil
		}
		return from, err
	}
	r.NextResume = from
	if r.CheckpointPath == "" {
		return from, from.Check(nil)
	}
	lack, known, err := seen{c}.CheckpointProblem(ctx, r.PointAt(step).Folder, r.Shape, r.InnerSteps > 0)
	if err != nil || known && lack == "" {
		return from, err
	}
	if lack == "" { // reports decide
		saved, err := c.o.Store.SavedCheckpoints(ctx, r.ID)
		if err == nil {
			err = from.Check(r.ResumeFrom(saved))
		}
		return from, err
	}
	points, err := c.resumePoints(ctx, r)
	if err != nil {
		return from, err
	}
	err = from.Check(points)
	var fields run.FieldErrors
	if errors.As(err, &fields) {
		fields[0].Rule = "names a checkpoint that cannot be used: " + r.PointAt(step).Folder + " " + lack
	}
	return from, err
}

// Outlook tells what an action on a run would mean now.
func (c *Control) Outlook(ctx context.Context, id run.ID) (run.Outlook, error) {
	r, err := c.o.Store.Run(ctx, id)
	if err != nil {
		return run.Outlook{}, err
	}
	out := run.Outlook{Run: r}
	if out.Points, err = c.resumePoints(ctx, r); err != nil {
		return out, err
	}
	if out.Next, err = c.nextCheckpoint(ctx, r); err != nil {
		return out, err
	}
	ws, err := c.o.Store.Workers(ctx, id)
	if err != nil {
		return out, err
	}
	out.Gone = r.Gone(slices.DeleteFunc(ws, func(w run.Worker) bool { return w.Attempt != r.Attempt }))
	out.Saving, err = c.saving(ctx, id)
	return out, err
}

// nextCheckpoint is about the step at which a run saves next, 0 if it is not known, or the run ends before. Reports of saved checkpoints may be
// newer than its progress.
func (c *Control) nextCheckpoint(ctx context.Context, r run.Run) (int64, error) {
	conf, err := trainconf.Parse([]byte(r.Config))
	if err != nil {
		return 0, nil // accepted by an older version
	}
	var interval int64
	text, _ := conf.Get("ckpt.interval")
	if _, err := fmt.Sscan(text, &interval); err != nil {
		return 0, nil
	}
	saved, err := c.o.Store.SavedCheckpoints(ctx, r.ID)
	if err != nil {
		return 0, err
	}
	whole, err := r.NewestWhole(ctx, saved, seen{c})
	if err != nil {
		return 0, err
	}
	if next := run.NextCheckpoint(max(r.Progress.Step, whole.Step), interval); next <= r.StepsTotal {
		return next, nil
	}
	return 0, nil
}
