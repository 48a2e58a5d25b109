package points

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/series"
	"github.com/cotrain/cotrain/internal/store/db"
)

const (
	// curveSteps is the steps per block of a curve. A training run rewrites its newest block, a few KiB, about once a
	// second; opening its page decodes them all, ten times faster than rows.
	curveSteps = 512
	// groupBlocks is the blocks whose columns are one row of curve_columns.
	groupBlocks = 128
	groupSteps  = groupBlocks * curveSteps
	// blocksAtOnce is how many blocks are read at once.
	blocksAtOnce = 64
)

func curveBlock(step int64) int64 { return floorDiv(step, curveSteps) }

func groupOf(block int64) int64 { return floorDiv(block, groupBlocks) }

func floorDiv(n, by int64) int64 {
	if n < 0 {
		return (n+1)/by - 1
	}
	return n / by
}

// readCurve reads a curve's blocks from first to last.
func readCurve(ctx context.Context, q db.Querier, id run.ID, metric string, first, last int64) ([]run.CurvePoint, error) {
	blocks, err := db.Select(ctx, q, db.One[[]byte], `SELECT data FROM curve_blocks WHERE run_id = ? AND metric = ? AND block BETWEEN ? AND ? ORDER BY block`,
		id, metric, first, last)
	if err != nil {
		return nil, fmt.Errorf("curve %s of %s: %w", metric, id, err)
	}
	out := slices.Grow([]run.CurvePoint(nil), len(blocks)*curveSteps)
	for _, data := range blocks {
		if out, err = series.AppendCurve(out, data); err != nil {
			return nil, fmt.Errorf("curve %s of %s: %w", metric, id, err)
		}
	}
	return out, nil
}

// eachStored reads a stored curve, some blocks at a time.
func (r *reader) eachStored(ctx context.Context, id run.ID, metric string, from, to int64, take func(run.CurvePoint) bool) error {
	var curve []run.CurvePoint
	for next, last := curveBlock(from), curveBlock(to); next <= last; {
		blocks, err := db.Select(ctx, r.tx, scanBlock,
			`SELECT block, data FROM curve_blocks WHERE run_id = ? AND metric = ? AND block BETWEEN ? AND ? ORDER BY block LIMIT ?`, id, metric, next, last, blocksAtOnce)
		if err != nil {
			return fmt.Errorf("curve %s of %s: %w", metric, id, err)
		}
		for _, b := range blocks {
			if curve, err = series.AppendCurve(curve[:0], b.data); err != nil {
				return fmt.Errorf("curve %s of %s: %w", metric, id, err)
			}
			for _, p := range curve[fromStep(curve, from):] {
				if p.Step > to || !take(p) {
					return nil
				}
			}
			next = b.number + 1
		}
		if len(blocks) < blocksAtOnce {
			return nil
		}
	}
	return nil
}

// partsOfStored are the blocks of a stored curve.
func (r *reader) partsOfStored(ctx context.Context, id run.ID, metric string, from, to int64) ([]series.Part, error) {
	groups, err := readColumns(ctx, r.tx, id, metric, groupOf(curveBlock(from)), groupOf(curveBlock(to)))
	if err != nil {
		return nil, err
	}
	ahead := &blocksAhead{r: r, run: id, metric: metric, last: -1}
	var out []series.Part
	for i, c := range groups {
		if c.Last < from || c.First > to {
			continue
		}
		out = append(out, series.Part{Column: c, Each: func(take func(run.CurvePoint) bool) error {
			return ahead.each(ctx, i, curveBlock(c.First), take)
		}})
	}
	return out, nil
}

// blocksAhead reads single blocks of a stored curve, and while they are asked for one after the other more and more of the next ones
// with them: a statement costs as much as some blocks.
type blocksAhead struct {
	r      *reader
	run    run.ID
	metric string
	last   int // place among the curve's blocks that was asked for, -1 before
	read   []storedBlock
	atOnce int
	curve  []run.CurvePoint // for reuse
}

type storedBlock struct {
	number int64
	data   []byte
}

func scanBlock(row db.Scanner) (b storedBlock, err error) { return b, row.Scan(&b.number, &b.data) }

// each calls take for the points of a block, at a place among the curve's, until it returns false.
func (a *blocksAhead) each(ctx context.Context, place int, block int64, take func(run.CurvePoint) bool) error {
	data, err := a.block(ctx, place, block)
	if err == nil && data != nil {
		a.curve, err = series.AppendCurve(a.curve[:0], data)
	}
	if err != nil {
		return fmt.Errorf("curve %s of %s: %w", a.metric, a.run, err)
	}
	for _, p := range a.curve {
		if data == nil || !take(p) {
			break
		}
	}
	return nil
}

// block is a block's data, nil for none.
func (a *blocksAhead) block(ctx context.Context, place int, number int64) (data []byte, err error) {
	a.atOnce = min(2*a.atOnce, blocksAtOnce)
	if place != a.last+1 || a.atOnce == 0 {
		a.atOnce, a.read = 1, nil
	}
	a.last = place
	if len(a.read) == 0 {
		a.read, err = db.Select(ctx, a.r.tx, scanBlock, `SELECT block, data FROM curve_blocks WHERE run_id = ? AND metric = ? AND block >= ? ORDER BY block LIMIT ?`, a.run, a.metric, number, a.atOnce)
	}
	if err != nil || len(a.read) == 0 || a.read[0].number != number {
		return nil, err
	}
	data, a.read = a.read[0].data, a.read[1:]
	return data, nil
}

// readColumns reads the columns of a curve's blocks.
func readColumns(ctx context.Context, q db.Querier, id run.ID, metric string, first, last int64) (out []series.Column, err error) {
	groups, err := db.Select(ctx, q, db.One[[]byte], `SELECT data FROM curve_columns WHERE run_id = ? AND metric = ? AND block BETWEEN ? AND ? ORDER BY block`, id, metric, first, last)
	for _, data := range groups {
		if err == nil {
			out, err = series.AppendColumns(out, data)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("columns of curve %s of %s: %w", metric, id, err)
	}
	return out, nil
}

// saveCurve replaces a curve's steps from..to by those in curve.
func saveCurve(ctx context.Context, tx *db.Tx, id run.ID, metric string, from, to int64, curve []run.CurvePoint) error {
	first, last := curveBlock(from), curveBlock(to)
	old, err := readCurve(ctx, tx, id, metric, first, last)
	if err != nil {
		return err
	}
	all := slices.Concat(old[:fromStep(old, from)], curve, old[fromStep(old, to+1):])
	if _, err := tx.Exec(ctx, `DELETE FROM curve_blocks WHERE run_id = ? AND metric = ? AND block BETWEEN ? AND ?`, id, metric, first, last); err != nil {
		return err
	}
	var columns []series.Column
	for len(all) > 0 {
		block := curveBlock(all[0].Step)
		n := fromStep(all, (block+1)*curveSteps)
		data, err := series.EncodeCurve(all[:n])
		if err != nil {
			return fmt.Errorf("curve %s of %s: %w", metric, id, err)
		}
		if _, err := tx.Exec(ctx, `INSERT INTO curve_blocks (run_id, metric, block, data) VALUES (?,?,?,?)`, id, metric, block, data); err != nil {
			return err
		}
		columns = append(columns, series.ColumnOf(all[:n]))
		all = all[n:]
	}
	return saveColumns(ctx, tx, id, metric, first, last, columns)
}

// saveColumns replaces the columns of blocks first..last.
func saveColumns(ctx context.Context, tx *db.Tx, id run.ID, metric string, first, last int64, columns []series.Column) error {
	from, to := groupOf(first), groupOf(last)
	old, err := readColumns(ctx, tx, id, metric, from, to)
	if err != nil {
		return err
	}
	before := slices.DeleteFunc(slices.Clone(old), func(c series.Column) bool { return curveBlock(c.First) >= first })
	after := slices.DeleteFunc(old, func(c series.Column) bool { return curveBlock(c.First) <= last })
	all := slices.Concat(before, columns, after)
	for len(all) > 0 {
		group := groupOf(curveBlock(all[0].First))
		n := 1
		for n < len(all) && groupOf(curveBlock(all[n].First)) == group {
			n++
		}
		data, err := series.EncodeColumns(all[:n])
		if err != nil {
			return fmt.Errorf("columns of curve %s of %s: %w", metric, id, err)
		}
		_, err = tx.Exec(ctx, `INSERT INTO curve_columns (run_id, metric, block, data) VALUES (?,?,?,?) ON CONFLICT (run_id, metric, block) DO UPDATE SET data = excluded.data`, id, metric, group, data)
		if err != nil {
			return err
		}
		if err := deleteColumns(ctx, tx, id, metric, from, group-1); err != nil {
			return err
		}
		from, all = group+1, all[n:]
	}
	return deleteColumns(ctx, tx, id, metric, from, to)
}

// deleteColumns deletes the columns of groups.
func deleteColumns(ctx context.Context, tx *db.Tx, id run.ID, metric string, first, last int64) error {
	if first > last {
		return nil
	}
	_, err := tx.Exec(ctx, `DELETE FROM curve_columns WHERE run_id = ? AND metric = ? AND block BETWEEN ? AND ?`, id, metric, first, last)
	return err
}

// FillColumns derives the columns of the blocks of an older database.
func FillColumns(ctx context.Context, tx *db.Tx) error {
	type key struct {
		run    run.ID
		metric string
		first  int64
		last   int64
	}
	curves, err := db.Select(ctx, tx, func(row db.Scanner) (k key, err error) { return k, row.Scan(&k.run, &k.metric, &k.first, &k.last) },
		`SELECT run_id, metric, min(block), max(block) FROM curve_blocks GROUP BY run_id, metric`)
	if err != nil {
		return err
	}
	for _, k := range curves {
		for first := k.first; first <= k.last; {
			next, err := fillGroup(ctx, tx, k.run, k.metric, first)
			if err != nil {
				return err
			}
			first = next
		}
	}
	return nil
}

// fillGroup derives the columns of the group that the next block is in, and returns the one after.
func fillGroup(ctx context.Context, tx *db.Tx, id run.ID, metric string, first int64) (next int64, err error) {
	err = tx.QueryRow(ctx, `SELECT block FROM curve_blocks WHERE run_id = ? AND metric = ? AND block >= ? ORDER BY block LIMIT 1`, id, metric, first).Scan(&first)
	if err != nil {
		return 0, err
	}
	next = (groupOf(first) + 1) * groupBlocks
	blocks, err := db.Select(ctx, tx, db.One[[]byte], `SELECT data FROM curve_blocks WHERE run_id = ? AND metric = ? AND block BETWEEN ? AND ? ORDER BY block`, id, metric, first, next-1)
	if err != nil {
		return 0, err
	}
	var columns []series.Column
	for _, data := range blocks {
		if curve, err := series.AppendCurve(nil, data); err == nil { // a damaged one is for a check
			columns = append(columns, series.ColumnOf(curve))
		}
	}
	return next, saveColumns(ctx, tx, id, metric, first, next-1, columns)
}

// cutCurve removes a curve's steps from one on.
func cutCurve(ctx context.Context, tx *db.Tx, id run.ID, metric string, from int64) error {
	block := curveBlock(from)
	if _, err := tx.Exec(ctx, `DELETE FROM curve_blocks WHERE run_id = ? AND metric = ? AND block > ?`, id, metric, block); err != nil {
		return err
	}
	group := groupOf(block)
	if err := deleteColumns(ctx, tx, id, metric, group+1, math.MaxInt64); err != nil {
		return err
	}
	return saveCurve(ctx, tx, id, metric, from, (group+1)*groupSteps-1, nil)
}

// fromStep returns the index of the first point at or after a step.
func fromStep(curve []run.CurvePoint, step int64) int {
	n, _ := slices.BinarySearchFunc(curve, step, func(p run.CurvePoint, step int64) int { return cmp.Compare(p.Step, step) })
	return n
}
