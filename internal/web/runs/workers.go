package runs

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/a-h/templ"

	"github.com/cotrain/cotrain/internal/chart"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/runs"
)

// Workers shows the newest attempt's.
func (p *Pages) Workers(w http.ResponseWriter, r *http.Request) error {
	return p.Tab(w, r, view.TabWorkers, func(ctx context.Context, f view.Frame) (templ.Component, error) {
		u, err := p.usage(ctx, f.Run, r)
		return view.WorkersTab(u), err
	})
}

// workers are the part of the tab that changes with the run's state.
func (p *Pages) workers(ctx context.Context, f view.Frame) (templ.Component, error) {
	workers, err := p.Store.Workers(ctx, f.Run.ID)
	return view.Workers(f.Run, workers, f.Now), err
}

// Usage answers with the table of what workers use now.
func (p *Pages) Usage(w http.ResponseWriter, r *http.Request) error {
	found, err := p.find(r)
	if err != nil {
		return err
	}
	u, err := p.usage(r.Context(), found, r)
	if err != nil {
		return err
	}
	return p.Render(w, r, http.StatusOK, view.UsageTable(u))
}

func (p *Pages) find(r *http.Request) (run.Run, error) {
	id, err := page.RunID(r)
	if err != nil {
		return run.Run{}, err
	}
	return p.Store.Run(r.Context(), id)
}

func (p *Pages) usage(ctx context.Context, of run.Run, r *http.Request) (u view.Usage, err error) {
	u = view.Usage{Run: of, Sort: page.Text(r.URL.Query().Get("sort"), 20), Now: p.Now()}
	if u.Workers, err = p.Store.Workers(ctx, of.ID); err != nil || of.State.Terminal() {
		return u, err
	}
	u.Used, err = p.Store.Used(ctx, of.ID, u.Now.Add(-run.UsedFor))
	return u, err
}

// maxHeatColumns is as many as a screen has pixels for.
const maxHeatColumns = 1000

// Heat answers with the JSON of [chart.Heat]: a metric of each GPU over the last minutes, or over the whole run.
func (p *Pages) Heat(w http.ResponseWriter, r *http.Request) error {
	found, err := p.find(r)
	if err != nil {
		return err
	}
	metric := r.URL.Query().Get("metric")
	if !slices.ContainsFunc(view.HeatMetrics, func(m view.HeatMetric) bool { return m.Name == metric }) {
		return run.FieldErrors{{Field: "metric", Value: page.Text(metric, 40), Rule: "is nothing that is measured of GPUs", Fix: "use " + run.GPUUtilization}}
	}
	minutes, err := page.Number(r, "minutes", 0, 0, 60*24*366)
	if err != nil {
		return err
	}
	columns, err := page.Number(r, "px", 200, 1, maxHeatColumns)
	if err != nil {
		return err
	}
	to := p.Now()
	if !found.EndedAt.IsZero() {
		to = found.EndedAt
	}
	from := found.StartedAt
	if minutes > 0 {
		from = to.Add(-time.Duration(minutes) * time.Minute)
	}
	if found.StartedAt.IsZero() || from.Before(found.StartedAt) {
		from = found.StartedAt
	}
	if from.IsZero() || from.After(to) {
		from = to
	}
	heat, err := chart.New(p.Store).Heat(r.Context(), found, metric, from, to, int(columns))
	if err != nil {
		return err
	}
	body, err := json.Marshal(heat)
	if err != nil {
		return fmt.Errorf("encode the heat map: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "private, no-cache")
	_, _ = w.Write(body) // the client has gone
	return nil
}
