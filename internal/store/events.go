package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/db"
)

func insertEvent(ctx context.Context, tx *db.Tx, ev *run.Event) error {
	err := tx.QueryRow(ctx, `INSERT INTO events (run_id, at, kind, level, actor, from_state, to_state, attempt, rank, message)
		VALUES (?,?,?,?,?,?,?,?,?,?) RETURNING seq`, ev.RunID, db.Millis(ev.At), ev.Kind, ev.Level, ev.Actor, ev.From, ev.To, ev.Attempt, ev.Rank, ev.Message).Scan(&ev.Seq)
	if err != nil {
		return fmt.Errorf("store event of %s: %w", ev.RunID, err)
	}
	return nil
}

const eventColumns = `seq, run_id, at, kind, level, actor, from_state, to_state, attempt, rank, message`

// maxEvents bounds one answer with events.
const maxEvents = 10000

func scanEvent(row db.Scanner) (run.Event, error) {
	var ev run.Event
	var at int64
	err := row.Scan(&ev.Seq, &ev.RunID, &at, &ev.Kind, &ev.Level, &ev.Actor, &ev.From, &ev.To, &ev.Attempt, &ev.Rank, &ev.Message)
	ev.At = db.FromMillis(at)
	return ev, err
}

// Events returns up to limit events of a run after a sequence, oldest first.
func (s *Store) Events(ctx context.Context, id run.ID, after int64, limit int) ([]run.Event, error) {
	out, err := db.Select(ctx, s.db, scanEvent, `SELECT `+eventColumns+` FROM events WHERE run_id = ? AND seq > ? ORDER BY seq LIMIT ?`,
		id, after, min(max(limit, 1), maxEvents))
	if err != nil {
		return nil, fmt.Errorf("events of %s: %w", id, err)
	}
	return out, nil
}

// EventsBefore returns the newest limit events of a run before a sequence, oldest first.
func (s *Store) EventsBefore(ctx context.Context, id run.ID, before int64, limit int) ([]run.Event, error) {
	out, err := db.Select(ctx, s.db, scanEvent, `SELECT `+eventColumns+` FROM events WHERE run_id = ? AND seq < ? ORDER BY seq DESC LIMIT ?`,
		id, before, min(max(limit, 1), maxEvents))
	if err != nil {
		return nil, fmt.Errorf("events of %s: %w", id, err)
	}
	slices.Reverse(out)
	return out, nil
}
