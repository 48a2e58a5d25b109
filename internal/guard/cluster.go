package guard

import (
	"context"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/measure"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// Cluster reads the nodes.
type Cluster interface {
	Nodes(ctx context.Context) ([]run.Node, error)
	MeasureGPUs(ctx context.Context, nodes []run.Node)
}

// Survey has the cluster measured; see package survey.
type Survey interface {
	Measure(ctx context.Context, actor string, c measure.Choice) (measure.Measurement, error)
	StopMeasurement(ctx context.Context, actor, id string) (measure.Measurement, error)
	Known() *measure.Known
}

// Measure starts a measurement of nodes and the network between them; [fault.ErrConflict] while another goes on.
func (g *Guard) Measure(ctx context.Context, c measure.Choice) (measure.Measurement, error) {
	if err := g.anywhere(ctx, access.ClusterMeasure); err != nil {
		return measure.Measurement{}, err
	}
	ctx, _ = audit.Begin(ctx, g.entry(ctx, access.ClusterMeasure, "", access.Subject{}))
	return g.o.Survey.Measure(ctx, access.From(ctx).Name, c)
}

// StopMeasurement ends a measurement; [fault.ErrConflict] when it has ended.
func (g *Guard) StopMeasurement(ctx context.Context, id string) (measure.Measurement, error) {
	if err := g.anywhere(ctx, access.ClusterMeasure); err != nil {
		return measure.Measurement{}, err
	}
	ctx, _ = audit.Begin(ctx, g.entry(ctx, access.ClusterMeasure, "", access.Subject{}))
	return g.o.Survey.StopMeasurement(ctx, access.From(ctx).Name, id)
}

// Measured returns the newest that is known of nodes and the network between them.
func (g *Guard) Measured(ctx context.Context) (*measure.Known, error) {
	if err := g.anywhere(ctx, access.ClusterRead); err != nil {
		return nil, err
	}
	return g.o.Survey.Known(), nil
}

// Nodes returns the nodes of the cluster. Runs on them that who asks may not see have no ID, and count in no failures.
func (g *Guard) Nodes(ctx context.Context) ([]run.Node, error) {
	if err := g.anywhere(ctx, access.ClusterRead); err != nil {
		return nil, err
	}
	nodes, err := g.o.Control.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	seen := visible(ctx, access.RunsRead, run.AllProjects())
	failures, err := g.o.Store.NodeFailures(ctx, seen, g.o.Now().Add(-run.CauseWindow))
	if err != nil {
		return nil, err
	}
	rules := trainconf.RetryRules()
	for at, n := range nodes {
		if f, ok := failures[n.Name]; ok {
			f = f.By(rules)
			nodes[at].Failures = &f
		}
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
