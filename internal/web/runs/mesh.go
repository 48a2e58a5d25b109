package runs

import (
	"context"
	"maps"
	"net/http"
	"slices"

	"github.com/a-h/templ"

	"github.com/cotrain/cotrain/internal/run"
	view "github.com/cotrain/cotrain/views/runs"
)

// syncsShown is how many of the newest outer steps are listed.
const syncsShown = 20

// Mesh shows the newest outer steps of a run with DiLoCo.
func (p *Pages) Mesh(w http.ResponseWriter, r *http.Request) error {
	return p.Tab(w, r, view.TabMesh, p.mesh)
}

func (p *Pages) mesh(ctx context.Context, f view.Frame) (templ.Component, error) {
	from := max(0, f.Run.Progress.Step-(syncsShown+1)*f.Run.InnerSteps)
	syncs := map[int64]*view.Sync{}
	at := func(step int64) *view.Sync {
		if syncs[step] == nil {
			syncs[step] = &view.Sync{Step: step}
		}
		return syncs[step]
	}
	for _, m := range []struct {
		metric string
		set    func(run.CurvePoint)
	}{
		{"outer_step", func(c run.CurvePoint) { at(c.Step).Outer = whole(c.Max) }},
		{"sync_seconds", func(c run.CurvePoint) { at(c.Step).Seconds, at(c.Step).Slowest = &c.Mean, &c.Max }},
		{"all_reduce_seconds", func(c run.CurvePoint) { at(c.Step).AllReduce = &c.Mean }},
		{"num_peers", func(c run.CurvePoint) { // reported at every step, and of interest at these
			if s := syncs[c.Step]; s != nil {
				s.Peers = whole(c.Min)
			}
		}},
	} {
		curve, err := p.Store.Curve(ctx, f.Run.ID, m.metric, from)
		if err != nil {
			return nil, err
		}
		for _, c := range curve {
			m.set(c)
		}
	}
	v := view.Mesh{Run: f.Run}
	for _, step := range slices.Backward(slices.Sorted(maps.Keys(syncs))) {
		if len(v.Syncs) < syncsShown {
			v.Syncs = append(v.Syncs, *syncs[step])
		}
	}
	return view.MeshTab(v), nil
}

func whole(v float64) *int64 {
	n := int64(v)
	return &n
}
