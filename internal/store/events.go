package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/cotrain/cotrain/internal/run"
)

func insertEvent(ctx context.Context, tx *writeTx, ev *run.Event) error {
	res, err := tx.ExecContext(ctx, `INSERT INTO events (run_id, at, kind, level, actor, from_state, to_state, attempt, rank, message)
		VALUES (?,?,?,?,?,?,?,?,?,?)`, ev.RunID, millis(ev.At), ev.Kind, ev.Level, ev.Actor, ev.From, ev.To, ev.Attempt, ev.Rank, ev.Message)
	if err != nil {
		return fmt.Errorf("store event of %s: %w", ev.RunID, err)
	}
	if ev.Seq, err = res.LastInsertId(); err != nil {
		return fmt.Errorf("store event of %s: %w", ev.RunID, err)
	}
	return nil
}

// Events returns up to limit events of a run, oldest first: those after a sequence, or with a negative one the newest.
func (s *Store) Events(ctx context.Context, id run.ID, after int64, limit int) ([]run.Event, error) {
	order := `ASC`
	if after < 0 {
		order = `DESC`
	}
	rows, err := s.read.QueryContext(ctx, `SELECT seq, run_id, at, kind, level, actor, from_state, to_state, attempt, rank, message
		FROM events WHERE run_id = ? AND seq > ? ORDER BY seq `+order+` LIMIT ?`, id, after, min(max(limit, 1), 10000))
	if err != nil {
		return nil, fmt.Errorf("events of %s: %w", id, mapError(err))
	}
	out, err := collect(rows, func(row scanner) (run.Event, error) {
		var ev run.Event
		var at int64
		err := row.Scan(&ev.Seq, &ev.RunID, &at, &ev.Kind, &ev.Level, &ev.Actor, &ev.From, &ev.To, &ev.Attempt, &ev.Rank, &ev.Message)
		ev.At = fromMillis(at)
		return ev, err
	})
	if err != nil {
		return nil, fmt.Errorf("events of %s: %w", id, err)
	}
	if after < 0 {
		slices.Reverse(out)
	}
	return out, nil
}
