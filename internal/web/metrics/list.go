package metrics

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/a-h/templ"

	"github.com/cotrain/cotrain/internal/chart"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/points"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/metrics"
	runviews "github.com/cotrain/cotrain/views/runs"
)

const (
	maxQuery = 100 // bytes
	maxOwn   = 16  // charts that an address adds
)

// Show shows every metric of a run.
func (p *Pages) Show(w http.ResponseWriter, r *http.Request) error {
	return p.Runs.Tab(w, r, runviews.TabMetrics, func(ctx context.Context, f runviews.Frame) (templ.Component, error) {
		d := ask(r)
		d.Run = f.Run
		var err error
		d.All, err = p.list(ctx, f.Run)
		return view.Content(d), err
	})
}

// ask reads how the page is shown. What its scripts alone understand is handed back to them unread.
func ask(r *http.Request) view.Detail {
	q := r.URL.Query()
	attempt, _ := strconv.Atoi(q.Get("replaced"))
	own := q["formula"]
	return view.Detail{
		Query: page.Text(q.Get("q"), maxQuery), Axis: cmp.Or(page.Text(q.Get("x"), maxQuery), string(chart.Step)), Smooth: page.Text(q.Get("smooth"), maxQuery),
		Workers: page.Text(q.Get("workers"), maxQuery), Shown: attempt, Clip: q.Has("clip"), LogX: q.Has("logx"), Table: q.Has("table"), Own: own[:min(len(own), maxOwn)],
	}
}

// list is the run's metrics by name, with the derived ones.
func (p *Pages) list(ctx context.Context, of run.Run) ([]view.Metric, error) {
	names, err := p.Store.Metrics(ctx, of.ID)
	if err != nil {
		return nil, err
	}
	summaries, err := p.Store.RunMetrics(ctx, of.ID)
	if err != nil {
		return nil, err
	}
	out := make([]view.Metric, 0, len(names))
	for _, name := range names {
		m := view.Metric{Name: name}
		if i, ok := slices.BinarySearchFunc(summaries, name, func(s points.Summary, name string) int { return cmp.Compare(s.Metric, name) }); ok {
			s := summaries[i]
			m = view.Metric{Name: name, Known: true, Points: s.Points, Last: s.Value, Low: s.Low, High: s.High, Step: s.Last, Steps: s.Last <= run.MaxStep}
		}
		out = append(out, m)
	}
	for _, d := range chart.DerivedOf(names, of) {
		out = append(out, view.Metric{Name: d.Name, Formula: d.Formula})
	}
	slices.SortFunc(out, func(a, b view.Metric) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}
