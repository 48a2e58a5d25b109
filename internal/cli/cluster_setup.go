package cli

import (
	"context"
	"fmt"

	"github.com/alecthomas/kong"

	"github.com/cotrain/cotrain/internal/config"
)

type clusterSetupCmd struct {
	kong.Plugins        // where the cluster is
	Local               `embed:""`
	config.ClusterSetup `embed:""`
}

// Run sets up; its exit code is 1 when something failed.
func (c *clusterSetupCmd) Run(ctx context.Context, p *process) error {
	cfg, err := config.Load(givenFlags(c.Plugins[0], clusterSettings()), p.environ, p.readFile)
	if err != nil {
		return err
	}
	report, ok, err := p.programs.SetupCluster(ctx, cfg, c.ClusterSetup)
	if err != nil {
		return err
	}
	return p.printReport(c.Format, report, ok)
}

// printReport prints what a command found; the exit code is 1 where that is not good.
func (p *process) printReport(format string, report fmt.Stringer, ok bool) (err error) {
	if format == "json" {
		err = p.printJSON(report)
	} else {
		err = p.printText(report.String())
	}
	if err == nil && !ok {
		err = exitStatus(exitFailed)
	}
	return err
}
