package points

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/series"
	"github.com/cotrain/cotrain/internal/store/db"
)

// AllWorkers asks for the curve over all workers.
const AllWorkers = -1

// ViewQuery selects what [Points.View] summarizes.
type ViewQuery struct {
	Worker   int   // its rank, or [AllWorkers]
	From, To int64 // steps, inclusive
	Limit    int   // columns at most
	Width    int64 // of the columns: a power of two, 0 for the narrowest that Limit allows
	Smooth   series.Smoothing
	Total    bool // over [AllWorkers], their sum instead of their mean, lowest and highest
	Replaced int  // an attempt: what it reported of steps that later ones repeated; 0 for the curve
}

// View summarizes a metric between two steps. A NaN of any worker makes the step NaN. [CurveMetrics] over all workers are as of
// the last [Points.RollUp].
func (ps *Points) View(ctx context.Context, id run.ID, metric string, q ViewQuery) (series.View, error) {
	var in []run.CurvePoint
	smoothed := map[int64]float64{}
	smoother := q.Smooth.Smoother(func(p run.CurvePoint) bool {
		smoothed[p.Step] = p.Mean
		return true
	})
	err := ps.Each(ctx, id, metric, q.Worker, math.MinInt64, math.MaxInt64, func(p run.CurvePoint) bool {
		if q.Total {
			p.Mean, p.Min, p.Max = p.Sum, p.Sum, p.Sum
		}
		if p.Step >= q.From && p.Step <= q.To {
			in = append(in, p)
		}
		return smoother.Add(p)
	})
	if err != nil {
		return series.View{}, err
	}
	smoother.End()
	v := series.Columns(in, q.Limit)
	if q.Width > 0 {
		b := series.NewBuilder(q.Width)
		for _, p := range in {
			b.Add(p)
		}
		v = b.View()
	}
	if q.Smooth != (series.Smoothing{}) {
		for i, c := range v.Columns {
			v.Columns[i].Value = smoothed[c.Last]
		}
	}
	return v, nil
}

// Each calls take for a metric's points between two steps, inclusive, in order, until it returns false: one worker's, or the
// curve over [AllWorkers]. Its memory does not grow with the curve.
func (ps *Points) Each(ctx context.Context, id run.ID, metric string, worker int, from, to int64, take func(run.CurvePoint) bool) error {
	err := ps.readPoints(ctx, func(r *reader) error {
		if worker == AllWorkers {
			return r.eachOfAll(ctx, id, metric, from, to, take)
		}
		return r.eachOf(ctx, id, metric, worker, from, to, take)
	})
	if err != nil {
		return fmt.Errorf("curve of %s: %w", id, err)
	}
	return nil
}

// eachOf reads one worker's points.
func (r *reader) eachOf(ctx context.Context, id run.ID, metric string, rank int, from, to int64, take func(run.CurvePoint) bool) error {
	workers, err := r.workers(ctx, id, metric, rank)
	if err != nil || len(workers) == 0 || workers[0].rank != rank {
		return err
	}
	return r.each(ctx, workers[0].series, from, to, func(p series.Point) bool { return take(alone(p)) })
}

// alone is the curve of one worker.
func alone(p series.Point) run.CurvePoint {
	return run.CurvePoint{Step: p.Step, Mean: p.Value, Min: p.Value, Max: p.Value, Sum: p.Value, Workers: 1, At: db.FromMillis(p.At)}
}

// eachOfAll reads a stored curve, or joins that of the workers.
func (r *reader) eachOfAll(ctx context.Context, id run.ID, metric string, from, to int64, take func(run.CurvePoint) bool) (err error) {
	var curve []run.CurvePoint
	if slices.Contains(CurveMetrics(), metric) {
		curve, err = readCurve(ctx, r.tx, id, metric, curveBlock(from), curveBlock(to))
		curve = curve[fromStep(curve, from):]
	} else {
		curve, err = r.joined(ctx, id, metric, from, to)
	}
	for _, p := range curve {
		if p.Step > to || !take(p) {
			break
		}
	}
	return err
}
