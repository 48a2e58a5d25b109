package runs

import (
	"context"
	"net/http"

	"github.com/a-h/templ"

	view "github.com/cotrain/cotrain/views/runs"
)

// Workers shows the newest attempt's.
func (p *Pages) Workers(w http.ResponseWriter, r *http.Request) error {
	return p.Tab(w, r, view.TabWorkers, p.workers)
}

func (p *Pages) workers(ctx context.Context, f view.Frame) (templ.Component, error) {
	workers, err := p.Store.Workers(ctx, f.Run.ID)
	return view.Workers(f.Run, workers, f.Now), err
}
