package runs

import (
	"context"
	"net/http"

	"github.com/a-h/templ"

	view "github.com/cotrain/cotrain/views/runs"
)

// Metrics shows the curves, and the names of all that was measured.
func (p *Pages) Metrics(w http.ResponseWriter, r *http.Request) error {
	return p.Tab(w, r, view.TabMetrics, func(ctx context.Context, f view.Frame) (templ.Component, error) {
		names, err := p.Store.Metrics(ctx, f.Run.ID)
		return view.MetricsTab(f, names), err
	})
}
