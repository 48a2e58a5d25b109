package chart

import (
	"context"
	"fmt"
	"math"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/series"
	"github.com/cotrain/cotrain/internal/store/points"
)

const (
	bandBlock   = 1 << 13 // points of each run that a band reads at once
	bandReaders = 4       // runs read at the same time
	bandSlack   = 2       // columns for each of the query's, before a band is made again of wider ones
)

// Band reads the mean curve of several runs with the lowest and highest of them, at each step over the runs that have it. Values
// that are not finite are marked and left out of the mean. Over time, a step stands at the mean of the times of its runs.
func (c *Charts) Band(ctx context.Context, runs []run.Run, q Query) (Answer, error) {
	out := Answer{X: q.X}
	b := band{query: q}
	for _, r := range runs {
		one, err := c.ask(ctx, r, q)
		if err != nil {
			return out, err
		}
		if r.Progress.Step > b.longest().Progress.Step {
			b.members = append([]*asked{one}, b.members...)
		} else {
			b.members = append(b.members, one)
		}
	}
	var err error
	if out.Missing, err = b.missing(); err != nil {
		return out, err
	}
	for _, m := range q.Metrics {
		curve, err := b.curve(ctx, m)
		if err != nil {
			return out, fmt.Errorf("band of %s: %w", m, err)
		}
		if len(curve.View.Columns) > 0 {
			out.Curves = append(out.Curves, curve)
		}
	}
	return out, nil
}

// band is one query of several runs, that with the most steps first.
type band struct {
	query   Query
	members []*asked
}

func (b *band) longest() run.Run {
	if len(b.members) == 0 {
		return run.Run{}
	}
	return b.members[0].run
}

// missing is what the first run lacks of the query, if all of them lack something.
func (b *band) missing() (out run.FieldErrors, err error) {
	for i := len(b.members) - 1; i >= 0; i-- {
		if out, err = b.members[i].missing(); err != nil || len(out) == 0 {
			break
		}
	}
	return out, err
}

func (b *band) curve(ctx context.Context, metric string) (Curve, error) {
	out := Curve{Metric: metric, Worker: int(AllWorkers)}
	if len(b.members) == 0 {
		return out, nil
	}
	from, to, err := b.steps(ctx, metric)
	if err != nil || from > to {
		return out, err
	}
	one, err := b.members[0].curve(ctx, metric, int(AllWorkers))
	if err != nil {
		return out, err
	}
	out.Formula = one.Formula
	for width := max(one.View.Width, 1); ; width *= 4 {
		var narrow bool
		if out.View, narrow, err = b.view(ctx, metric, from, to, width, b.query.Smooth); err != nil || !narrow {
			break
		}
	}
	if err != nil || len(out.View.Columns) == 0 {
		return out, err
	}
	out.Clock = out.View.Columns[0].First > run.MaxStep
	out.X, err = b.axis(ctx, out)
	return out, err
}

// steps is the range of the query in steps, as wide as any run needs it.
func (b *band) steps(ctx context.Context, metric string) (from, to int64, err error) {
	from, to = math.MaxInt64, math.MinInt64
	for _, m := range b.members {
		l, err := m.line(metric)
		if err != nil {
			return 0, -1, err
		}
		s, err := m.span(ctx, l, int(AllWorkers))
		if err != nil {
			return 0, -1, err
		}
		if s.from <= s.to {
			from, to = min(from, s.from), max(to, s.to)
		}
	}
	return from, to, nil
}

// axis is where the columns stand, nil over steps.
func (b *band) axis(ctx context.Context, c Curve) ([]float64, error) {
	metric := b.query.X.Metric()
	if metric == "" && b.query.X == Step {
		return nil, nil
	}
	columns := c.View.Columns
	x := make([]float64, len(columns))
	if metric == "" {
		for i, column := range columns {
			x[i] = float64(column.FirstAt) / 1000
		}
		return x, nil
	}
	along, _, err := b.view(ctx, metric, columns[0].First, columns[len(columns)-1].Last, c.View.Width, series.Smoothing{})
	at := 0
	for i, column := range columns {
		x[i] = math.NaN()
		for at < len(along.Columns) && along.Columns[at].Last < column.First && !along.Same(along.Columns[at].First, column.First) {
			at++
		}
		if at < len(along.Columns) && along.Same(along.Columns[at].First, column.First) {
			x[i] = along.Columns[at].Value
		}
	}
	return x, err
}

// view is the band in columns of a width. It reports whether they are too narrow: there would be too many.
func (b *band) view(ctx context.Context, metric string, from, to, width int64, smoothing series.Smoothing) (v series.View, narrow bool, err error) {
	build, smoothed := series.NewBuilder(width), []float64(nil)
	var odd []series.Odd // of points that wait in the smoother
	smooth := smoothing.Smoother(func(p run.CurvePoint) bool {
		flags := odd[0]
		odd = odd[1:]
		if p.Step < from {
			return true
		}
		build.Add(p)
		columns := build.View().Columns
		last := len(columns) - 1
		columns[last].Odd |= flags
		if last == len(smoothed) {
			smoothed = append(smoothed, 0)
		}
		smoothed[last] = p.Mean
		narrow = len(columns) > bandSlack*b.query.Pixels
		return !narrow
	})
	start := from
	if smoothing != (series.Smoothing{}) {
		start = math.MinInt64 // all earlier points count
	}
	err = b.each(ctx, metric, start, to, func(p run.CurvePoint, flags series.Odd) bool {
		odd = append(odd, flags)
		return smooth.Add(p)
	})
	if !narrow {
		smooth.End()
	}
	v = build.View()
	if smoothing != (series.Smoothing{}) {
		for i := range v.Columns {
			v.Columns[i].Value = smoothed[i]
		}
	}
	return v, narrow, err
}

// each calls take for each step that any run has, until it returns false.
func (b *band) each(ctx context.Context, metric string, from, to int64, take func(run.CurvePoint, series.Odd) bool) error {
	parts := make([][]run.CurvePoint, len(b.members))
	for {
		g, gctx := errgroup.WithContext(ctx)
		g.SetLimit(bandReaders)
		for i := range b.members {
			g.Go(func() (err error) {
				parts[i], err = b.members[i].some(gctx, metric, parts[i][:0], from, to)
				return err
			})
		}
		if err := g.Wait(); err != nil {
			return err
		}
		end := to // of the steps that have been read of every run
		for _, part := range parts {
			if len(part) == bandBlock {
				end = min(end, part[bandBlock-1].Step)
			}
		}
		for _, s := range b.sum(parts, end) {
			if !take(s.point(), s.odd) {
				return nil
			}
		}
		if end == to {
			return nil
		}
		from = end + 1
	}
}

// some appends the first points of a run from a step on, at most a block.
func (a *asked) some(ctx context.Context, metric string, out []run.CurvePoint, from, to int64) ([]run.CurvePoint, error) {
	l, err := a.line(metric)
	if err != nil {
		return nil, err
	}
	err = a.each(ctx, l, points.AllWorkers, from, min(to, a.settled(l, points.AllWorkers)), func(p run.CurvePoint, _ float64) bool {
		out = append(out, p)
		return len(out) < bandBlock
	})
	return out, err
}

// stepSum is what runs have at one step.
type stepSum struct {
	step           int64
	clock          float64 // sum of times, milliseconds
	runs           int
	finite         int
	sum, low, high float64 // of the finite ones
	odd            series.Odd
}

func (s *stepSum) add(value, clock float64) {
	s.runs++
	s.clock += clock
	switch {
	case math.IsNaN(value):
		s.odd |= series.HasNaN
	case math.IsInf(value, 1):
		s.odd |= series.HasInf
	case math.IsInf(value, -1):
		s.odd |= series.HasNegativeInf
	default:
		if s.finite++; s.finite == 1 {
			s.low, s.high = value, value
		}
		s.sum, s.low, s.high = s.sum+value, min(s.low, value), max(s.high, value)
	}
}

func (s *stepSum) point() run.CurvePoint {
	p := run.CurvePoint{Step: s.step, Workers: s.runs, At: time.UnixMilli(int64(s.clock / float64(s.runs)))}
	p.Mean, p.Min, p.Max = s.sum/float64(s.finite), s.low, s.high // NaN of none
	if s.finite == 0 {
		p.Min, p.Max = math.NaN(), math.NaN()
	}
	p.Sum = p.Mean
	return p
}

// sum joins the points of runs by step, up to one.
func (b *band) sum(parts [][]run.CurvePoint, to int64) []stepSum {
	var all, next []stepSum
	for i, part := range parts {
		start := int64(0)
		if b.query.X == Elapsed {
			start = b.members[i].start()
		}
		next = next[:0]
		at := 0
		for _, p := range part {
			if p.Step > to {
				break
			}
			for ; at < len(all) && all[at].step < p.Step; at++ {
				next = append(next, all[at])
			}
			s := stepSum{step: p.Step}
			if at < len(all) && all[at].step == p.Step {
				s = all[at]
				at++
			}
			s.add(p.Mean, float64(p.At.UnixMilli()-start))
			next = append(next, s)
		}
		all, next = append(next, all[at:]...), all
	}
	return all
}
