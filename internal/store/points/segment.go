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

// A worker's points of a metric are a series per attempt. Where a later attempt repeats steps, each earlier series ends, in its
// column until: the points stay where they are and are the replaced part. So an attempt begins at the cost of a number per series.

// segment is what is wanted of a series: the steps from first to last, and those of points that have times instead of steps.
type segment struct {
	series      int64
	first, last int64
	times       bool
}

// within returns what of a range of steps is between the segment's first step and the last point that it may have.
func (s segment) within(from, to int64) (first, last int64) {
	if !s.times {
		to = min(to, s.last)
	}
	return max(from, s.first), to
}

// wanted is an SQL condition on a step, or on the first step of a chunk, whose argument is the segment's last step.
func wanted(step string) string {
	return fmt.Sprintf(` AND (%[1]s <= ? OR %[1]s > %[2]d)`, step, run.MaxStep)
}

// unrepeated is an SQL condition on a step of the series s, or on the first step of a chunk: no later attempt repeats it.
func unrepeated(step string) string {
	return fmt.Sprintf(` AND (%[1]s < s.until OR %[1]s > %[2]d)`, step, run.MaxStep)
}

// ends reports whether a step is after those that are wanted.
func (s segment) ends(step int64) bool { return step > s.last && (!s.times || step <= run.MaxStep) }

// worker is a worker's points of a metric, by attempt.
type worker struct {
	rank     int
	segments []segment
}

// workers returns a metric's curve of the workers from a rank on.
func (r *reader) workers(ctx context.Context, id run.ID, metric string, from int) ([]worker, error) {
	return r.selectWorkers(ctx, func(s segment, until int64) segment {
		if until != math.MaxInt64 {
			s.last = until - 1
		}
		return s
	}, `SELECT rank, id, until FROM series WHERE run_id = ? AND metric = ? AND rank >= ? ORDER BY rank, attempt`, id, metric, from)
}

// replacedWorkers returns what an attempt has reported of steps that later ones repeat.
func (r *reader) replacedWorkers(ctx context.Context, id run.ID, metric string, attempt int) ([]worker, error) {
	return r.selectWorkers(ctx, func(s segment, until int64) segment {
		return segment{series: s.series, first: until, last: run.MaxStep}
	}, `SELECT rank, id, until FROM series WHERE run_id = ? AND metric = ? AND attempt = ? AND until <= ? ORDER BY rank`, id, metric, attempt, run.MaxStep)
}

func (r *reader) selectWorkers(ctx context.Context, of func(s segment, until int64) segment, query string, args ...any) ([]worker, error) {
	var out []worker
	_, err := db.Select(ctx, r.tx, func(row db.Scanner) (none struct{}, err error) {
		var rank int
		var until int64
		s := segment{first: math.MinInt64, last: math.MaxInt64, times: true}
		if err := row.Scan(&rank, &s.series, &until); err != nil {
			return none, err
		}
		if len(out) == 0 || out[len(out)-1].rank != rank {
			out = append(out, worker{rank: rank})
		}
		w := &out[len(out)-1]
		w.segments = append(w.segments, of(s, until))
		return none, nil
	}, query, args...)
	return out, err
}

// partsOfReplaced are those of what an attempt reported of steps that later ones repeated.
func (r *reader) partsOfReplaced(ctx context.Context, id run.ID, metric string, q ViewQuery) ([]series.Part, error) {
	if q.Replaced < 1 || q.Replaced > math.MaxInt32 {
		return nil, nil
	}
	workers, err := r.replacedWorkers(ctx, id, metric, q.Replaced)
	if err != nil {
		return nil, err
	}
	if q.Worker != AllWorkers {
		workers = slices.DeleteFunc(workers, func(w worker) bool { return w.rank != q.Worker })
	}
	if len(workers) == 1 {
		return r.partsOfWorker(ctx, workers[0], math.MinInt64, math.MaxInt64)
	}
	curve, err := r.joinWorkers(ctx, workers, math.MinInt64, math.MaxInt64)
	return series.PartsOf(curve), err
}
