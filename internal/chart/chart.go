package chart

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

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
	X       []float64 // of each column, nil over steps; NaN where the axis has no value
}

// Answer is what a chart draws.
type Answer struct {
	Run    run.ID
	X      Axis
	Curves []Curve // in the order of the query, those with points only
}

// Charts answers queries.
type Charts struct{ store Store }

// New returns charts of what a store has.
func New(s Store) *Charts { return &Charts{s} }

// Answer reads the curves of a run.
func (c *Charts) Answer(ctx context.Context, r run.Run, q Query) (Answer, error) {
	out := Answer{Run: r.ID, X: q.X}
	names, err := c.store.Metrics(ctx, r.ID)
	if err != nil {
		return out, err
	}
	a := asked{Charts: c, run: r, query: q, derived: derivedOf(names, sequenceLength(r))}
	for _, m := range q.Metrics {
		for _, worker := range a.workers(ctx, m) {
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
	derived []Derived
	ranks   []int
}

// workers are the ranks to draw of a metric.
func (a *asked) workers(ctx context.Context, metric string) []int {
	if a.query.Workers != EachWorker {
		return []int{int(a.query.Workers)}
	}
	if a.ranks == nil {
		for rank := range min(a.run.Shape.Nodes, MaxOfEach) {
			a.ranks = append(a.ranks, rank)
		}
	}
	return a.ranks
}

func (a *asked) curve(ctx context.Context, metric string, worker int) (Curve, error) {
	out := Curve{Metric: metric, Worker: worker}
	f, err := a.formula(metric, &out)
	if err != nil {
		return out, err
	}
	operand := metric
	if f != nil {
		operand = f.Metrics[0]
	}
	from, to, err := a.steps(ctx, operand, worker)
	if err != nil || from > to {
		return out, err
	}
	q := points.ViewQuery{Worker: worker, From: from, To: to, Limit: a.query.Pixels, Smooth: a.query.Smooth, Replaced: a.query.Replaced, Total: totalled[metric]}
	if f == nil {
		out.View, err = a.store.View(ctx, a.run.ID, metric, q)
	} else {
		out.View, err = a.evaluate(ctx, f, q)
	}
	if err != nil || len(out.View.Columns) == 0 {
		return out, err
	}
	out.Clock = out.View.Columns[0].First > run.MaxStep
	out.X, err = a.axis(ctx, out, worker)
	return out, err
}

// formula is that of a metric which is computed, nil for others.
func (a *asked) formula(metric string, out *Curve) (*Formula, error) {
	if text, ok := strings.CutPrefix(metric, "="); ok {
		return ParseFormula(text)
	}
	i := slices.IndexFunc(a.derived, func(d Derived) bool { return d.Name == metric })
	if i < 0 {
		return nil, nil
	}
	out.Formula = a.derived[i].Formula
	return ParseFormula(out.Formula)
}

// totalled are the metrics whose value over workers is their sum.
var totalled = map[string]bool{"tokens_per_second": true, "samples_per_second": true}

// block is how many points of each metric a formula reads at once.
const block = 1 << 15

// evaluate computes a formula at each step that all its metrics have, from their values over the workers.
func (a *asked) evaluate(ctx context.Context, f *Formula, q points.ViewQuery) (series.View, error) {
	of := q
	of.Smooth, of.Total = series.Smoothing{}, false
	first, err := a.store.View(ctx, a.run.ID, f.Metrics[0], of)
	if err != nil || len(first.Columns) == 0 {
		return series.View{}, err
	}
	build, newest := series.NewBuilder(first.Width), map[int64]float64{}
	from := q.From
	if q.Smooth != (series.Smoothing{}) {
		from = math.MinInt64 // all earlier points count
	}
	smooth := q.Smooth.Smoother(func(p run.CurvePoint) bool {
		if p.Step >= q.From && p.Step <= q.To {
			build.Add(p)
			newest[int64(len(build.View().Columns))] = p.Mean
		}
		return p.Step <= q.To
	})
	err = a.each(ctx, f, q.Worker, from, func(p run.CurvePoint) bool { return smooth.Add(p) })
	smooth.End()
	v := build.View()
	if q.Smooth != (series.Smoothing{}) {
		for i := range v.Columns {
			v.Columns[i].Value = newest[int64(i)+1]
		}
	}
	return v, err
}

// each calls take with a formula's value at each step from one on, until it returns false.
func (a *asked) each(ctx context.Context, f *Formula, worker int, from int64, take func(run.CurvePoint) bool) error {
	columns := make([][]run.CurvePoint, len(f.Metrics))
	values := make([]float64, len(f.Metrics))
	for more := true; more; {
		to := int64(math.MaxInt64)
		for i, m := range f.Metrics {
			columns[i] = columns[i][:0]
			err := a.store.Each(ctx, a.run.ID, m, worker, from, to, func(p run.CurvePoint) bool {
				columns[i] = append(columns[i], p)
				return i > 0 || len(columns[0]) < block
			})
			if err != nil {
				return err
			}
			if i == 0 && len(columns[0]) == block {
				to = columns[0][block-1].Step
			}
		}
		more = to < math.MaxInt64
		joinSteps(columns, func(points []run.CurvePoint) {
			for i, p := range points {
				values[i] = valueOf(f.Metrics[i], p)
			}
			p := points[0]
			p.Mean = f.eval(values)
			p.Min, p.Max, p.Sum = p.Mean, p.Mean, p.Mean
			more = take(p) && more
		})
		from = to + 1
	}
	return nil
}

func valueOf(metric string, p run.CurvePoint) float64 {
	if totalled[metric] {
		return p.Sum
	}
	return p.Mean
}

// joinSteps calls take with the points of each step that all columns have.
func joinSteps(columns [][]run.CurvePoint, take func([]run.CurvePoint)) {
	at := make([]int, len(columns))
	same := make([]run.CurvePoint, len(columns))
next:
	for _, p := range columns[0] {
		same[0] = p
		for i := 1; i < len(columns); i++ {
			for at[i] < len(columns[i]) && columns[i][at[i]].Step < p.Step {
				at[i]++
			}
			if at[i] == len(columns[i]) {
				return
			}
			if columns[i][at[i]].Step != p.Step {
				continue next
			}
			same[i] = columns[i][at[i]]
		}
		take(same)
	}
}
