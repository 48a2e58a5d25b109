// Package cluster serves the pages of the cluster.
package cluster

import (
	"context"
	"errors"
	"net/http"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/cluster"
)

// Runs reads runs.
type Runs interface {
	Run(ctx context.Context, id run.ID) (run.Run, error)
}

// Control reads the nodes of the cluster.
type Control interface {
	Nodes(ctx context.Context) ([]run.Node, error)
	// MeasureGPUs adds GPU statistics.
	MeasureGPUs(ctx context.Context, nodes []run.Node)
}

// Pages are the section's handlers.
type Pages struct {
	*page.Site
	Runs    Runs
	Control Control

	Servers   func() []run.Server   // of Nomad, or nil
	Distances func() *run.Distances // or nil, as what it returns
	Catalog   func() *run.Catalog   // of Consul; the same
	Survey    Survey
}

// Nodes lists the cluster's nodes and who uses them.
func (p *Pages) Nodes(w http.ResponseWriter, r *http.Request) error {
	nodes, err := p.Control.Nodes(r.Context())
	if err != nil {
		return err
	}
	p.Control.MeasureGPUs(r.Context(), nodes)
	list := view.NodeList{Nodes: nodes, Names: map[run.ID]string{}}
	if p.Servers != nil {
		list.Servers = p.Servers()
	}
	if p.Distances != nil {
		list.Distances = p.Distances()
	}
	if p.Catalog != nil {
		if list.Consul = p.Catalog(); list.Consul != nil {
			list.Stale = list.Consul.Join(nodes)
		}
	}
	if list.Network.Known, err = p.Survey.Measured(r.Context()); err != nil {
		return err
	}
	list.Network.May = access.From(r.Context()).MayAnywhere(access.ClusterMeasure)
	for _, n := range nodes {
		for _, u := range n.Uses {
			if _, known := list.Names[u.Run]; known || u.Run == "" {
				continue
			}
			found, err := p.Runs.Run(r.Context(), u.Run)
			if err != nil && !errors.Is(err, fault.ErrNotFound) { // a deleted run shows its ID
				return err
			}
			list.Names[u.Run] = found.Name
		}
	}
	return p.Render(w, r, http.StatusOK, view.NodesPage(p.Frame(r, "Cluster", "cluster"), list))
}
