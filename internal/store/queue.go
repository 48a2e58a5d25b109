package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/run"
)

// Waiting is a run that is to be sent to Nomad, with what decides when.
type Waiting struct {
	ID        run.ID
	State     run.State // queued or dispatching
	Reason    string
	NotBefore time.Time
	Sweep     run.SweepID
	// Expired has what [run.Run.Expired] needs of a run that had an attempt before; it is zero for others.
	Expired run.Run
}

// SweepSlots is how many runs of a sweep are live, and may be.
type SweepSlots struct {
	Parallel int // 0 for no limit
	Live     int
}

// Waiting returns what is to be sent to Nomad, first what an earlier process was sending, then by priority, then oldest
// first; and the slots of the sweeps that they are part of.
func (s *Store) Waiting(ctx context.Context) ([]Waiting, map[run.SweepID]SweepSlots, error) {
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, nil, fmt.Errorf("list waiting runs: %w", mapError(err))
	}
	defer func() { _ = tx.Rollback() }() // nothing to undo
	rows, err := tx.QueryContext(ctx, `SELECT id, state, reason, not_before, sweep, started_at, CASE WHEN started_at > 0 THEN options ELSE '{}' END
		FROM runs WHERE state IN (?, ?) ORDER BY state = ?, priority DESC, id`, run.Queued, run.Dispatching, run.Queued)
	if err != nil {
		return nil, nil, fmt.Errorf("list waiting runs: %w", mapError(err))
	}
	out, err := collect(rows, scanWaiting)
	if err != nil {
		return nil, nil, fmt.Errorf("list waiting runs: %w", err)
	}
	slots := map[run.SweepID]SweepSlots{}
	for _, w := range out {
		if _, known := slots[w.Sweep]; known || w.Sweep == "" {
			continue
		}
		if slots[w.Sweep], err = sweepSlots(ctx, tx, w.Sweep); err != nil {
			return nil, nil, err
		}
	}
	return out, slots, nil
}

func scanWaiting(row scanner) (Waiting, error) {
	var w Waiting
	var notBefore, started int64
	var options string
	if err := row.Scan(&w.ID, &w.State, &w.Reason, &notBefore, &w.Sweep, &started, &options); err != nil {
		return w, err
	}
	w.NotBefore = fromMillis(notBefore)
	if started > 0 {
		w.Expired = run.Run{ID: w.ID, StartedAt: fromMillis(started)}
		if err := json.Unmarshal([]byte(options), &w.Expired.Options); err != nil {
			return w, fmt.Errorf("options of run %s: %w", w.ID, err)
		}
	}
	return w, nil
}

func sweepSlots(ctx context.Context, q querier, id run.SweepID) (SweepSlots, error) {
	var out SweepSlots
	err := q.QueryRowContext(ctx, `SELECT coalesce((SELECT parallel FROM sweeps WHERE id = ?), 0), count(*) FROM runs
		WHERE sweep <> '' AND sweep = ? AND state IN (?,?,?,?,?)`, id, id, run.Dispatching, run.Pending, run.Running, run.Degraded, run.Stopping).
		Scan(&out.Parallel, &out.Live)
	if err != nil {
		return out, fmt.Errorf("slots of sweep %s: %w", id, mapError(err))
	}
	return out, nil
}

// reasonsAtOnce bounds the parameters of one statement.
const reasonsAtOnce = 500

// SetReason gives queued runs the reason for which they wait. Those that have it are not written.
func (s *Store) SetReason(ctx context.Context, reason string, ids []run.ID) error {
	for len(ids) > 0 {
		n := min(len(ids), reasonsAtOnce)
		args := []any{reason, run.Queued, reason}
		for _, id := range ids[:n] {
			args = append(args, id)
		}
		_, err := s.write.ExecContext(ctx, `UPDATE runs SET reason = ? WHERE state = ? AND reason <> ? AND id IN (?`+strings.Repeat(",?", n-1)+`)`, args...)
		if err != nil {
			return fmt.Errorf("store reasons for waiting: %w", mapError(err))
		}
		ids = ids[n:]
	}
	return nil
}
