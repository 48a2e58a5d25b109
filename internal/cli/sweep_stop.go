package cli

import (
	"context"
	"time"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/run"
)

type sweepStopCmd struct {
	Remote   `embed:""`
	ID       run.SweepID   `arg:"" help:"ID of the sweep."`
	Wait     bool          `help:"Wait until all its runs have ended."`
	Patience time.Duration `default:"5m" help:"With --wait: how long to wait for a console that is away."`
}

// Run stops the runs.
func (c *sweepStopCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	sw, err := cl.StopSweep(ctx, c.ID)
	if err != nil {
		return err
	}
	for c.Wait && liveRuns(sw) > 0 {
		if err := sleep(ctx, p.poll); err != nil {
			return err
		}
		if sw, err = readSweep(ctx, p, cl, c.Patience, sw.ID); err != nil {
			return err
		}
	}
	if c.Format == "json" {
		return p.printJSON(sw)
	}
	return p.print("%s  %s\n", sw.ID, countsText(sw))
}
