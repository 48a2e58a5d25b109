package chart

import (
	"context"
	"math"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/points"
)

// Operands are the printed metrics that a metric or a formula is computed from.
func (c *Charts) Operands(ctx context.Context, r run.Run, metric string) ([]string, error) {
	a, err := c.ask(ctx, r, Query{Metrics: []string{metric}})
	if err != nil {
		return nil, err
	}
	l, err := a.line(metric)
	return l.metrics, err
}

// newest returns the point of a curve at a step.
func (a *asked) newest(ctx context.Context, l line, worker int, step int64) (out *run.CurvePoint, err error) {
	err = a.each(ctx, l, worker, step, step, func(p run.CurvePoint, _ float64) bool {
		out = &p
		return true
	})
	return out, err
}

// Newest returns the value over all workers of a metric or a formula at its newest step up to one, among so many steps before it; false
// where it has none there.
func (c *Charts) Newest(ctx context.Context, r run.Run, metric string, to, among int64) (p run.CurvePoint, found bool, err error) {
	a, err := c.ask(ctx, r, Query{Metrics: []string{metric}})
	if err != nil {
		return p, false, err
	}
	l, err := a.line(metric)
	if err != nil {
		return p, false, err
	}
	err = a.each(ctx, l, points.AllWorkers, max(to, math.MinInt64+among)-among, to, func(at run.CurvePoint, _ float64) bool {
		p, found = at, true
		return true
	})
	return p, found, err
}
