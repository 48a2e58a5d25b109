package guard

import (
	"context"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/run"
)

// Cluster reads the nodes.
type Cluster interface {
	Nodes(ctx context.Context) ([]run.Node, error)
	MeasureGPUs(ctx context.Context, nodes []run.Node)
}

// Nodes returns the nodes of the cluster. Runs on them that who asks may not see have no ID.
func (g *Guard) Nodes(ctx context.Context) ([]run.Node, error) {
	if err := g.anywhere(ctx, access.ClusterRead); err != nil {
		return nil, err
	}
	nodes, err := g.o.Control.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	seen := visible(ctx, access.RunsRead, run.AllProjects())
	for _, n := range nodes {
		for i := range n.Uses {
			u := &n.Uses[i]
			if u.Run == "" || seen.All {
				continue
			}
			project, err := g.projectOf(ctx, access.Subject{Kind: access.SubjectRun, ID: string(u.Run)})
			if err != nil || !seen.Include(project) {
				u.Run, u.Job = "", run.OfAnotherProject
			}
		}
	}
	return nodes, nil
}

// MeasureGPUs adds what the nodes' GPUs are doing.
func (g *Guard) MeasureGPUs(ctx context.Context, nodes []run.Node) {
	if access.From(ctx).MayAnywhere(access.ClusterRead) {
		g.o.Control.MeasureGPUs(ctx, nodes)
	}
}
