package store

import (
	"context"
	"fmt"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/db"
)

// Checkpoint is a step that a worker says to have saved.
type Checkpoint struct {
	Step int64
	Path string // as printed
}

// keptCheckpoints is how many steps are remembered of each worker: workers save together, so the newest that all have
// saved is among them.
const keptCheckpoints = 20

// saveCheckpoints stores the checkpoints of a batch but for those of a step that a later attempt has trained again.
func saveCheckpoints(ctx context.Context, tx *db.Tx, b *Batch, gone int64) error {
	saved := false
	for _, c := range b.Saved {
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
		(SELECT min(step) FROM (SELECT step FROM checkpoints WHERE run_id = ? AND rank = ? ORDER BY step DESC LIMIT ?))`,
		b.RunID, b.Rank, b.RunID, b.Rank, keptCheckpoints)
	return err
}

// Saved returns what the workers of a run said to have saved: the newest steps of each.
func (s *Store) Saved(ctx context.Context, id run.ID) ([]run.Saved, error) {
	rows, err := s.db.Query(ctx, `SELECT attempt, rank, step, path FROM checkpoints WHERE run_id = ? ORDER BY step DESC, rank`, id)
	if err != nil {
		return nil, fmt.Errorf("checkpoints of %s: %w", id, err)
	}
	return db.Collect(rows, func(row db.Scanner) (c run.Saved, err error) {
		return c, row.Scan(&c.Attempt, &c.Rank, &c.Step, &c.Path)
	})
}
