package cli

import (
	"context"

	"github.com/alecthomas/kong"

	"github.com/cotrain/cotrain/internal/config"
)

type storeCheckCmd struct {
	kong.Plugins // where the console's data is
	Local        `embed:""`
	Repair       bool `help:"Derive again what can be. The console must be stopped."`
}

// Run checks; its exit code is 1 when something is wrong.
func (c *storeCheckCmd) Run(ctx context.Context, p *process) error {
	cfg, err := config.Load(givenFlags(c.Plugins[0], storeSettings()), p.environ, p.readFile)
	if err != nil {
		return err
	}
	report, clean, err := p.programs.CheckStore(ctx, cfg, c.Repair)
	if err != nil {
		return err
	}
	return p.printReport(c.Format, report, clean)
}
