package points

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/series"
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

// repeat records the lowest step of a further attempt and removes earlier attempts' points from there on: points and
// curves are of one training. Points without a step stay.
func (r repeats) repeat(ctx context.Context, tx *db.Tx, id run.ID, attempt int, first int64) error {
	r[attempt] = first
	_, err := tx.Exec(ctx, `INSERT INTO repeats (run_id, attempt, from_step) VALUES (?,?,?)
		ON CONFLICT (run_id, attempt) DO UPDATE SET from_step = excluded.from_step`, id, attempt, first)
	if err == nil {
		err = rewind(ctx, tx, id, first, attempt)
	}
	if err != nil {
		return fmt.Errorf("attempt %d of %s repeats step %d: %w", attempt, id, first, err)
	}
	return nil
}

func rewind(ctx context.Context, tx *db.Tx, id run.ID, from int64, attempt int) error {
	for _, q := range []string{
		`DELETE FROM points WHERE series IN (SELECT id FROM series WHERE run_id = ?) AND step BETWEEN ? AND ? AND attempt < ?`,
		`DELETE FROM point_chunks WHERE series IN (SELECT id FROM series WHERE run_id = ?) AND first_step BETWEEN ? AND ? AND attempt < ?`,
	} {
		if _, err := tx.Exec(ctx, q, id, from, run.MaxStep, attempt); err != nil {
			return err
		}
	}
	if err := cutChunks(ctx, tx, id, from, attempt); err != nil {
		return err
	}
	return cutCurves(ctx, tx, id, from)
}

// cutChunks cuts chunks that span a step. Damaged ones stay: readers get an error, and writing must not stop.
func cutChunks(ctx context.Context, tx *db.Tx, id run.ID, from int64, attempt int) error {
	chunks, err := db.Select(ctx, tx, scanChunk, `SELECT `+chunkColumns+` FROM point_chunks INDEXED BY point_chunks_by_last
		WHERE series IN (SELECT id FROM series WHERE run_id = ?) AND last_step >= ? AND first_step < ? AND attempt < ?`, id, from, from, attempt)
	if err != nil {
		return err
	}
	for _, c := range chunks {
		if err := c.cut(ctx, tx, from); err != nil && !errors.Is(err, series.ErrDamaged) {
			return err
		}
	}
	return nil
}

// cut removes the points from a step on, by lowering the chunk's count; its data stays.
func (c chunk) cut(ctx context.Context, tx *db.Tx, from int64) error {
	points, err := series.DecodeChunk(c.data, c.count)
	if err != nil {
		return err
	}
	if points[0].Step != c.first {
		return fmt.Errorf("%w: it begins at step %d, not %d", series.ErrDamaged, points[0].Step, c.first)
	}
	st := series.StatsOf(slices.DeleteFunc(points, func(p series.Point) bool { return p.Step >= from }))
	_, err = tx.Exec(ctx, `UPDATE point_chunks SET last_step = ?, count = ?, nans = ?, low = ?, high = ?, sum = ?, first_at = ?, last_at = ? WHERE id = ?`,
		st.Last, st.Count, st.NaNs, st.Min, st.Max, st.Sum, st.FirstAt, st.LastAt, c.id)
	return err
}

// cutCurves removes the curves from a step on. Steps that remain in points are derived again, also those a concurrent
// [Points.RollUp] has read.
func cutCurves(ctx context.Context, tx *db.Tx, id run.ID, from int64) error {
	var last int64
	if err := tx.QueryRow(ctx, `SELECT coalesce(max(to_step), 0) FROM stale_curves WHERE run_id = ?`, id).Scan(&last); err != nil {
		return err
	}
	block := curveBlock(from)
	for _, metric := range CurveMetrics() {
		p, err := Last(ctx, tx, id, metric, math.MaxInt64)
		if err != nil {
			return err
		}
		last = max(last, p.Step)
		if _, err := tx.Exec(ctx, `DELETE FROM curve_blocks WHERE run_id = ? AND metric = ? AND block > ?`, id, metric, block); err != nil {
			return err
		}
		if err := saveCurve(ctx, tx, id, metric, from, (block+1)*curveSteps-1, nil); err != nil {
			return err
		}
	}
	if last < from {
		return nil
	}
	return addStale(ctx, tx, id, false, from, last)
}
