package store

import (
	"context"
	"fmt"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/db"
)

// diverged takes note of the first loss, by step, that is no finite number, and returns the event that tells of it: one for
// each attempt, by whichever worker is stored first.
func diverged(ctx context.Context, tx *db.Tx, b *Batch, points []Point) (*run.Event, error) {
	var first *Point
	for i := range points {
		if p := &points[i]; p.Metric == "loss" && !run.Finite(p.Value) && (first == nil || p.Step < first.Step) {
			first = p
		}
	}
	if first == nil {
		return nil, nil
	}
	var newest, of int
	var step int64
	if err := tx.QueryRow(ctx, `SELECT attempt, diverged_attempt, diverged_step FROM runs WHERE id = ?`, b.RunID).Scan(&newest, &of, &step); err != nil {
		return nil, fmt.Errorf("read where %s diverged: %w", b.RunID, err)
	}
	if b.Attempt < newest || b.Attempt < of || (b.Attempt == of && first.Step >= step) {
		return nil, nil
	}
	if _, err := tx.Exec(ctx, `UPDATE runs SET diverged_attempt = ?, diverged_step = ?, diverged_rank = ?, revision = revision + 1 WHERE id = ?`,
		b.Attempt, first.Step, b.Rank, b.RunID); err != nil {
		return nil, fmt.Errorf("store where %s diverged: %w", b.RunID, err)
	}
	if b.Attempt == of {
		return nil, nil // told already
	}
	return &run.Event{RunID: b.RunID, At: b.At, Kind: "diverged", Level: "warning", Actor: "worker", Attempt: b.Attempt, Rank: b.Rank,
		Message: fmt.Sprintf("the loss of worker %d is %v at step %d", b.Rank, first.Value, first.Step)}, nil
}
