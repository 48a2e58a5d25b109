package control

import (
	"cmp"
	"context"

	"github.com/cotrain/cotrain/internal/run"
)

// unnamed stands in for a missing name.
const unnamed = "unnamed"

// LaunchOf returns exactly what would start a submission's workers; it needs no name. Invalid input is
// [run.FieldErrors]. [trainconf.RunPlaceholder] stands for the run's ID.
func (c *Control) LaunchOf(ctx context.Context, s run.Submission) (run.Launch, error) {
	s.Name = cmp.Or(s.Name, unnamed)
	d, err := c.prepare(s, surroundings{secrets: c.registered(ctx)})
	if err != nil {
		return run.Launch{}, err
	}
	return c.launchOf(ctx, d)
}

// Launch returns exactly what started the workers of a run's newest attempt, or will start those of its first, with the
// job as the current job file makes it.
func (c *Control) Launch(ctx context.Context, id run.ID) (run.Launch, error) {
	r, err := c.o.Store.Run(ctx, id)
	if err != nil {
		return run.Launch{}, err
	}
	attempts, err := c.o.Store.Attempts(ctx, id)
	if err != nil {
		return run.Launch{}, err
	}
	if n := len(attempts); n > 0 {
		return c.launch(ctx, r, attempts[n-1])
	}
	all, err := c.o.Store.Secrets(ctx)
	if err != nil {
		return run.Launch{}, err
	}
	refs, _ := r.Options.Secrets.Resolve(r.Project, r.Options.Env, all) // none while it waits for one
	return c.launch(ctx, r, run.Attempt{RunID: id, Number: 1, Secrets: refs})
}
