package points

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/series"
	"github.com/cotrain/cotrain/internal/store/db"
)

// join derives a curve from every worker's points, in memory bounded by the curve's steps.
func (ps *Points) join(ctx context.Context, id run.ID, metric string, from, to int64) (out []run.CurvePoint, err error) {
	err = ps.readPoints(ctx, func(r *reader) error {
		out, err = r.joined(ctx, id, metric, from, to)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("curve of %s: %w", id, err)
	}
	return out, nil
}

func (r *reader) joined(ctx context.Context, id run.ID, metric string, from, to int64) ([]run.CurvePoint, error) {
	var sealed bool
	err := r.tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM series s JOIN point_chunks c INDEXED BY point_chunks_by_last
		ON c.series = s.id AND c.last_step >= ? AND c.first_step <= ?`+unrepeated("c.first_step")+` WHERE s.run_id = ? AND s.metric = ?)`, from, to, id, metric).Scan(&sealed)
	if err != nil {
		return nil, err
	}
	if sealed {
		return r.join(ctx, id, metric, from, to)
	}
	return r.joinRows(ctx, id, metric, from, to) // near the end, without looking at each worker
}

// joinRows joins what is not in chunks.
func (r *reader) joinRows(ctx context.Context, id run.ID, metric string, from, to int64) ([]run.CurvePoint, error) {
	rows, err := r.tx.Query(ctx, `SELECT s.rank, p.step, p.value, p.at FROM series s JOIN points p ON p.series = s.id AND p.step BETWEEN ? AND ?`+unrepeated("p.step")+`
		WHERE s.run_id = ? AND s.metric = ? ORDER BY p.step, s.rank, s.attempt`, from, to, id, metric)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // already read
	var out []run.CurvePoint
	var sum stepSum
	var last series.Point // of a worker, which another of a later attempt may follow
	lastRank, any := 0, false
	add := func(next series.Point, another bool) {
		if any && sum.workers == 0 {
			sum = sumOf(last)
		} else if any {
			sum.add(sumOf(last))
		}
		if any && (!another || next.Step != last.Step) {
			out = append(out, sum.point())
			sum = stepSum{}
		}
	}
	for rows.Next() {
		var p series.Point
		var v sql.NullFloat64
		var rank int
		if err := rows.Scan(&rank, &p.Step, &v, &p.At); err != nil {
			return nil, err
		}
		p.Value = db.FromNull(v)
		if !any || rank != lastRank || p.Step != last.Step {
			add(p, true)
		}
		last, lastRank, any = p, rank, true
	}
	add(last, false)
	return out, db.MapError(rows.Err())
}

// join joins all workers.
func (r *reader) join(ctx context.Context, id run.ID, metric string, from, to int64) ([]run.CurvePoint, error) {
	workers, err := r.workers(ctx, id, metric, 0)
	if err != nil {
		return nil, err
	}
	return r.joinWorkers(ctx, workers, from, to)
}

// joinWorkers reads one worker after the other. Workers report the same steps, so nearly every point matches one of the first
// worker's; the rest is merged as in a log-structured tree, since each worker may have its own steps.
func (r *reader) joinWorkers(ctx context.Context, workers []worker, from, to int64) ([]run.CurvePoint, error) {
	var levels [][]stepSum // each sorted by step; the first is the longest
	for _, w := range workers {
		var sums, fresh []stepSum
		if len(levels) > 0 {
			sums = levels[0]
		}
		err := r.each(ctx, w, from, to, func(p series.Point) bool {
			if len(sums) > 0 && sums[0].step < p.Step {
				if sums = sums[1:]; len(sums) > 0 && sums[0].step < p.Step { // a gap
					n, _ := slices.BinarySearchFunc(sums, p.Step, func(s stepSum, step int64) int { return cmp.Compare(s.step, step) })
					sums = sums[n:]
				}
			}
			if len(sums) > 0 && sums[0].step == p.Step {
				sums[0].add(sumOf(p))
			} else {
				fresh = append(fresh, sumOf(p))
			}
			return true
		})
		if err != nil {
			return nil, err
		}
		if len(fresh) > 0 {
			levels = append(levels, fresh)
		}
		for n := len(levels); n > 1 && len(levels[n-1]) >= len(levels[n-2])/2; n-- {
			levels = append(levels[:n-2], mergeSums(levels[n-2], levels[n-1]))
		}
	}
	var all []stepSum
	for _, l := range slices.Backward(levels) {
		all = mergeSums(l, all)
	}
	out := slices.Grow([]run.CurvePoint(nil), len(all))
	for _, s := range all {
		out = append(out, s.point())
	}
	return out, nil
}

type stepSum struct {
	step      int64
	workers   int
	low, high float64
	sum, lost float64 // lost is the rounding error of sum (Neumaier's summation)
	at        int64
}

func sumOf(p series.Point) stepSum {
	return stepSum{step: p.Step, workers: 1, low: p.Value, high: p.Value, sum: p.Value, at: p.At}
}

// add merges other workers' values. NaN is contagious.
func (s *stepSum) add(o stepSum) {
	s.workers += o.workers
	s.low, s.high, s.at = min(s.low, o.low), max(s.high, o.high), max(s.at, o.at)
	sum := s.sum + o.sum
	if math.Abs(s.sum) >= math.Abs(o.sum) {
		s.lost += (s.sum - sum) + o.sum
	} else {
		s.lost += (o.sum - sum) + s.sum
	}
	s.lost += o.lost
	s.sum = sum
}

func (s *stepSum) point() run.CurvePoint {
	sum := s.sum
	if !math.IsInf(sum, 0) && !math.IsNaN(s.lost) { // an infinity makes lost meaningless
		sum += s.lost
	}
	p := run.CurvePoint{Step: s.step, Mean: sum / float64(s.workers), Min: s.low, Max: s.high, Sum: sum, Workers: s.workers, At: db.FromMillis(s.at)}
	if math.IsNaN(s.low) {
		p.Mean, p.Sum = math.NaN(), math.NaN()
	}
	return p
}

// mergeSums merges lists of ascending steps; it may change a.
func mergeSums(a, b []stepSum) []stepSum {
	if len(a) == 0 || len(b) == 0 {
		return append(a, b...)
	}
	out := make([]stepSum, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0].step < b[0].step:
			out, a = append(out, a[0]), a[1:]
		case a[0].step > b[0].step:
			out, b = append(out, b[0]), b[1:]
		default:
			a[0].add(b[0])
			out, a, b = append(out, a[0]), a[1:], b[1:]
		}
	}
	return append(append(out, a...), b...)
}
