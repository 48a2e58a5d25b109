package control

import (
	"cmp"
	"context"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/queue"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// DryRun returns what Submit would do, without doing it: whether Nomad would place the workers now and where, or why
// not. Errors are those of Submit. [trainconf.RunPlaceholder] stands for the run's ID.
func (c *Control) DryRun(ctx context.Context, s run.Submission) (run.DryRun, error) {
	d, err := c.prepare(s, c.around(ctx))
	if err != nil {
		return run.DryRun{}, err
	}
	bad, err := c.foldersInUse(ctx, cmp.Or(s.Project, access.DefaultProject), d)
	if err != nil {
		return run.DryRun{}, err
	}
	if len(bad) > 0 {
		return run.DryRun{}, bad
	}
	out := run.DryRun{Warnings: d.warns}
	if short := c.savesInTime(ctx)(s, d.conf); short != nil {
		out.Warnings = append(out.Warnings, *short)
	}
	if shared := c.sharesFolder(ctx)(s, d.conf, out.Warnings); shared != nil {
		out.Warnings = append(out.Warnings, *shared)
	}
	shape := d.run.Shape
	if out.ParentJob, _, out.Parent, err = c.o.Cluster.Job(ctx, shape); err != nil {
		return run.DryRun{}, err
	}
	if out.Fits, out.Reason, out.Places, err = c.o.Cluster.Plan(ctx, shape, d.run.Options.Priority); err != nil {
		return run.DryRun{}, err
	}
	if out.Places == nil {
		out.Places = []run.Place{} // [] in JSON
	}
	if out.Launch, err = c.launchOf(ctx, d); err != nil {
		return run.DryRun{}, err
	}
	out.Secrets = c.look(ctx, d)
	return out, nil
}

// launchOf returns how a draft would be started.
func (c *Control) launchOf(ctx context.Context, d draft) (run.Launch, error) {
	r, err := d.withID(trainconf.RunPlaceholder)
	if err != nil {
		return run.Launch{}, err
	}
	return c.launch(ctx, r, run.Attempt{RunID: r.ID, Number: 1, Secrets: d.refs})
}

func (c *Control) launch(ctx context.Context, r run.Run, a run.Attempt) (run.Launch, error) {
	l, err := c.o.Cluster.Launch(ctx, r.Shape, queue.DispatchOf(r, a))
	if err != nil {
		return run.Launch{}, err
	}
	l.Config = queue.ConfigOf(r)
	return l, nil
}
