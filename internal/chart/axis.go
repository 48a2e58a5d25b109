package chart

import (
	"context"
	"math"
	"sort"
	"strings"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/series"
	"github.com/cotrain/cotrain/internal/store/points"
)

// axis is where the columns of a curve stand on the axis; nil over steps.
func (a *asked) axis(ctx context.Context, c Curve, worker int) ([]float64, error) {
	switch {
	case a.query.X == Step && !c.Clock:
		return nil, nil
	case a.query.X.metric() == "":
		x := make([]float64, len(c.View.Columns))
		for i, column := range c.View.Columns {
			x[i] = a.clock(column.FirstAt)
		}
		return x, nil
	}
	return a.alongside(ctx, c, worker)
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

// alongside is another metric's values in the columns of a curve, NaN where it has none.
func (a *asked) alongside(ctx context.Context, c Curve, worker int) ([]float64, error) {
	x := make([]float64, len(c.View.Columns))
	for i := range x {
		x[i] = math.NaN()
	}
	if c.Clock {
		return x, nil
	}
	last := c.View.Columns[len(c.View.Columns)-1]
	v, err := a.store.View(ctx, a.run.ID, a.query.X.metric(), points.ViewQuery{
		Worker: worker, From: c.View.Columns[0].First, To: last.Last, Limit: a.query.Pixels, Width: c.View.Width,
	})
	if err != nil {
		return nil, err
	}
	at := 0
	for i, column := range c.View.Columns {
		for at < len(v.Columns) && !v.Same(v.Columns[at].First, column.First) && v.Columns[at].First < column.First {
			at++
		}
		if at < len(v.Columns) && v.Same(v.Columns[at].First, column.First) {
			x[i] = v.Columns[at].Value
		}
	}
	return x, nil
}

const (
	byClock  = "system/" // starts the names of metrics without steps
	maxLooks = 5         // each sees a 4096th of what the one before saw
)

// steps is the range of the query in steps of a metric; from is after to where nothing is in range.
func (a *asked) steps(ctx context.Context, metric string, worker int) (from, to int64, err error) {
	q := a.query
	if math.IsInf(q.From, -1) && math.IsInf(q.To, 1) || q.X == Step && strings.HasPrefix(metric, byClock) {
		return math.MinInt64, math.MaxInt64, nil
	}
	if q.X == Step {
		return whole(math.Ceil(q.From)), whole(math.Floor(q.To)), nil
	}
	// Each look takes the columns around the ends of the range and looks closer, until they are single steps.
	view := points.ViewQuery{Worker: worker, From: math.MinInt64, To: math.MaxInt64, Limit: MaxWidth}
	for range maxLooks {
		c := Curve{}
		if c.View, err = a.store.View(ctx, a.run.ID, metric, view); err != nil || len(c.View.Columns) == 0 {
			return 0, -1, err
		}
		c.Clock = c.View.Columns[0].First > run.MaxStep
		x, err := a.axis(ctx, c, worker)
		if err != nil {
			return 0, -1, err
		}
		from, to = around(c.View, x, q.From, q.To)
		if c.View.Width == 1 || from == view.From && to == view.To {
			break
		}
		view.From, view.To = from, to
	}
	return from, to, nil
}

// around is the range of steps of the columns whose x is in range, and of those next to them where columns are wider than a step.
// x ascends but for what is missing.
func around(v series.View, x []float64, low, high float64) (from, to int64) {
	known := func(i int) float64 {
		for ; i < len(x) && math.IsNaN(x[i]); i++ {
		}
		if i == len(x) {
			return math.Inf(1)
		}
		return x[i]
	}
	first := sort.Search(len(x), func(i int) bool { return known(i) >= low })
	end := sort.Search(len(x), func(i int) bool { return known(i) > high })
	if v.Width > 1 {
		first, end = max(0, first-1), min(len(x), end+1)
	}
	if first >= end {
		return 0, -1
	}
	return v.Columns[first].First, v.Columns[end-1].Last
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
