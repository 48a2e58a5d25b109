package cli

import (
	"context"
	"net/http"

	"github.com/cotrain/cotrain/internal/fault"
)

type runDeleteCmd struct {
	Remote `embed:""`
	ID     string `arg:"" help:"ID of the run."`
	Yes    bool   `help:"Confirms that its metrics, events and logs are deleted for good."`
}

// Run deletes the run.
func (c *runDeleteCmd) Run(ctx context.Context, p *process) error {
	if !c.Yes {
		return fault.Usage("deleting run "+c.ID+" removes its metrics, events and logs for good; checkpoints stay where they are", "add --yes to do it")
	}
	cl, err := p.connect(c.Remote)
	if err != nil {
		return err
	}
	if err := cl.do(ctx, http.MethodDelete, runPath(c.ID), nil, "", nil); err != nil {
		return err
	}
	if c.Format == "json" {
		return p.printJSON(map[string]string{"deleted": c.ID})
	}
	return p.print("%s  deleted\n", p.text(c.ID))
}
