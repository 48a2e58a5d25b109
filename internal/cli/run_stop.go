package cli

import (
	"context"
	"time"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/run"
)

type runStopCmd struct {
	Remote   `embed:""`
	ID       run.ID        `arg:"" help:"ID of the run."`
	Force    bool          `help:"Kill its workers at once, without time to save a checkpoint."`
	Wait     bool          `help:"Wait until the run has ended."`
	Patience time.Duration `default:"5m" help:"With --wait: how long to wait for a console that is away."`
}

// Run stops the run.
func (c *runStopCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	stop := cl.StopRun
	if c.Force {
		stop = cl.KillRun
	}
	r, err := stop(ctx, c.ID)
	if err != nil {
		return err
	}
	for c.Wait && !r.State.Terminal() {
		if err := sleep(ctx, p.poll); err != nil {
			return err
		}
		d, err := patiently(ctx, p, c.Patience, func() (client.RunDetail, error) { return cl.Run(ctx, c.ID) })
		if err != nil {
			return err
		}
		r = client.Stopped{Run: d.Run, Next: d.Run.WhatNext()}
	}
	if c.Format == "json" {
		return p.printJSON(r)
	}
	return p.printNext(r.Run, r.Next)
}
