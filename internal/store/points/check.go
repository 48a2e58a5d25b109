package points

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/series"
	"github.com/cotrain/cotrain/internal/store/db"
)

// ChunkFault is a chunk that is not what it should be.
type ChunkFault struct {
	ID      int64
	Run     run.ID // "" if its series is not known
	Series  string // in words
	Damaged error  // or nil, and these are its columns as its points have them:
	Stats   series.Stats
}

// checkChunks is how many chunks are read at once.
const checkChunks = 100

// CheckChunks compares the columns of the chunks after one with their points, some chunks at a time. It returns the last
// chunk that it has read, and how many: 0 when there are no more.
func CheckChunks(ctx context.Context, q db.Querier, after int64) (last int64, read int, faults []ChunkFault, err error) {
	type stored struct {
		chunk
		series int64
		stats  series.Stats
	}
	chunks, err := db.Select(ctx, q, func(row db.Scanner) (c stored, err error) {
		var low, high, sum sql.NullFloat64
		st := &c.stats
		if err := row.Scan(&c.id, &c.series, &c.first, &c.last, &c.count, &st.NaNs, &low, &high, &sum, &st.FirstAt, &st.LastAt, &c.data); err != nil {
			return c, err
		}
		st.First, st.Last, st.Count, st.Min, st.Max, st.Sum = c.first, c.last, c.count, db.FromNull(low), db.FromNull(high), db.FromNull(sum)
		return c, nil
	}, `SELECT id, series, first_step, last_step, count, nans, low, high, sum, first_at, last_at, data FROM point_chunks WHERE id > ? ORDER BY id LIMIT ?`, after, checkChunks)
	if err != nil {
		return after, 0, nil, fmt.Errorf("read chunks of points: %w", err)
	}
	for _, c := range chunks {
		last = c.id
		f := ChunkFault{ID: c.id}
		points, err := series.DecodeChunk(c.data, c.count)
		if err == nil && len(points) == 0 {
			err = series.ErrDamaged
		}
		if err == nil {
			if f.Stats = series.StatsOf(points); f.Stats.First != c.first || f.Stats.Last != c.last {
				err = fmt.Errorf("%w: its %d points are of steps %d to %d, not %d to %d", series.ErrDamaged, c.count, f.Stats.First, f.Stats.Last, c.first, c.last)
			}
		}
		f.Damaged = err
		if err != nil || !sameStats(c.stats, f.Stats) {
			f.Series = seriesName(ctx, q, c.series)
			if err := q.QueryRow(ctx, `SELECT run_id FROM series WHERE id = ?`, c.series).Scan(&f.Run); err != nil && !errors.Is(err, fault.ErrNotFound) {
				return after, 0, nil, err
			}
			faults = append(faults, f)
		}
	}
	return last, len(chunks), faults, nil
}

func sameStats(a, b series.Stats) bool {
	if !same(a.Min, b.Min) || !same(a.Max, b.Max) || !near(a.Sum, b.Sum) {
		return false
	}
	a.Min, b.Min, a.Max, b.Max, a.Sum, b.Sum = 0, 0, 0, 0, 0, 0
	return a == b
}

func same(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }

// near allows for sums in another order.
func near(a, b float64) bool {
	return same(a, b) || math.Abs(a-b) <= 1e-9*max(math.Abs(a), math.Abs(b))
}

// Repair sets the columns of a chunk that is not damaged.
func (f ChunkFault) Repair(ctx context.Context, tx *db.Tx) error {
	st := f.Stats
	_, err := tx.Exec(ctx, `UPDATE point_chunks SET nans = ?, low = ?, high = ?, sum = ?, first_at = ?, last_at = ? WHERE id = ?`,
		st.NaNs, st.Min, st.Max, st.Sum, st.FirstAt, st.LastAt, f.ID)
	return err
}

// CurveFault is steps of a stored curve that are not what its points give.
type CurveFault struct {
	Run      run.ID
	Metric   string
	From, To int64
	Missing  bool  // the curve has more than the points do: points are gone, and it is their last copy
	Damaged  error // or nil
	columns  bool  // the curve is right, but the columns of its blocks are not
}

// Repair marks the steps, for [Points.RollUp] to derive them again; a block that cannot be read goes. All points of the
// run must be there and readable: RollUp takes every step between two marks, of every metric.
func (f CurveFault) Repair(ctx context.Context, tx *db.Tx) error {
	if f.Damaged != nil || f.columns {
		first, last := groupOf(curveBlock(f.From)), groupOf(curveBlock(f.To))
		if err := deleteColumns(ctx, tx, f.Run, f.Metric, first, last); err != nil {
			return err
		}
		f.From, f.To = first*groupSteps, (last+1)*groupSteps-1 // whose columns are derived with them
	}
	if f.Damaged != nil && !f.columns {
		if _, err := tx.Exec(ctx, `DELETE FROM curve_blocks WHERE run_id = ? AND metric = ? AND block BETWEEN ? AND ?`,
			f.Run, f.Metric, curveBlock(f.From), curveBlock(f.To)); err != nil {
			return err
		}
	}
	return addStale(ctx, tx, f.Run, false, f.From, f.To)
}

// checkSteps is the steps compared at a time, whole blocks.
const checkSteps = 32 * curveSteps

// CheckCurves compares a run's stored curves with its points, except where they are marked stale. Points that cannot be
// read are told by [CheckChunks].
func CheckCurves(ctx context.Context, s *db.Snapshot, id run.ID) (faults []CurveFault, err error) {
	stale, err := db.Select(ctx, s, func(row db.Scanner) (r [2]int64, err error) { return r, row.Scan(&r[0], &r[1]) },
		`SELECT from_step, to_step FROM stale_curves WHERE run_id = ?`, id)
	if err != nil {
		return nil, err
	}
	for _, metric := range CurveMetrics() {
		c := curveCheck{r: &reader{tx: s}, id: id, metric: metric, stale: stale}
		if c.workers, err = c.r.workers(ctx, id, metric, math.MinInt); err != nil {
			return nil, err
		}
		if err := c.run(ctx); err != nil {
			return nil, err
		}
		if err := c.columns(ctx); err != nil {
			return nil, err
		}
		faults = append(faults, c.faults...)
	}
	return faults, nil
}

type curveCheck struct {
	r       *reader
	id      run.ID
	metric  string
	workers []worker
	stale   [][2]int64
	faults  []CurveFault
}

func (c *curveCheck) run(ctx context.Context) error {
	for at := int64(math.MinInt64); ; {
		first, found, err := c.next(ctx, at)
		if err != nil || !found {
			return err
		}
		from := curveBlock(first) * curveSteps
		if err := c.compare(ctx, from, from+checkSteps-1); err != nil {
			return err
		}
		at = from + checkSteps
	}
}

// next returns the first step from one on that the stored curve or a worker may have.
func (c *curveCheck) next(ctx context.Context, from int64) (first int64, found bool, err error) {
	var stored sql.NullInt64
	err = c.r.tx.QueryRow(ctx, `SELECT min(block) * ? FROM curve_blocks WHERE run_id = ? AND metric = ? AND block >= ?`, curveSteps, c.id, c.metric, curveBlock(from)).Scan(&stored)
	if err != nil {
		return 0, false, err
	}
	first, found = math.MaxInt64, stored.Valid
	if found {
		first = stored.Int64
	}
	step, any, err := c.r.firstStep(ctx, c.workers, from)
	if err != nil {
		return 0, false, err
	}
	first, found = min(first, step), found || any
	return first, found && first < math.MaxInt64-2*checkSteps, nil
}

func (c *curveCheck) compare(ctx context.Context, from, to int64) error {
	have, err := c.stored(ctx, from, to)
	if errors.Is(err, series.ErrDamaged) {
		if to-from < curveSteps {
			c.faults = append(c.faults, CurveFault{Run: c.id, Metric: c.metric, From: from, To: to, Damaged: err})
			return nil
		}
		for ; from <= to; from += curveSteps { // the others may be the last copy of points
			if err := c.compare(ctx, from, from+curveSteps-1); err != nil {
				return err
			}
		}
		return nil
	}
	if err != nil {
		return err
	}
	want, err := c.r.join(ctx, c.id, c.metric, from, to)
	if errors.Is(err, series.ErrDamaged) {
		return nil // CheckChunks tells
	}
	if err != nil {
		return err
	}
	c.tell(c.unmarked(have), c.unmarked(want))
	return nil
}

// columns compares the columns of the stored curve's blocks with the blocks.
func (c *curveCheck) columns(ctx context.Context) error {
	for group := int64(math.MinInt64 / groupSteps); ; group++ {
		var rows, blocks sql.NullInt64
		err := c.r.tx.QueryRow(ctx, `SELECT min(block) FROM curve_columns WHERE run_id = ? AND metric = ? AND block >= ?`, c.id, c.metric, group).Scan(&rows)
		if err == nil {
			err = c.r.tx.QueryRow(ctx, `SELECT min(block) FROM curve_blocks WHERE run_id = ? AND metric = ? AND block >= ?`, c.id, c.metric, group*groupBlocks).Scan(&blocks)
		}
		switch of := groupOf(blocks.Int64); {
		case err != nil || !rows.Valid && !blocks.Valid:
			return err
		case !blocks.Valid || rows.Valid && rows.Int64 < of:
			group = rows.Int64
		default:
			group = of
		}
		if err := c.group(ctx, group); err != nil {
			return err
		}
	}
}

func (c *curveCheck) group(ctx context.Context, group int64) error {
	f := CurveFault{Run: c.id, Metric: c.metric, From: group * groupSteps, To: (group+1)*groupSteps - 1, columns: true}
	told := slices.ContainsFunc(c.faults, func(o CurveFault) bool { return o.From <= f.To && f.From <= o.To })
	stale := slices.ContainsFunc(c.stale, func(s [2]int64) bool { return s[0] <= f.To && f.From <= s[1] })
	if told || stale {
		return nil // the columns are derived with the blocks
	}
	var want []series.Column
	for block := group * groupBlocks; block < (group+1)*groupBlocks; block++ {
		curve, err := readCurve(ctx, c.r.tx, c.id, c.metric, block, block)
		if errors.Is(err, series.ErrDamaged) {
			return nil // told by compare
		}
		if err != nil {
			return err
		}
		if len(curve) > 0 {
			want = append(want, series.ColumnOf(curve))
		}
	}
	have, err := readColumns(ctx, c.r.tx, c.id, c.metric, group, group)
	if errors.Is(err, series.ErrDamaged) {
		f.Damaged = err
	} else if err != nil {
		return err
	}
	if f.Damaged != nil || !slices.EqualFunc(have, want, sameColumn) {
		c.faults = append(c.faults, f)
	}
	return nil
}

func sameColumn(a, b series.Column) bool {
	if !same(a.Min, b.Min) || !same(a.Max, b.Max) || !near(a.Value, b.Value) {
		return false
	}
	a.Min, a.Max, a.Value, b.Min, b.Max, b.Value = 0, 0, 0, 0, 0, 0
	return a == b
}

// stored reads whole blocks of the stored curve, each with its own steps.
func (c *curveCheck) stored(ctx context.Context, from, to int64) ([]run.CurvePoint, error) {
	curve, err := readCurve(ctx, c.r.tx, c.id, c.metric, curveBlock(from), curveBlock(to))
	if err != nil {
		return nil, err
	}
	last := from - 1
	for _, p := range curve {
		if p.Step <= last || p.Step > to {
			return nil, fmt.Errorf("%w: step %d is not one of this block, or not in its order", series.ErrDamaged, p.Step)
		}
		last = p.Step
	}
	return curve, nil
}

// tell compares the stored curve with that of the points.
func (c *curveCheck) tell(have, want []run.CurvePoint) {
	missing := CurveFault{Run: c.id, Metric: c.metric, From: math.MaxInt64, To: math.MinInt64, Missing: true}
	wrong := missing
	wrong.Missing = false
	for len(have) > 0 || len(want) > 0 {
		var h, w run.CurvePoint // without workers: there is none
		step := int64(math.MaxInt64)
		for _, curve := range [][]run.CurvePoint{have, want} {
			if len(curve) > 0 {
				step = min(step, curve[0].Step)
			}
		}
		if len(have) > 0 && have[0].Step == step {
			h, have = have[0], have[1:]
		}
		if len(want) > 0 && want[0].Step == step {
			w, want = want[0], want[1:]
		}
		f := &wrong
		switch {
		case h.Workers > w.Workers:
			f = &missing
		case samePoint(h, w):
			continue
		}
		f.From, f.To = min(f.From, step), max(f.To, step)
	}
	for _, f := range []CurveFault{missing, wrong} {
		if f.From <= f.To {
			c.faults = append(c.faults, f)
		}
	}
}

// unmarked leaves out steps that are to be derived again anyway.
func (c *curveCheck) unmarked(curve []run.CurvePoint) []run.CurvePoint {
	return slices.DeleteFunc(curve, func(p run.CurvePoint) bool {
		return slices.ContainsFunc(c.stale, func(s [2]int64) bool { return s[0] <= p.Step && p.Step <= s[1] })
	})
}

func samePoint(a, b run.CurvePoint) bool {
	return a.Step == b.Step && a.Workers == b.Workers && a.At.Equal(b.At) && same(a.Min, b.Min) && same(a.Max, b.Max) && near(a.Sum, b.Sum)
}
