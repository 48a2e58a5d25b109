package chart

import (
	"context"
	"fmt"
	"math"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/series"
	"github.com/cotrain/cotrain/internal/store/points"
)

// Points reads curves.
type Points interface {
	// Metrics returns the sorted names of a run's metrics.
	Metrics(ctx context.Context, id run.ID) ([]string, error)
	// View summarizes a curve, and Each reads it point by point until take returns false.
	View(ctx context.Context, id run.ID, metric string, q points.ViewQuery) (series.View, error)
	Each(ctx context.Context, id run.ID, metric string, worker int, from, to int64, take func(run.CurvePoint) bool) error
}

// History reads what happened.
type History interface {
	EventsBefore(ctx context.Context, id run.ID, before int64, limit int) ([]run.Event, error)
	// Joins returns the first step of each attempt that trained steps again, by attempt.
	Joins(ctx context.Context, id run.ID) ([]points.Join, error)
}

// Store reads what charts show.
type Store interface {
	Points
	History
}

// Curve is one line of a chart.
type Curve struct {
	Metric  string // as asked for
	Worker  int    // its rank, -1 for the curve over all
	Formula string // of a derived metric, or ""
	Clock   bool   // measured by the clock: it has no steps
	View    series.View
	Newest  *run.CurvePoint // where the query asks for it and it is of no replaced part
	X       []float64       // of each column's first point, nil over steps; NaN where the axis has no value
}

// Answer is what a chart draws.
type Answer struct {
	Run    run.ID
	X      Axis
	Curves []Curve // in the order of the query, those with points only
	// Missing says of what was asked for and the run does not have why there is no curve.
	Missing run.FieldErrors
}

// Charts answers queries.
type Charts struct{ store Store }

// New returns charts of what a store has.
func New(s Store) *Charts { return &Charts{s} }

// Answer reads the curves of a run. Those over all workers end where the headline does: see [asked.settled].
func (c *Charts) Answer(ctx context.Context, r run.Run, q Query) (Answer, error) {
	out := Answer{Run: r.ID, X: q.X}
	a, err := c.ask(ctx, r, q)
	if err != nil {
		return out, err
	}
	if out.Missing, err = a.missing(); err != nil {
		return out, err
	}
	for _, m := range q.Metrics {
		for _, worker := range a.workers() {
			curve, err := a.curve(ctx, m, worker)
			if err != nil {
				return out, fmt.Errorf("curve %s of %s: %w", m, r.ID, err)
			}
			if len(curve.View.Columns) > 0 {
				out.Curves = append(out.Curves, curve)
			}
		}
	}
	return out, nil
}

// asked is one query of one run.
type asked struct {
	*Charts
	run     run.Run
	query   Query
	printed []string // names of metrics, sorted
	derived []Derived
}

func (c *Charts) ask(ctx context.Context, r run.Run, q Query) (*asked, error) {
	names, err := c.store.Metrics(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	a := &asked{Charts: c, run: r, query: q, printed: names, derived: DerivedOf(names, r)}
	a.query.Pixels = max(1, min(q.Pixels, maxColumns/(len(a.workers())*max(1, len(q.Metrics)))))
	return a, nil
}

// maxColumns bounds an answer.
const maxColumns = MaxMetrics * MaxWidth

// workers are the ranks to draw of each metric.
func (a *asked) workers() []int {
	if a.query.Workers != EachWorker {
		return []int{int(a.query.Workers)}
	}
	ranks := make([]int, max(1, min(a.run.Shape.Nodes, MaxOfEach)))
	for rank := range ranks {
		ranks[rank] = rank
	}
	return ranks
}

func (a *asked) curve(ctx context.Context, metric string, worker int) (Curve, error) {
	out := Curve{Metric: metric, Worker: worker}
	l, err := a.line(metric)
	if err != nil || a.query.Replaced > 0 && l.value != nil { // what was replaced is shown as it was printed
		return out, err
	}
	out.Formula = l.formula
	span, err := a.span(ctx, l, worker)
	if err != nil || span.from > span.to {
		return out, err
	}
	end := a.settled(l, worker)
	q := points.ViewQuery{
		Worker: worker, From: span.from, To: min(span.to, end), Limit: a.query.Pixels,
		Smooth: a.query.Smooth, Replaced: a.query.Replaced, Total: run.KnownMetric(l.metrics[0]).Total,
	}
	if end < math.MaxInt64 {
		q.Before = end + 1
	}
	if l.value == nil && (!span.scattered || a.query.Replaced > 0) {
		out.View, err = a.store.View(ctx, a.run.ID, l.metrics[0], q)
	} else {
		out.View, err = a.evaluate(ctx, l, q, span)
	}
	if err != nil || len(out.View.Columns) == 0 {
		return out, err
	}
	if a.query.Newest && a.query.Replaced == 0 {
		if out.Newest, err = a.newest(ctx, l, worker, out.View.Columns[len(out.View.Columns)-1].Last); err != nil {
			return out, err
		}
	}
	out.Clock = out.View.Columns[0].First > run.MaxStep
	if out.Clock && a.query.X.Metric() != "" {
		return Curve{}, nil // no steps at which the axis has values
	}
	out.X, err = a.axis(ctx, out, worker)
	return out, err
}

// settled is the last step of a curve. Over all workers it is the headline's while the run is live, so that it does not end with
// steps that some workers have yet to report; the metrics of the headline end there for ever.
func (a *asked) settled(l line, worker int) int64 {
	p := a.run.Progress
	if worker >= 0 || a.query.Replaced > 0 || l.clock() || !p.HasLoss && p.TokensPerSec == 0 || a.run.State.Terminal() && !l.headline() {
		return math.MaxInt64
	}
	return p.Step
}
