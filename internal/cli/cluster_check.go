package cli

import (
	"cmp"
	"context"

	"github.com/alecthomas/kong"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/config"
)

type clusterCheckCmd struct {
	kong.Plugins        // where the cluster is
	Local               `embed:""`
	config.ClusterCheck `embed:""`

	Measure bool `help:"Have the console at COTRAIN_ADDR measure nodes and network too, as cotrain cluster measure does."`
}

// Run checks with the console's own settings and rights; its exit code is 1 when something failed. What nodes
// measure of each other takes jobs, which a running console sends: it is asked for that.
func (c *clusterCheckCmd) Run(ctx context.Context, p *process) error {
	cfg, err := config.Load(givenFlags(c.Plugins[0], clusterSettings()), p.environ, p.readFile)
	if err != nil {
		return err
	}
	report, ok, err := p.programs.CheckCluster(ctx, cfg, c.ClusterCheck)
	if err != nil {
		return err
	}
	err = p.printReport(c.Format, report, ok)
	if !c.Measure {
		return err
	}
	cl, away := Remote{Format: c.Format}.connect(p)
	if away != nil {
		return cmp.Or(err, away)
	}
	return cmp.Or(p.measureAndPrint(ctx, cl, client.MeasureInput{}, c.Format), err)
}
