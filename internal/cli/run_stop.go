package cli

import (
	"context"
	"net/http"
	"time"

	"github.com/cotrain/cotrain/internal/run"
)

type runStopCmd struct {
	Remote   `embed:""`
	ID       string        `arg:"" help:"ID of the run."`
	Wait     bool          `help:"Wait until the run has ended."`
	Patience time.Duration `default:"5m" help:"With --wait: how long to wait for a console that is away."`
}

// Run asks the run to stop.
func (c *runStopCmd) Run(ctx context.Context, p *process) error {
	cl, err := p.connect(c.Remote)
	if err != nil {
		return err
	}
	var r run.Run
	if err := cl.do(ctx, http.MethodPost, runPath(c.ID)+"/stop", struct{}{}, "", &r); err != nil {
		return err
	}
	for c.Wait && !r.State.Terminal() {
		if err := sleep(ctx, p.poll); err != nil {
			return err
		}
		var d runDetail
		if err := p.patiently(ctx, c.Patience, func() error { return cl.get(ctx, runPath(c.ID), nil, &d) }); err != nil {
			return err
		}
		r = d.Run
	}
	if c.Format == "json" {
		return p.printJSON(r)
	}
	return p.print("%s  %s\n", r.ID, p.text(string(r.State)+because(r.Reason)))
}
