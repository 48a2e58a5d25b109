package cli

import (
	"context"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
)

type templateDeleteCmd struct {
	Remote    `embed:""`
	InProject `embed:""`
	Name      string `arg:"" help:"Name of the template."`
	Yes       bool   `help:"Confirms that all its versions are deleted for good."`
}

// Run deletes the template.
func (c *templateDeleteCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	if !c.Yes {
		return fault.Usage("deleting template "+c.Name+" removes all its versions for good; runs stay", "add --yes to do it")
	}
	if err := cl.DeleteTemplate(ctx, c.project(p), c.Name); err != nil {
		return err
	}
	return p.deleted(c.Format, c.Name)
}
