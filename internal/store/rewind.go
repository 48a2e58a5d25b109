package store

import (
	"context"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/db"
	"github.com/cotrain/cotrain/internal/store/points"
)

// rewind removes what earlier attempts reported from a step on, beside points, and moves the headline back before it.
func rewind(ctx context.Context, tx *db.Tx, id run.ID, from int64, attempt int) error {
	if _, err := tx.Exec(ctx, `DELETE FROM checkpoints WHERE run_id = ? AND step BETWEEN ? AND ? AND attempt < ?`, id, from, run.MaxStep, attempt); err != nil {
		return err
	}
	loss, err := points.Last(ctx, tx, id, "loss", from-1)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE runs SET step = ?, loss = ?, has_loss = ?, tokens_per_sec = 0, revision = revision + 1 WHERE id = ? AND step >= ?`,
		loss.Step, loss.Mean, loss.Workers > 0, id, from)
	if err != nil {
		return err
	}
	// Until now FirstAt was about an earlier attempt.
	_, err = tx.Exec(ctx, `UPDATE runs SET first_at = 0 WHERE id = ? AND first_at > 0`, id)
	return err
}

// spendChoice forgets what the attempt of a batch was to continue from once that has reported something of its own, so that the next continues
// from what it saved. One that was chosen while its workers end is for the next.
func spendChoice(ctx context.Context, tx *db.Tx, b *Batch) error {
	_, err := tx.Exec(ctx, `UPDATE runs SET next_resume = '', revision = revision + 1 WHERE id = ? AND attempt = ? AND next_resume <> '' AND state IN (?,?,?,?)`,
		b.RunID, b.Attempt, run.Dispatching, run.Pending, run.Running, run.Degraded)
	return err
}
