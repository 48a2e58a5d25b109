package cli

import (
	"context"
	"fmt"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

type runReproduceCmd struct {
	Remote `embed:""`
	ID     run.ID `arg:"" help:"ID of the run."`
}

// Run prints the shell line that makes the same run.
func (c *runReproduceCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	d, err := cl.Run(ctx, c.ID)
	if err != nil {
		return err
	}
	line, err := reproduce(d.Run)
	if err != nil {
		return err
	}
	if c.Format == "json" {
		return p.printJSON(map[string]string{"id": string(d.Run.ID), "command": line})
	}
	return p.printText(line)
}

// reproduce is the shell line that makes the same run.
func reproduce(r run.Run) (string, error) {
	req, err := trainconf.RequestOfRun(r)
	if err != nil {
		return "", fmt.Errorf("the configuration of run %s is not one that this version knows: %s", r.ID, err.Error())
	}
	return req.CommandLine(r.Project), nil
}
