package cli

import (
	"context"

	"github.com/alecthomas/kong"

	"github.com/cotrain/cotrain/internal/config"
)

type logsMigrateCmd struct {
	kong.Plugins // where the console's data is
	Local        `embed:""`
	To           string `required:"" enum:"s3,folder" placeholder:"s3|folder" help:"Where to copy: s3, the store that logs.s3_bucket names, or folder, the data folder."`
	Delete       bool   `help:"Delete the blocks where they were, once all are copied. The console must be stopped."`
}

// Run copies, and says how far it is; its exit code is 1 when blocks are missing or damaged.
func (c *logsMigrateCmd) Run(ctx context.Context, p *process) error {
	cfg, err := config.Load(givenFlags(c.Plugins[0], storeSettings()), p.environ, p.readFile)
	if err != nil {
		return err
	}
	report, clean, err := p.programs.MigrateLogs(ctx, cfg, c.To == "folder", c.Delete, func(line string) { p.say("%s", line) })
	if err != nil {
		return err
	}
	return p.printReport(c.Format, report, clean)
}
