package cli

import (
	"context"

	"github.com/alecthomas/kong"

	"github.com/cotrain/cotrain/internal/config"
)

type logsVerifyCmd struct {
	kong.Plugins // where the console's data is
	Local        `embed:""`
}

// Run verifies; its exit code is 1 when something is missing, damaged or stray.
func (c *logsVerifyCmd) Run(ctx context.Context, p *process) error {
	cfg, err := config.Load(givenFlags(c.Plugins[0], storeSettings()), p.environ, p.readFile)
	if err != nil {
		return err
	}
	report, clean, err := p.programs.VerifyLogs(ctx, cfg, func(line string) { p.say("%s", line) })
	if err != nil {
		return err
	}
	return p.printReport(c.Format, report, clean)
}
