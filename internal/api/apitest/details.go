package apitest

import (
	"context"
	"slices"
	"strings"
	"time"

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

// LogFate is for [api.Details].
func (c *Console) LogFate(_ context.Context, id run.ID) (f run.LogFate, err error) {
	return c.Fate, c.with(id, func(*entry) error { return nil })
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
			slices.Reverse(out)
		}
		text := 0
		for i, l := range out {
			if text += len(l.Text); text >= run.MaxLogText {
				out = out[:i+1]
				break
			}
		}
		if q.Tail {
			slices.Reverse(out)
		}
		return nil
	})
	return out, err
}

// EachLog and the five after it are for [api.Details] and for pages.
func (c *Console) EachLog(_ context.Context, id run.ID, f run.LogFilter, from run.LogPos, fn func(run.RawLine) error) error {
	return c.with(id, func(e *entry) error { return e.lines.Each(f, from, fn) })
}

// EachLogAround tells all other lines as those around.
func (c *Console) EachLogAround(_ context.Context, id run.ID, f run.LogFilter, from run.LogPos, _ int, fn func(run.RawLine) error) error {
	return c.with(id, func(e *entry) error { return e.lines.Around(f, from, fn) })
}

// LogMap has one piece.
func (c *Console) LogMap(_ context.Context, id run.ID, f run.LogFilter) (m run.LogMap, err error) {
	err = c.with(id, func(e *entry) (err error) { m, err = e.lines.Map(f); return err })
	return m, err
}

// LogLines returns lines at a place.
func (c *Console) LogLines(_ context.Context, id run.ID, f run.LogFilter, at run.LogSpot, limit int) (p run.LogPage, err error) {
	err = c.with(id, func(e *entry) (err error) { p, err = e.lines.Page(f, at, limit); return err })
	return p, err
}

// FindLog returns the next or the last line.
func (c *Console) FindLog(_ context.Context, id run.ID, f run.LogFilter, from run.LogPos, back bool) (l run.LogLine, found bool, err error) {
	err = c.with(id, func(e *entry) (err error) { l, found, err = e.lines.Find(f, from, back); return err })
	return l, found, err
}

// SearchLog tells of all lines at once.
func (c *Console) SearchLog(_ context.Context, id run.ID, f run.LogFilter, tell func(run.LogFound) error) error {
	return c.with(id, func(e *entry) error { return e.lines.Search(f, tell) })
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

// Used is for [api.Measurements]: the newest values of metrics of machines.
func (c *Console) Used(_ context.Context, id run.ID, _ time.Time) (out run.Used, err error) {
	out = run.Used{}
	err = c.with(id, func(e *entry) error {
		for metric, ps := range e.points {
			name, ok := strings.CutPrefix(metric, run.SystemPrefix)
			for _, p := range ps {
				if ok && out[p.Rank] == nil {
					out[p.Rank] = map[string]float64{}
				}
				if ok {
					out[p.Rank][name] = float64(p.Value)
				}
			}
		}
		return nil
	})
	return out, err
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

// ReplacedPage is for [api.Measurements].
func (c *Console) ReplacedPage(_ context.Context, id run.ID, metric string, attempt int, from int64, after *points.PageCursor, limit int) (out []points.WorkerPoint, err error) {
	err = c.with(id, func(e *entry) error {
		if after == nil && attempt == 1 {
			out = e.replaced[metric]
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

// RunMetrics summarizes [Console.Curve].
func (c *Console) RunMetrics(ctx context.Context, id run.ID) (out []points.Summary, err error) {
	names, err := c.Metrics(ctx, id)
	for _, name := range names {
		curve, err := c.Curve(ctx, id, name, 0)
		if err != nil {
			return nil, err
		}
		if len(curve) == 0 {
			continue
		}
		whole, last := series.ColumnOf(curve), curve[len(curve)-1]
		s := points.Summary{Metric: name, Points: int64(whole.Points), Workers: whole.Workers, First: whole.First, Last: last.Step, Value: last.Mean, Low: whole.Min, High: whole.Max}
		for _, p := range curve {
			if p.Mean == whole.Min {
				s.LowStep = p.Step
			}
			if p.Mean == whole.Max {
				s.HighStep = p.Step
			}
		}
		out = append(out, s)
	}
	return out, err
}

// PointsVersion is never the same: nobody tells when values are set.
func (c *Console) PointsVersion(context.Context, run.ID) (int64, error) { return c.version.Add(1), nil }

// Rounds tells of [Console.Reports], whatever is asked of it.
func (c *Console) Rounds(_ context.Context, _ run.ID, q points.RoundQuery, take func(points.RoundPoint)) error {
	for _, p := range c.Reports {
		if slices.Contains(q.Metrics, p.Metric) {
			take(p)
		}
	}
	return nil
}

// Joins knows that of a second attempt that replaced values.
func (c *Console) Joins(_ context.Context, id run.ID) (out []points.Join, err error) {
	err = c.with(id, func(e *entry) error {
		for _, list := range e.replaced {
			out = []points.Join{{Attempt: 2, From: list[0].Step}}
		}
		return nil
	})
	return out, err
}

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
