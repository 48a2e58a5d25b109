package points

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/series"
	"github.com/cotrain/cotrain/internal/store/db"
)

// curveSteps is the steps per block of a curve. A training run rewrites its newest block, a few KiB, about once a
// second; opening its page decodes them all, ten times faster than rows.
const curveSteps = 512

func curveBlock(step int64) int64 {
	if step < 0 {
		return (step+1)/curveSteps - 1
	}
	return step / curveSteps
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
		all = all[n:]
	}
	return nil
}

// fromStep returns the index of the first point at or after a step.
func fromStep(curve []run.CurvePoint, step int64) int {
	n, _ := slices.BinarySearchFunc(curve, step, func(p run.CurvePoint, step int64) int { return cmp.Compare(p.Step, step) })
	return n
}
