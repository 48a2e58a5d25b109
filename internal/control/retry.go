package control

import (
	"context"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// restart has another attempt follow the one that is under way.
func (c *Control) restart(ctx context.Context, actor string, id run.ID, from run.ResumeChoice) error {
	r, err := c.o.Store.Run(ctx, id)
	if err != nil {
		return err
	}
	if from, err = c.checkChoice(ctx, r, from); err != nil {
		return err
	}
	points, err := c.resumePoints(ctx, r)
	if err != nil {
		return err
	}
	return c.change(ctx, id, func(u *store.Update) error {
		now := run.Outlook{Run: u.Run, Points: points, Gone: u.Run.Gone(u.Workers)}
		return u.Restart(from, actor, now.Cost(from), c.o.Now())
	})
}

// retry makes another attempt of a run that has ended, or of one that waits for its next attempt, without the wait. A run that writes
// into a folder that another live run uses by now is refused.
func (c *Control) retry(ctx context.Context, actor string, id run.ID, from run.ResumeChoice) error {
	r, err := c.o.Store.Run(ctx, id)
	if err != nil {
		return err
	}
	if from, err = c.checkChoice(ctx, r, from); err != nil {
		return err
	}
	note := ""
	if from != run.ResumeStart {
		note = c.overwritten(ctx, r)
	}
	do := func() error {
		return c.change(ctx, id, func(u *store.Update) error {
			ev, err := u.Run.RetryNow(u.Attempt, from, actor, c.o.Now())
			if err == nil && ev != nil && note != "" {
				ev.Level, ev.Message, u.Run.Reason = "warning", ev.Message+note, u.Run.Reason+note
			}
			return u.Record(ev, err)
		})
	}
	req, err := trainconf.RequestOf(run.Submission{Config: r.Config, Options: r.Options})
	if err != nil || !r.State.Terminal() {
		return do() // accepted by an older version, or it has its folders
	}
	d := draft{run: r, fixed: fixedFolders(req.EffectiveConfig())}
	return c.reserveFolders(ctx, r.Project, []draft{d}, func() (bool, error) { // somebody else may have been quicker, and it has its folders again
		now, err := c.o.Store.Run(ctx, id)
		return err == nil && !now.State.Terminal(), err
	}, do)
}

// stopRetrying ends a run that waits for its next attempt as failed.
func (c *Control) stopRetrying(ctx context.Context, actor string, id run.ID) error {
	return c.change(ctx, id, func(u *store.Update) error { return u.Record(u.Run.StopRetrying(u.Attempt, actor, c.o.Now())) })
}
