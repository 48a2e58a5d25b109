package cli

import (
	"context"

	"github.com/cotrain/cotrain/internal/client"
)

type runCloneCmd struct {
	Remote      `embed:""`
	InProject   `embed:""`
	ID          string  `arg:"" help:"ID of the run."`
	Name        string  `help:"Name of the new run (that of the run)."`
	Description *string `placeholder:"TEXT" help:"Free text that is shown with the run."`
	Changes     `embed:""`
	Sending     `embed:""`
}

// Run submits the same run again, with what differs.
func (c *runCloneCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	src, err := c.source()
	if err != nil {
		return err
	}
	src.Clone = c.ID
	return c.send(ctx, p, cl, c.Format, client.Submission{Project: c.project(p), Name: c.Name, Source: described(src, c.Description)})
}
