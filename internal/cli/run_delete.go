package cli

import (
	"context"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

type runDeleteCmd struct {
	Remote `embed:""`
	ID     run.ID `arg:"" help:"ID of the run."`
	Yes    bool   `help:"Confirms that its metrics, events and logs are deleted for good."`
}

// Run deletes the run.
func (c *runDeleteCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	if !c.Yes {
		return fault.Usage("deleting run "+string(c.ID)+" removes its metrics, events and logs for good; checkpoints stay where they are", "add --yes to do it")
	}
	if err := cl.DeleteRun(ctx, c.ID); err != nil {
		return err
	}
	return p.deleted(c.Format, string(c.ID))
}

// deleted says what was deleted.
func (p *process) deleted(format, name string) error {
	if format == "json" {
		return p.printJSON(map[string]string{"deleted": name})
	}
	return p.print("%s  deleted\n", p.text(name))
}
