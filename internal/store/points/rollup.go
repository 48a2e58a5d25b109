package points

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/series"
	"github.com/cotrain/cotrain/internal/store/db"
)

// CurveMetrics are the metrics with stored curves over all workers. A run of 88 000 steps on 300 workers has 26 million
// values of each: too many to join for each page.
func CurveMetrics() []string { return []string{"loss", "tokens_per_second"} }

// markStale marks the steps of curves that new points invalidate, in their transaction.
func markStale(ctx context.Context, tx *db.Tx, id run.ID, points []Point) error {
	from, to := int64(math.MaxInt64), int64(math.MinInt64)
	for _, p := range points {
		if slices.Contains(CurveMetrics(), p.Metric) {
			from, to = min(from, p.Step), max(to, p.Step)
		}
	}
	if from > to {
		return nil
	}
	if err := addStale(ctx, tx, id, false, from, to); err != nil {
		return fmt.Errorf("mark curves of %s: %w", id, err)
	}
	return nil
}

func addStale(ctx context.Context, tx *db.Tx, id run.ID, taken bool, from, to int64) error {
	_, err := tx.Exec(ctx, `INSERT INTO stale_curves (run_id, taken, from_step, to_step) VALUES (?,?,?,?) ON CONFLICT (run_id, taken) DO UPDATE SET
		from_step = CASE WHEN excluded.from_step < stale_curves.from_step THEN excluded.from_step ELSE stale_curves.from_step END,
		to_step = CASE WHEN excluded.to_step > stale_curves.to_step THEN excluded.to_step ELSE stale_curves.to_step END`, id, taken, from, to)
	return err
}

// RollUp is the part of a run's curves that [Points.RollUp] updated.
type RollUp struct {
	From, To int64                       // steps
	Curves   map[string][]run.CurvePoint // by metric
	More     bool                        // more is stale
}

// rollSteps is the steps per call: a console catching up must not use one huge transaction.
const rollSteps = 2000

// RollUp updates the next stale part of a run's curves and returns it, or false. It is idempotent and resumes after a
// kill. One caller at a time per run.
func (ps *Points) RollUp(ctx context.Context, id run.ID) (RollUp, bool, error) {
	from, to, err := ps.takeStale(ctx, id)
	if errors.Is(err, fault.ErrNotFound) {
		return RollUp{}, false, nil
	}
	if err != nil {
		return RollUp{}, false, fmt.Errorf("roll up %s: %w", id, err)
	}
	r := RollUp{From: from, To: min(to, from+rollSteps-1), Curves: map[string][]run.CurvePoint{}}
	r.More = r.To < to
	points := 0
	for _, metric := range CurveMetrics() {
		if r.Curves[metric], err = ps.join(ctx, id, metric, r.From, r.To); err != nil {
			return r, false, err
		}
		points += len(r.Curves[metric])
	}
	if r.More && points == 0 {
		if r.To, err = ps.emptyUntil(ctx, id, r.To, to); err != nil {
			return r, false, fmt.Errorf("roll up %s: %w", id, err)
		}
		r.More = r.To < to
	}
	defer ps.changed(id)
	err = ps.db.Write(ctx, func(tx *db.Tx) error {
		if err := tx.Require(ctx, "runs", string(id)); err != nil {
			return err
		}
		for metric, curve := range r.Curves {
			if err := saveCurve(ctx, tx, id, metric, r.From, r.To, curve); err != nil {
				return err
			}
		}
		if r.More {
			_, err := tx.Exec(ctx, `UPDATE stale_curves SET from_step = ? WHERE run_id = ? AND taken = 1`, r.To+1, id)
			return err
		}
		_, err := tx.Exec(ctx, `DELETE FROM stale_curves WHERE run_id = ? AND taken = 1`, id)
		return err
	})
	if err != nil {
		return r, false, fmt.Errorf("roll up %s: %w", id, err)
	}
	return r, true, nil
}

// emptyUntil returns the end of the gap after a step, at most to: a log can print any step, and a gap of any size takes
// one call.
func (ps *Points) emptyUntil(ctx context.Context, id run.ID, after, to int64) (int64, error) {
	err := ps.readPoints(ctx, func(r *reader) error {
		for _, metric := range CurveMetrics() {
			workers, err := r.workers(ctx, id, metric, math.MinInt)
			if err != nil {
				return err
			}
			for _, w := range workers {
				err := r.each(ctx, w, after+1, to, func(p series.Point) bool {
					to = p.Step - 1
					return false
				})
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
	return to, err
}

// StaleCurves returns the runs with stale curves.
func (ps *Points) StaleCurves(ctx context.Context) ([]run.ID, error) {
	rows, err := ps.db.Query(ctx, `SELECT DISTINCT run_id FROM stale_curves ORDER BY run_id DESC`)
	if err != nil {
		return nil, fmt.Errorf("runs with curves to roll up: %w", err)
	}
	return db.Collect(rows, db.One[run.ID])
}

// takeStale merges the marks with an unfinished earlier take and returns the steps, or [fault.ErrNotFound]. Later points
// make a new mark.
func (ps *Points) takeStale(ctx context.Context, id run.ID) (from, to int64, err error) {
	// Usually there is nothing: avoid a write.
	err = ps.db.QueryRow(ctx, `SELECT from_step FROM stale_curves WHERE run_id = ? LIMIT 1`, id).Scan(&from)
	if err != nil {
		return 0, 0, err
	}
	err = ps.db.Write(ctx, func(tx *db.Tx) error {
		if err := tx.Require(ctx, "runs", string(id)); err != nil {
			return err
		}
		err := tx.QueryRow(ctx, `DELETE FROM stale_curves WHERE run_id = ? AND taken = 0 RETURNING from_step, to_step`, id).Scan(&from, &to)
		if err == nil {
			err = addStale(ctx, tx, id, true, from, to)
		}
		if err != nil && !errors.Is(err, fault.ErrNotFound) {
			return err
		}
		return tx.QueryRow(ctx, `SELECT from_step, to_step FROM stale_curves WHERE run_id = ? AND taken = 1`, id).Scan(&from, &to)
	})
	return from, to, err
}
