package store

import (
	"context"
	"fmt"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/db"
)

// Checkpoint is a step that a worker reports as saved.
type Checkpoint struct {
	Step int64
	Path string // as printed
}

// keptCheckpoints is the steps remembered per worker. Workers save together, so the newest that all have saved is among
// them, and a run that goes back behind a trouble finds one before it. Older ones can be named where storage can be seen.
const keptCheckpoints = 200

// saveCheckpoints stores a batch's checkpoints below the steps that a later attempt repeats.
func saveCheckpoints(ctx context.Context, tx *db.Tx, b *Batch, gone int64) error {
	saved := false
	for _, c := range b.Checkpoints {
		if c.Step >= gone {
			continue
		}
		saved = true
		_, err := tx.Exec(ctx, `INSERT INTO checkpoints (run_id, rank, step, attempt, path) VALUES (?,?,?,?,?)
			ON CONFLICT (run_id, rank, step) DO UPDATE SET attempt = excluded.attempt, path = excluded.path WHERE excluded.attempt >= checkpoints.attempt`,
			b.RunID, b.Rank, c.Step, b.Attempt, c.Path)
		if err != nil {
			return fmt.Errorf("store checkpoint of %s: %w", b.RunID, err)
		}
	}
	if !saved {
		return nil
	}
	_, err := tx.Exec(ctx, `DELETE FROM checkpoints WHERE run_id = ? AND rank = ? AND step <
		(SELECT min(step) FROM (SELECT step FROM checkpoints WHERE run_id = ? AND rank = ? ORDER BY step DESC LIMIT ?) AS kept)`,
		b.RunID, b.Rank, b.RunID, b.Rank, keptCheckpoints)
	return err
}

// SavedCheckpoints returns the newest reported checkpoints of each of a run's workers.
func (s *Store) SavedCheckpoints(ctx context.Context, id run.ID) ([]run.SavedCheckpoint, error) {
	rows, err := s.db.Query(ctx, `SELECT attempt, rank, step, path FROM checkpoints WHERE run_id = ? ORDER BY step DESC, rank`, id)
	if err != nil {
		return nil, fmt.Errorf("checkpoints of %s: %w", id, err)
	}
	return db.Collect(rows, func(row db.Scanner) (c run.SavedCheckpoint, err error) {
		return c, row.Scan(&c.Attempt, &c.Rank, &c.Step, &c.Path)
	})
}
