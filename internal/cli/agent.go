package cli

import (
	"context"

	"github.com/cotrain/cotrain/internal/config"
)

type agentCmd struct {
	config.Agent `embed:""`
}

// Run serves the embedded agent until ctx ends.
func (c *agentCmd) Run(ctx context.Context, p *process) error {
	return p.programs.Agent(ctx, c.Agent, p.logger(config.LogAuto, 0, ""))
}
