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

const maxQuery = 100 // bytes

// Show shows every metric of a run.
func (p *Pages) Show(w http.ResponseWriter, r *http.Request) error {
	return p.Runs.Tab(w, r, runviews.TabMetrics, func(ctx context.Context, f runviews.Frame) (templ.Component, error) {
		all, err := p.list(ctx, f.Run)
		if err != nil {
			return nil, err
		}
		d, err := p.ask(r, f.Run, all)
		return view.Content(d), err
	})
}

// ask reads how the page is shown: as the address says, or else as it was saved. What its scripts alone understand is handed back to
// them unread.
func (p *Pages) ask(r *http.Request, of run.Run, all []view.Metric) (view.Detail, error) {
	q := r.URL.Query()
	saved, err := p.Store.Layout(r.Context(), of.Project, run.LayoutMetrics)
	if err != nil {
		return view.Detail{}, err
	}
	d := view.Detail{Run: of, All: all, Notice: notices[q.Get(paramDone)], Query: page.Text(q.Get("q"), maxQuery), Table: q.Has("table"), Saved: saved != "", Applied: saved != "" && !saysView(q)}
	if d.Applied {
		q = drawable(savedView(saved), all)
	}
	d.Layout = layoutOf(q).Encode()
	d.Shown, _ = strconv.Atoi(q.Get("replaced"))
	d.Axis, d.Smooth, d.Workers = cmp.Or(page.Text(q.Get("x"), maxQuery), string(chart.Step)), page.Text(q.Get("smooth"), maxQuery), page.Text(q.Get("workers"), maxQuery)
	d.Clip, d.LogX = q.Has("clip"), q.Has("logx")
	d.Charts = q["chart"][:min(len(q["chart"]), chart.MaxMetrics)]
	d.Own = q["formula"][:min(len(q["formula"]), chart.MaxMetrics-len(d.Charts))]
	return d, nil
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
	listed := func(d chart.Derived) view.Metric {
		m := view.Metric{Name: d.Name, Formula: d.Formula}
		i, ok := slices.BinarySearchFunc(summaries, d.From, func(s points.Summary, name string) int { return cmp.Compare(s.Metric, name) })
		if !ok || d.Name == chart.Planned { // which does not rise with what it is derived from
			return m
		}
		s := summaries[i]
		m.Known, m.Points, m.Step, m.Steps = true, s.Points, s.Last, s.Last <= run.MaxStep
		m.Last, m.Low, m.High = d.Of(s.Last, s.Value), d.Of(s.Last, s.Low), d.Of(s.Last, s.High)
		return m
	}
	out := make([]view.Metric, 0, len(names))
	for _, name := range names {
		out = append(out, listed(chart.Derived{Name: name, From: name}))
	}
	for _, d := range chart.DerivedOf(names, of) {
		out = append(out, listed(d))
	}
	slices.SortFunc(out, func(a, b view.Metric) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}
