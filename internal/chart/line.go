package chart

import (
	"context"
	"math"
	"math/bits"
	"slices"
	"strings"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/series"
	"github.com/cotrain/cotrain/internal/store/points"
)

// line is what a curve is computed from: one stored metric as it is, or a value at each step that all of several have.
type line struct {
	metrics []string
	value   func(step int64, values []float64) float64 // nil for a metric as it is; it may change values
	formula string                                     // of a derived metric
}

// line resolves a metric that was asked for.
func (a *asked) line(metric string) (line, error) {
	text, isFormula := strings.CutPrefix(metric, "=")
	f := &Formula{Alone: metric}
	if isFormula {
		var err error
		if f, err = ParseFormula(text); err != nil {
			return line{}, err
		}
	}
	if f.Alone != "" {
		d := a.operand(f.Alone)
		l := line{metrics: []string{d.From}, formula: d.Formula}
		if d.value != nil {
			l.value = func(step int64, v []float64) float64 { return d.value(step, v[0]) }
		}
		return l, nil
	}
	operands := make([]Derived, len(f.Metrics))
	l := line{metrics: make([]string, len(f.Metrics))}
	for i, m := range f.Metrics {
		operands[i] = a.operand(m)
		l.metrics[i] = operands[i].From
	}
	l.value = func(step int64, v []float64) float64 {
		for i, d := range operands {
			v[i] = d.Of(step, v[i])
		}
		return f.eval(v)
	}
	return l, nil
}

// operand is a metric as derived from a stored one; without a value it is that one.
func (a *asked) operand(name string) Derived {
	if i := slices.IndexFunc(a.derived, func(d Derived) bool { return d.Name == name }); i >= 0 {
		return a.derived[i]
	}
	return Derived{Name: name, From: name}
}

func (l line) clock() bool { return strings.HasPrefix(l.metrics[0], run.SystemPrefix) }

// headline reports whether it is computed from metrics of the headline.
func (l line) headline() bool {
	return slices.ContainsFunc(l.metrics, func(m string) bool { return slices.Contains(points.CurveMetrics(), m) })
}

// evaluate is [Points.View] for what is computed, or whose points in range are not those between two steps. It reads twice where
// columns are wider than a step: memory does not grow with the points.
func (a *asked) evaluate(ctx context.Context, l line, q points.ViewQuery, s span) (series.View, error) {
	var few []run.CurvePoint
	var w widths
	err := a.smoothed(ctx, l, q, s, func(p run.CurvePoint) {
		w.add(p.Step)
		if len(few) < q.Limit {
			few = append(few, p)
		}
	})
	if err != nil {
		return series.View{}, err
	}
	width := w.narrowest(q.Limit)
	build, newest := series.NewBuilder(width), []float64{}
	add := func(p run.CurvePoint) {
		smooth := p.Mean
		if p.Mean = p.Sum / float64(p.Workers); l.value != nil || q.Total {
			p.Mean = p.Sum
		}
		build.Add(p)
		newest = append(newest[:len(build.View().Columns)-1], smooth)
	}
	if width > 1 {
		err = a.smoothed(ctx, l, q, s, add)
	} else {
		for _, p := range few {
			add(p)
		}
	}
	v := build.View()
	if q.Smooth != (series.Smoothing{}) {
		for i := range v.Columns {
			v.Columns[i].Value = newest[i]
		}
	}
	return v, err
}

// smoothed calls take with each point of a line in range. Those outside count for the smoothing, too.
func (a *asked) smoothed(ctx context.Context, l line, q points.ViewQuery, s span, take func(run.CurvePoint)) error {
	from, to := q.From, q.To
	if q.Smooth != (series.Smoothing{}) {
		from, to = math.MinInt64, a.settled(l, q.Worker)
	}
	outside := map[int64]bool{} // of those that wait in the smoother, where steps do not tell
	smoother := q.Smooth.Smoother(func(p run.CurvePoint) bool {
		if p.Step >= q.From && p.Step <= q.To && !outside[p.Step] {
			take(p)
		}
		delete(outside, p.Step)
		return p.Step < q.To
	})
	err := a.each(ctx, l, q.Worker, from, to, func(p run.CurvePoint, x float64) bool {
		if s.scattered && !a.query.holds(a.place(p, x)) {
			outside[p.Step] = true
		}
		return smoother.Add(p)
	})
	smoother.End()
	return err
}

// place is where a point stands on the axis; x is its value of the axis' metric.
func (a *asked) place(p run.CurvePoint, x float64) float64 {
	if a.query.X.Metric() == "" {
		return a.clock(p.At.UnixMilli())
	}
	return x
}

// block is how many points are read at once.
const block = 1 << 14

// each calls take with a line's value at each step from one to another, until it returns false, and with what the axis' metric
// has there, NaN for nothing.
func (a *asked) each(ctx context.Context, l line, worker int, from, to int64, take func(p run.CurvePoint, x float64) bool) error {
	operands, own := l.metrics, len(l.metrics)
	var axis Derived
	if m := a.query.X.Metric(); m != "" {
		axis = a.operand(m)
		operands = append(slices.Clone(operands), axis.From)
	}
	total := l.value == nil && run.KnownMetric(l.metrics[0]).Total
	values := make([]float64, len(operands))
	for from <= to {
		rows, err := a.join(ctx, operands, worker, from, to)
		if err != nil || len(rows.points) == 0 {
			return err
		}
		for i, p := range rows.points {
			if rows.has[i] < own {
				continue
			}
			x := math.NaN()
			for n := range operands {
				values[n] = rows.values[n][i]
			}
			if len(operands) > own {
				x = axis.Of(p.Step, values[own])
			}
			if l.value != nil {
				p.Sum = l.value(p.Step, values[:own])
			}
			if total || l.value != nil {
				p.Mean, p.Min, p.Max = p.Sum, p.Sum, p.Sum
			}
			if !take(p, x) {
				return nil
			}
		}
		last := rows.points[len(rows.points)-1].Step
		if len(rows.points) < block || last == math.MaxInt64 {
			return nil
		}
		from = last + 1
	}
	return nil
}

// joined are points of one metric, and the values of others at their steps.
type joined struct {
	points []run.CurvePoint
	values [][]float64 // by metric; NaN for none
	has    []int       // of each point, how many of the first metrics have its step without a gap
}

// join reads the first points of a range. However many points the other metrics have, it keeps those at their steps only.
func (a *asked) join(ctx context.Context, metrics []string, worker int, from, to int64) (joined, error) {
	out := joined{values: make([][]float64, len(metrics))}
	err := a.store.Each(ctx, a.run.ID, metrics[0], worker, from, to, func(p run.CurvePoint) bool {
		out.points = append(out.points, p)
		return len(out.points) < block
	})
	if err != nil || len(out.points) == 0 {
		return out, err
	}
	out.has = make([]int, len(out.points))
	for n, m := range metrics {
		v := make([]float64, len(out.points))
		out.values[n] = v
		for i := range v {
			v[i] = math.NaN()
		}
		total := run.KnownMetric(m).Total
		set := func(i int, p run.CurvePoint) {
			v[i] = valueOf(total, p)
			if out.has[i] == n {
				out.has[i]++
			}
		}
		if n == 0 {
			for i, p := range out.points {
				set(i, p)
			}
			continue
		}
		i := 0
		err := a.store.Each(ctx, a.run.ID, m, worker, out.points[0].Step, out.points[len(out.points)-1].Step, func(p run.CurvePoint) bool {
			for i < len(out.points) && out.points[i].Step < p.Step {
				i++
			}
			if i < len(out.points) && out.points[i].Step == p.Step {
				set(i, p)
			}
			return i < len(out.points)
		})
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

func valueOf(total bool, p run.CurvePoint) float64 {
	if total {
		return p.Sum
	}
	return p.Mean
}

// widths counts the columns that ascending steps would need, of every width at once: two steps share a column of 2^k if they differ
// in no bit from k up.
type widths struct {
	any     bool
	last    int64
	highest [65]int // neighbours whose highest differing bit is n-1
}

func (w *widths) add(step int64) {
	if w.any {
		w.highest[bits.Len64(uint64(w.last^step))]++ //nolint:gosec // bits, not a number
	}
	w.any, w.last = true, step
}

// narrowest is the least width of at most limit columns.
func (w *widths) narrowest(limit int) int64 {
	used := 1
	for n := 64; n > 0; n-- {
		if used += w.highest[n]; used > limit {
			return 1 << min(n, 62)
		}
	}
	return 1
}
