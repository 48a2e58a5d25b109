package apitest

import (
	"context"
	"slices"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/series"
	"github.com/cotrain/cotrain/internal/store/points"
)

// Events is for [api.Details].
func (c *Console) Events(_ context.Context, id run.ID, after int64, limit int) (out []run.Event, err error) {
	err = c.with(id, func(e *entry) error {
		for _, ev := range e.events {
			if ev.Seq > after && len(out) < limit {
				out = append(out, ev)
			}
		}
		return nil
	})
	return out, err
}

// EventsBefore is for [api.Details].
func (c *Console) EventsBefore(_ context.Context, id run.ID, before int64, limit int) (out []run.Event, err error) {
	err = c.with(id, func(e *entry) error {
		for _, ev := range e.events {
			if ev.Seq < before {
				out = append(out, ev)
			}
		}
		out = out[max(0, len(out)-limit):]
		return nil
	})
	return out, err
}

// Logs is for [api.Details].
func (c *Console) Logs(_ context.Context, id run.ID, q run.LogQuery) (out []run.LogLine, err error) {
	err = c.with(id, func(e *entry) error {
		for _, l := range e.lines {
			switch {
			case q.Rank >= 0 && l.Rank != q.Rank:
			case q.Tail && q.Before > 0 && l.Pos >= q.Before:
			case !q.Tail && (l.Pos <= q.After || len(out) == q.Limit):
			default:
				out = append(out, l)
			}
		}
		if q.Tail {
			out = out[max(0, len(out)-q.Limit):]
		}
		return nil
	})
	return out, err
}

// Metrics is for [api.Measurements].
func (c *Console) Metrics(_ context.Context, id run.ID) (names []string, err error) {
	err = c.with(id, func(e *entry) error {
		for name := range e.points {
			names = append(names, name)
		}
		slices.Sort(names)
		return nil
	})
	return names, err
}

// PointsPage is for [api.Measurements].
func (c *Console) PointsPage(_ context.Context, id run.ID, metric string, from int64, after *points.PageCursor, limit int) (out []points.WorkerPoint, err error) {
	err = c.with(id, func(e *entry) error {
		for _, p := range e.points[metric] {
			passed := after != nil && (p.Rank < after.Rank || p.Rank == after.Rank && p.Step <= after.Step)
			if p.Step >= from && !passed && len(out) < limit {
				out = append(out, p)
			}
		}
		return nil
	})
	return out, err
}

// View summarizes [Console.Curve], whichever worker is asked for.
func (c *Console) View(ctx context.Context, id run.ID, metric string, q points.ViewQuery) (series.View, error) {
	curve, err := c.Curve(ctx, id, metric, q.From)
	return series.Columns(run.Settled(curve, q.To), q.Limit), err
}

// Each reads [Console.Curve], whichever worker is asked for.
func (c *Console) Each(ctx context.Context, id run.ID, metric string, _ int, from, to int64, take func(run.CurvePoint) bool) error {
	curve, err := c.Curve(ctx, id, metric, from)
	for _, p := range run.Settled(curve, to) {
		if !take(p) {
			break
		}
	}
	return err
}

// RunMetrics knows of none.
func (c *Console) RunMetrics(context.Context, run.ID) ([]points.Summary, error) { return nil, nil }

// PointsVersion is never the same: nobody tells when values are set.
func (c *Console) PointsVersion(context.Context, run.ID) (int64, error) { return c.version.Add(1), nil }

// Joins knows of none.
func (c *Console) Joins(context.Context, run.ID) ([]points.Join, error) { return nil, nil }

// Curve is for [api.Measurements].
func (c *Console) Curve(_ context.Context, id run.ID, metric string, fromStep int64) (out []run.CurvePoint, err error) {
	err = c.with(id, func(e *entry) error {
		for _, p := range e.curves[metric] {
			if p.Step >= fromStep {
				out = append(out, p)
			}
		}
		return nil
	})
	return out, err
}
