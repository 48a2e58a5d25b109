package runs

import (
	"context"
	"math"
	"net/http"

	"github.com/a-h/templ"

	"github.com/cotrain/cotrain/internal/mesh"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/runs"
)

// roundsShown is how many rounds a page lists.
const roundsShown = 20

// Mesh shows the outer steps of a run with DiLoCo.
func (p *Pages) Mesh(w http.ResponseWriter, r *http.Request) error {
	before, err := page.Number(r, "before", 0, 1, math.MaxInt32)
	if err != nil {
		return err
	}
	return p.Tab(w, r, view.TabMesh, func(ctx context.Context, f view.Frame) (templ.Component, error) {
		m, err := p.mesh(ctx, f, int(before))
		if err != nil {
			return nil, err
		}
		names, err := p.Store.Metrics(ctx, f.Run.ID)
		m.Health = view.HealthCharts(names)
		return view.MeshTab(m), err
	})
}

// meshParts are what of the tab is live.
func (p *Pages) meshParts(ctx context.Context, f view.Frame) (templ.Component, error) {
	m, err := p.mesh(ctx, f, 0)
	return view.MeshParts(m), err
}

func (p *Pages) mesh(ctx context.Context, f view.Frame, before int) (view.Mesh, error) {
	m := view.Mesh{Run: f.Run, Before: before, Now: f.Now}
	rounds, err := p.Rounds.Of(ctx, p.Store, f.Run)
	if err != nil {
		return m, err
	}
	known, err := p.Survey.Measured(ctx)
	if err != nil { // who may not see the cluster has no numbers of it
		known = nil
	}
	m.Report = rounds.Report(f.Run, known, mesh.Page{Before: before, Limit: roundsShown})
	return m, nil
}
