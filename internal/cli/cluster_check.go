package cli

import (
	"context"

	"github.com/alecthomas/kong"

	"github.com/cotrain/cotrain/internal/config"
)

type clusterCheckCmd struct {
	kong.Plugins        // where the cluster is
	Local               `embed:""`
	config.ClusterCheck `embed:""`
}

// Run checks with the console's own settings and rights; its exit code is 1 when something failed. What nodes measure of each other is not
// among it: that takes jobs, which the console sends.
func (c *clusterCheckCmd) Run(ctx context.Context, p *process) error {
	cfg, err := config.Load(givenFlags(c.Plugins[0], clusterSettings()), p.environ, p.readFile)
	if err != nil {
		return err
	}
	report, ok, err := p.programs.CheckCluster(ctx, cfg, c.ClusterCheck)
	if err != nil {
		return err
	}
	return p.printReport(c.Format, report, ok)
}
