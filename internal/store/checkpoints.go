package store

import (
	"context"
	"fmt"

	"github.com/cotrain/cotrain/internal/run"
)

// Checkpoint is a step that a worker says to have saved.
type Checkpoint struct {
	Step int64
	Path string // as printed
}

// keptCheckpoints is how many steps are remembered of each worker: workers save together, so the newest that all have
// saved is among them.
const keptCheckpoints = 20

// MaxStep is the greatest step that a point may have; a metric without steps has the time in milliseconds, which is more.
const MaxStep = 1_000_000_000_000

func saveCheckpoints(ctx context.Context, tx *writeTx, b *Batch) error {
	for _, c := range b.Saved {
		_, err := tx.ExecContext(ctx, `INSERT INTO checkpoints (run_id, rank, step, attempt, path) VALUES (?,?,?,?,?)
			ON CONFLICT (run_id, rank, step) DO UPDATE SET attempt = excluded.attempt, path = excluded.path WHERE excluded.attempt >= checkpoints.attempt`,
			b.RunID, b.Rank, c.Step, b.Attempt, c.Path)
		if err != nil {
			return fmt.Errorf("store checkpoint of %s: %w", b.RunID, err)
		}
	}
	if len(b.Saved) == 0 {
		return nil
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM checkpoints WHERE run_id = ? AND rank = ? AND step <
		(SELECT min(step) FROM (SELECT step FROM checkpoints WHERE run_id = ? AND rank = ? ORDER BY step DESC LIMIT ?))`,
		b.RunID, b.Rank, b.RunID, b.Rank, keptCheckpoints)
	return err
}

// Saved returns what the workers of a run said to have saved: the newest steps of each.
func (s *Store) Saved(ctx context.Context, id run.ID) ([]run.Saved, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT attempt, rank, step, path FROM checkpoints WHERE run_id = ? ORDER BY step DESC, rank`, id)
	if err != nil {
		return nil, fmt.Errorf("checkpoints of %s: %w", id, mapError(err))
	}
	return collect(rows, func(row scanner) (c run.Saved, err error) {
		return c, row.Scan(&c.Attempt, &c.Rank, &c.Step, &c.Path)
	})
}

// Rewind forgets what a run reported of the steps from this one on, which another attempt is about to do again: points,
// curves, checkpoints and the headline. What has a time and no step stays. The run must have no worker. Interrupted, it
// can be called again.
func (s *Store) Rewind(ctx context.Context, id run.ID, from int64) error {
	rows, err := s.read.QueryContext(ctx, `SELECT id FROM series WHERE run_id = ?`, id)
	if err != nil {
		return fmt.Errorf("rewind %s: %w", id, mapError(err))
	}
	series, err := collect(rows, func(row scanner) (n int64, err error) { return n, row.Scan(&n) })
	if err != nil {
		return fmt.Errorf("rewind %s: %w", id, err)
	}
	for _, n := range series {
		if err := s.forget(ctx, n, from, MaxStep); err != nil {
			return fmt.Errorf("rewind %s: %w", id, err)
		}
	}
	err = s.inTx(ctx, func(tx *writeTx) error {
		for _, metric := range Rolled() {
			if err := cutCurve(ctx, tx, id, metric, from); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM checkpoints WHERE run_id = ? AND step >= ?`, id, from)
		return err
	})
	if err != nil {
		return fmt.Errorf("rewind %s: %w", id, err)
	}
	head, err := s.Headline(ctx, id)
	if err != nil {
		return err
	}
	head.TokensPerSec = 0
	return s.SaveProgress(ctx, id, head)
}

// forget removes a series' points of these steps, to which nobody adds any more. The rows go first: what SealPoints makes
// of them meanwhile is there when the chunks go.
func (s *Store) forget(ctx context.Context, series, from, to int64) error {
	if err := s.deletePoints(ctx, series, from, to); err != nil {
		return err
	}
	return s.deleteChunks(ctx, series, from, to)
}

// deletePoints removes the rows of these steps of a series, some at a time so that others can write in between.
func (s *Store) deletePoints(ctx context.Context, series, from, to int64) error {
	for {
		res, err := s.write.ExecContext(ctx, `DELETE FROM points WHERE series = ? AND step IN
			(SELECT step FROM points WHERE series = ? AND step BETWEEN ? AND ? LIMIT ?)`, series, series, from, to, tidyRows)
		if err != nil {
			return mapError(err)
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return err
		}
	}
}
