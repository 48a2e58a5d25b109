package cli

import (
	"context"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

type sweepDeleteCmd struct {
	Remote `embed:""`
	ID     run.SweepID `arg:"" help:"ID of the sweep."`
	Yes    bool        `help:"Confirms that its runs are deleted for good, with their metrics, events and logs."`
}

// Run deletes the sweep.
func (c *sweepDeleteCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	if !c.Yes {
		return fault.Usage("deleting sweep "+string(c.ID)+" removes its runs with their metrics, events and logs for good; checkpoints stay where they are", "add --yes to do it")
	}
	if err := cl.DeleteSweep(ctx, c.ID); err != nil {
		return err
	}
	return p.deleted(c.Format, string(c.ID))
}
