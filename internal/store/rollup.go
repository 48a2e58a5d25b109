package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/cotrain/cotrain/internal/run"
)

// Rolled are the metrics whose curves over all workers are kept ready. A run of 88 000 steps on 300 workers has 26
// million values of each: too many to join whenever somebody opens its page.
func Rolled() []string { return []string{"loss", "tokens_per_second"} }

// markUnrolled notes, in the batch's own transaction, which steps of the curves are no longer what the points say.
func markUnrolled(ctx context.Context, tx *writeTx, b *Batch) error {
	from, to := int64(math.MaxInt64), int64(math.MinInt64)
	for _, p := range b.Points {
		if slices.Contains(Rolled(), p.Metric) {
			from, to = min(from, p.Step), max(to, p.Step)
		}
	}
	if from > to {
		return nil
	}
	if err := addUnrolled(ctx, tx, b.RunID, false, from, to); err != nil {
		return fmt.Errorf("mark curves of %s: %w", b.RunID, err)
	}
	return nil
}

func addUnrolled(ctx context.Context, tx *writeTx, id run.ID, taken bool, from, to int64) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO unrolled (run_id, taken, from_step, to_step) VALUES (?,?,?,?) ON CONFLICT (run_id, taken) DO UPDATE SET
		from_step = min(from_step, excluded.from_step), to_step = max(to_step, excluded.to_step)`, id, taken, from, to)
	return err
}

// RollUp is the part of a run's curves that [Store.RollUp] brought up to date.
type RollUp struct {
	From, To int64                       // steps
	Curves   map[string][]run.CurvePoint // by metric
	More     bool                        // there is more to do
}

// rollSteps is how many steps one call brings up to date: a console that catches up must not do it all in one
// transaction.
const rollSteps = 2000

// RollUp brings the next part of a run's curves up to date with its points and returns it; false when there was nothing
// to do. What is to be done survives a kill, and doing it twice changes nothing. One caller at a time for each run.
func (s *Store) RollUp(ctx context.Context, id run.ID) (RollUp, bool, error) {
	from, to, err := s.takeUnrolled(ctx, id)
	if errors.Is(err, run.ErrNotFound) {
		return RollUp{}, false, nil
	}
	if err != nil {
		return RollUp{}, false, fmt.Errorf("roll up %s: %w", id, err)
	}
	r := RollUp{From: from, To: min(to, from+rollSteps-1), Curves: map[string][]run.CurvePoint{}}
	r.More = r.To < to
	for _, metric := range Rolled() {
		if r.Curves[metric], err = s.join(ctx, id, metric, r.From, r.To); err != nil {
			return r, false, err
		}
	}
	err = s.inTx(ctx, func(tx *writeTx) error {
		for metric, curve := range r.Curves {
			for _, p := range curve {
				if _, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO curves (run_id, metric, step, mean, low, high, sum, workers, at)
					SELECT id, ?,?,?,?,?,?,?,? FROM runs WHERE id = ?`, metric, p.Step, p.Mean, p.Min, p.Max, p.Sum, p.Workers, millis(p.At), id); err != nil {
					return err
				}
			}
		}
		if r.More {
			_, err := tx.ExecContext(ctx, `UPDATE unrolled SET from_step = ? WHERE run_id = ? AND taken = 1`, r.To+1, id)
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM unrolled WHERE run_id = ? AND taken = 1`, id)
		return err
	})
	if err != nil {
		return r, false, fmt.Errorf("roll up %s: %w", id, err)
	}
	return r, true, nil
}

// takeUnrolled adds what was marked to what was taken before and not finished, and returns its steps, or
// [run.ErrNotFound]. Points that come from here on make a new mark.
func (s *Store) takeUnrolled(ctx context.Context, id run.ID) (from, to int64, err error) {
	// Most of the time there is nothing: that costs no write.
	err = s.read.QueryRowContext(ctx, `SELECT from_step FROM unrolled WHERE run_id = ? LIMIT 1`, id).Scan(&from)
	if err != nil {
		return 0, 0, mapError(err)
	}
	err = s.inTx(ctx, func(tx *writeTx) error {
		err := tx.QueryRowContext(ctx, `DELETE FROM unrolled WHERE run_id = ? AND taken = 0 RETURNING from_step, to_step`, id).Scan(&from, &to)
		if err == nil {
			err = addUnrolled(ctx, tx, id, true, from, to)
		}
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		return tx.QueryRowContext(ctx, `SELECT from_step, to_step FROM unrolled WHERE run_id = ? AND taken = 1`, id).Scan(&from, &to)
	})
	return from, to, err
}
