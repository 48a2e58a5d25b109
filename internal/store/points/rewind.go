package points

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/db"
)

// repeats are the lowest steps that further attempts have reported, by attempt.
type repeats map[int]int64

// gone is the first step of an attempt that a later one has repeated.
func (r repeats) gone(attempt int) int64 {
	from := int64(math.MaxInt64)
	for later, step := range r {
		if later > attempt {
			from = min(from, step)
		}
	}
	return from
}

// trained is the newest attempt that has reported a step, or the first.
func (r repeats) trained() int {
	newest := 1
	for attempt := range r {
		newest = max(newest, attempt)
	}
	return newest
}

func readRepeats(ctx context.Context, q db.Querier, id run.ID) (repeats, error) {
	rows, err := q.Query(ctx, `SELECT attempt, from_step FROM repeats WHERE run_id = ?`, id)
	if err != nil {
		return nil, fmt.Errorf("attempts of %s: %w", id, err)
	}
	type repeat struct {
		attempt int
		from    int64
	}
	list, err := db.Collect(rows, func(row db.Scanner) (r repeat, err error) { return r, row.Scan(&r.attempt, &r.from) })
	out := repeats{}
	for _, r := range list {
		out[r.attempt] = r.from
	}
	return out, err
}

// lowers reports whether points lower the first step of a further attempt, and to what.
func (r repeats) lowers(attempt int, points []Point) (first int64, lower bool) {
	if attempt <= 1 {
		return 0, false
	}
	from, known := r[attempt]
	if !known {
		from = math.MaxInt64
	}
	first = from
	for _, p := range points {
		if slices.Contains(CurveMetrics(), p.Metric) {
			first = min(first, p.Step)
		}
	}
	return first, first < from
}

// repeat records the lowest step of a further attempt, where the series of earlier ones end: points and curves are of one training.
// Points without a step stay.
func (r repeats) repeat(ctx context.Context, tx *db.Tx, id run.ID, attempt int, first int64) error {
	r[attempt] = first
	_, err := tx.Exec(ctx, `INSERT INTO repeats (run_id, attempt, from_step) VALUES (?,?,?)
		ON CONFLICT (run_id, attempt) DO UPDATE SET from_step = excluded.from_step`, id, attempt, first)
	if err == nil {
		_, err = tx.Exec(ctx, `UPDATE series SET until = ? WHERE run_id = ? AND attempt < ? AND until > ?`, first, id, attempt, first)
	}
	if err == nil {
		err = cutCurves(ctx, tx, id, first)
	}
	if err != nil {
		return fmt.Errorf("attempt %d of %s repeats step %d: %w", attempt, id, first, err)
	}
	return nil
}

// cutCurves removes the curves from a step on. Steps that remain in points are derived again, also those a concurrent
// [Points.RollUp] has read.
func cutCurves(ctx context.Context, tx *db.Tx, id run.ID, from int64) error {
	var last int64
	if err := tx.QueryRow(ctx, `SELECT coalesce(max(to_step), 0) FROM stale_curves WHERE run_id = ?`, id).Scan(&last); err != nil {
		return err
	}
	for _, metric := range CurveMetrics() {
		p, err := Last(ctx, tx, id, metric, math.MaxInt64)
		if err != nil {
			return err
		}
		last = max(last, p.Step)
		if err := cutCurve(ctx, tx, id, metric, from); err != nil {
			return err
		}
	}
	if last < from {
		return nil
	}
	return addStale(ctx, tx, id, false, from, last)
}
