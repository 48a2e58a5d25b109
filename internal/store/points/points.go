package points

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/series"
	"github.com/cotrain/cotrain/internal/store/db"
)

// Points stores the points of all runs, safe for concurrent use.
type Points struct {
	db *db.DB

	mu     sync.Mutex
	series map[seriesKey]int64 // committed ones
	bounds map[int64]int64     // of series: no row has a greater step
	names  map[run.ID]*metricNames

	versions versions

	sealing sync.Mutex // one SealPoints at a time
	sealer  sealer
	heads   heads
	sums    summaries
	looked  looked
}

// New returns the points in a database.
func New(d *db.DB) *Points {
	return &Points{
		db: d, series: map[seriesKey]int64{}, bounds: map[int64]int64{}, names: map[run.ID]*metricNames{}, versions: versions{of: map[run.ID]int64{}},
		sealer: sealer{perChunk: chunkPoints, keep: headPoints}, heads: heads{runs: map[run.ID]map[int64]int{}},
		sums: summaries{runs: map[run.ID]*staleRun{}}, looked: looked{curves: map[curveKey]*lookedCurve{}},
	}
}

// WorkerPoint is a stored value.
type WorkerPoint struct {
	Rank  int        `json:"rank"`
	Step  int64      `json:"step"`
	Value run.Number `json:"value"`
	At    int64      `json:"at"` // Unix milliseconds
}

// Metrics returns the sorted names of a run's metrics.
func (ps *Points) Metrics(ctx context.Context, id run.ID) ([]string, error) {
	return metrics(ctx, ps.db, id)
}

func metrics(ctx context.Context, q db.Querier, id run.ID) ([]string, error) {
	names, err := db.Select(ctx, q, db.One[string], `SELECT DISTINCT metric FROM series WHERE run_id = ? ORDER BY metric`, id)
	if err != nil {
		return nil, fmt.Errorf("metrics of %s: %w", id, err)
	}
	return names, nil
}

// PageCursor is a position among a metric's points, by rank, then step.
type PageCursor struct {
	Rank int
	Step int64
}

// PointsPage returns at most limit values of a metric at or after a step, by rank and step, following the cursor if not
// nil. It reads about one chunk more than it returns.
func (ps *Points) PointsPage(ctx context.Context, id run.ID, metric string, from int64, after *PageCursor, limit int) ([]WorkerPoint, error) {
	return ps.page(ctx, id, from, after, limit, func(r *reader, rank int) ([]worker, error) { return r.workers(ctx, id, metric, rank) })
}

// ReplacedPage is [Points.PointsPage] of what an attempt reported of steps that later ones repeated.
func (ps *Points) ReplacedPage(ctx context.Context, id run.ID, metric string, attempt int, from int64, after *PageCursor, limit int) ([]WorkerPoint, error) {
	return ps.page(ctx, id, from, after, limit, func(r *reader, _ int) ([]worker, error) { return r.replacedWorkers(ctx, id, metric, attempt) })
}

// page reads series of workers, which come by rank.
func (ps *Points) page(ctx context.Context, id run.ID, from int64, after *PageCursor, limit int, of func(r *reader, rank int) ([]worker, error)) ([]WorkerPoint, error) {
	place := PageCursor{Rank: math.MinInt32, Step: math.MinInt64}
	if after != nil {
		place = *after
	}
	var out []WorkerPoint
	err := ps.readPoints(ctx, func(r *reader) error {
		workers, err := of(r, place.Rank)
		if err != nil {
			return err
		}
		for _, w := range workers {
			if w.rank < place.Rank {
				continue
			}
			first := from
			if after != nil && w.rank == place.Rank {
				if place.Step == math.MaxInt64 {
					continue
				}
				first = max(first, place.Step+1)
			}
			if len(out) >= limit {
				break
			}
			err := r.each(ctx, w, first, math.MaxInt64, func(p series.Point) bool {
				out = append(out, WorkerPoint{Rank: w.rank, Step: p.Step, Value: run.Number(p.Value), At: p.At})
				return len(out) < limit
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("points of %s: %w", id, err)
	}
	return out, nil
}

// Curve returns a metric over all workers, from a step on. A NaN of any worker makes the step NaN. [CurveMetrics] are as
// of the last [Points.RollUp].
func (ps *Points) Curve(ctx context.Context, id run.ID, metric string, from int64) ([]run.CurvePoint, error) {
	if !slices.Contains(CurveMetrics(), metric) {
		return ps.join(ctx, id, metric, from, math.MaxInt64)
	}
	curve, err := readCurve(ctx, ps.db, id, metric, curveBlock(from), math.MaxInt64)
	if err != nil {
		return nil, err
	}
	if n := fromStep(curve, from); n < len(curve) {
		return curve[n:], nil
	}
	return nil, nil
}
