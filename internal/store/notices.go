package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/db"
	"github.com/cotrain/cotrain/internal/store/points"
)

// diverged records an attempt's first non-finite loss by step, and returns one event per attempt.
func diverged(ctx context.Context, tx *db.Tx, b *Batch, res points.Result) (*run.Event, error) {
	var first *points.Point
	for i := range res.Points {
		if p := &res.Points[i]; p.Metric == "loss" && !run.Finite(p.Value) && (first == nil || p.Step < first.Step) {
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
		return nil, nil // already reported
	}
	return &run.Event{RunID: b.RunID, At: b.At, Kind: "diverged", Level: "warning", Actor: run.Trainer, Attempt: b.Attempt, Rank: b.Rank,
		Message: fmt.Sprintf("the loss of worker %d is %v at step %d", b.Rank, first.Value, first.Step)}, nil
}

// metricsDropped returns the event, once per run, that metrics are dropped.
func metricsDropped(ctx context.Context, tx *db.Tx, b *Batch, res points.Result) (*run.Event, error) {
	if len(res.Dropped) == 0 {
		return nil, nil
	}
	var told bool // by an earlier console
	if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM events WHERE run_id = ? AND kind = 'metrics_dropped')`, b.RunID).Scan(&told); err != nil || told {
		return nil, err
	}
	return &run.Event{
		RunID: b.RunID, At: b.At, Kind: "metrics_dropped", Level: "warning", Actor: run.Console, Attempt: b.Attempt, Rank: b.Rank,
		Message: fmt.Sprintf("the first %d metrics of a run are kept; worker %d reports %d more, which are dropped: %s",
			points.MaxMetrics, b.Rank, len(res.Dropped), strings.Join(res.Dropped[:min(len(res.Dropped), 3)], ", ")),
	}, nil
}
