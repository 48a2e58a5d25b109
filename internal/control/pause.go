package control

import (
	"context"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

// pause has a run's workers stopped, now or when they have saved the next checkpoint, and holds the run until it is resumed.
func (c *Control) pause(ctx context.Context, actor string, id run.ID, when run.PauseWhen) error {
	r, err := c.o.Store.Run(ctx, id)
	if err != nil {
		return err
	}
	p := run.Pausing{When: when}
	points, err := c.resumePoints(ctx, r)
	if err != nil {
		return err
	}
	if len(points) > 0 {
		p.From = points[0].Step
	}
	saved, err := c.o.Store.SavedCheckpoints(ctx, id)
	if err != nil {
		return err
	}
	whole, err := r.NewestWhole(ctx, saved, seen{c})
	if err != nil {
		return err
	}
	p.After = whole.Step
	if p.Next, err = c.nextCheckpoint(ctx, r); err != nil {
		return err
	}
	return c.change(ctx, id, func(u *store.Update) error {
		p.Gone = u.Run.Gone(u.Workers)
		if err := u.Record(u.Run.Pause(u.Attempt, p, actor, c.o.Now())); err != nil {
			return err
		}
		if u.Run.State == run.Stopping {
			u.StopJob()
		}
		return nil
	})
}

// resume lets a paused run take its turn again.
func (c *Control) resume(ctx context.Context, actor string, id run.ID, from run.ResumeChoice) error {
	r, err := c.o.Store.Run(ctx, id)
	if err != nil {
		return err
	}
	if !r.Withdraws() {
		if from, err = c.checkChoice(ctx, r, from); err != nil {
			return err
		}
	}
	return c.change(ctx, id, func(u *store.Update) error {
		return u.Record(u.Run.Resume(u.Attempt, from, actor, c.o.Now()))
	})
}
