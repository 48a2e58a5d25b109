package chart

import (
	"context"
	"math"
	"slices"
	"sort"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/series"
	"github.com/cotrain/cotrain/internal/store/points"
)

// holds reports whether the range has a value of the axis.
func (q Query) holds(x float64) bool { return x >= q.From && x <= q.To }

// whole reports whether the range has no ends.
func (q Query) whole() bool { return math.IsInf(q.From, -1) && math.IsInf(q.To, 1) }

// axis is where the first points of a curve's columns stand on the axis; nil over steps.
func (a *asked) axis(ctx context.Context, c Curve, worker int) ([]float64, error) {
	if a.query.X == Step && !c.Clock {
		return nil, nil
	}
	if m := a.query.X.Metric(); m != "" {
		steps := make([]int64, len(c.View.Columns))
		for i, column := range c.View.Columns {
			steps[i] = column.First
		}
		return a.at(ctx, a.operand(m), worker, steps)
	}
	x := make([]float64, len(c.View.Columns))
	for i, column := range c.View.Columns {
		x[i] = a.clock(column.FirstAt)
	}
	return x, nil
}

// clock is a time of receipt on the axis: Unix seconds, or seconds since the start.
func (a *asked) clock(at int64) float64 {
	if a.query.X == Time {
		return float64(at) / 1000
	}
	return float64(at-a.start()) / 1000
}

// start is when the run's first worker started, Unix milliseconds.
func (a *asked) start() int64 {
	if a.run.StartedAt.IsZero() {
		return a.run.CreatedAt.UnixMilli()
	}
	return a.run.StartedAt.UnixMilli()
}

// farStep is from how many steps on it is faster to look for the next step than to read on.
const farStep = 4096

// at are a metric's values at ascending steps, NaN where it has none.
func (a *asked) at(ctx context.Context, d Derived, worker int, steps []int64) ([]float64, error) {
	x := make([]float64, len(steps))
	for i := range x {
		x[i] = math.NaN()
	}
	last, total := steps[len(steps)-1], run.KnownMetric(d.From).Total
	for i, more := 0, true; more; {
		more = false
		err := a.store.Each(ctx, a.run.ID, d.From, worker, steps[i], last, func(p run.CurvePoint) bool {
			for i < len(steps) && steps[i] < p.Step {
				i++
			}
			if i < len(steps) && steps[i] == p.Step {
				x[i] = d.Of(p.Step, valueOf(total, p))
				i++
			}
			more = i < len(steps) && steps[i]-p.Step > farStep
			return i < len(steps) && !more
		})
		if err != nil {
			return nil, err
		}
	}
	return x, nil
}

// span is the steps of a query's range.
type span struct {
	from, to  int64
	scattered bool // x does not ascend with the steps: which of them are in range is to be asked of each
}

// span finds the range of the query in steps of a line; from is after to where nothing is in range.
func (a *asked) span(ctx context.Context, l line, worker int) (span, error) {
	q, all := a.query, span{from: math.MinInt64, to: math.MaxInt64}
	switch {
	case q.whole() || q.X == Step && l.clock():
		return all, nil
	case q.X == Step:
		return span{from: whole(math.Ceil(q.From)), to: whole(math.Floor(q.To))}, nil
	}
	of := a.operand(l.metrics[0])
	if m := q.X.Metric(); m != "" {
		of = a.operand(m)
	}
	_, from, ascends, err := a.crossing(ctx, of, worker, func(x float64) bool { return x >= q.From })
	if err != nil || !ascends {
		all.scattered = true
		return all, err
	}
	to, _, ascends, err := a.crossing(ctx, of, worker, func(x float64) bool { return x > q.To })
	if err != nil || !ascends {
		all.scattered = true
		return all, err
	}
	return span{from: from, to: to}, nil
}

// maxLooks is more than it takes to see single steps: each sees the 2000th part of what the one before saw.
const maxLooks = 8

// crossing is where x passes a bound: the last step of a metric before, and the first one after. Each look takes the two columns
// around that and looks closer, until they are single steps. ascends is false where x does not.
func (a *asked) crossing(ctx context.Context, d Derived, worker int, passed func(x float64) bool) (before, after int64, ascends bool, err error) {
	q := points.ViewQuery{Worker: worker, From: math.MinInt64, To: math.MaxInt64, Limit: MaxWidth, Total: run.KnownMetric(d.From).Total, Replaced: a.query.Replaced}
	before, after = math.MinInt64, math.MaxInt64
	for range maxLooks {
		v, err := a.store.View(ctx, a.run.ID, d.From, q)
		if err != nil || len(v.Columns) == 0 {
			return before, after, true, err
		}
		x, ascends := a.places(v, d)
		if !ascends {
			return 0, 0, false, nil
		}
		i := sort.Search(len(x), func(i int) bool { return passed(x[i]) })
		column := func(i int) series.Column { return v.Columns[i] }
		if v.Width == 1 {
			if i > 0 {
				before = column(i - 1).Last
			}
			if i < len(x) {
				after = column(i).First
			}
			return before, after, true, nil
		}
		if i > 1 {
			before = column(i - 2).Last
		}
		if i+1 < len(x) {
			after = column(i + 1).First
		}
		q.From, q.To = column(max(0, i-1)).First, column(min(i, len(x)-1)).Last
	}
	return before, after, false, nil // it changes meanwhile
}

// places are where columns stand on the axis, by time of receipt or by the value of their own metric, and whether that ascends.
func (a *asked) places(v series.View, d Derived) (x []float64, ascends bool) {
	byTime := a.query.X.Metric() == ""
	x = make([]float64, len(v.Columns))
	for i, c := range v.Columns {
		switch {
		case byTime:
			x[i] = a.clock(c.FirstAt)
		case c.Odd != 0:
			return nil, false
		default:
			x[i] = d.Of(c.First, c.Value)
		}
	}
	return x, slices.IsSorted(x)
}

// whole is a float as a step.
func whole(v float64) int64 {
	switch {
	case v <= math.MinInt64:
		return math.MinInt64
	case v >= math.MaxInt64:
		return math.MaxInt64
	}
	return int64(v)
}
