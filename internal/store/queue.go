package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/run"
)

// Turn is the place of a run that may be sent to Nomad: those of higher priority are first, then the oldest.
type Turn struct {
	ID       run.ID
	Priority int // what counts, [run.DefaultPriority] for a run that says nothing
}

// FirstTurn is before every run's.
func FirstTurn() Turn { return Turn{Priority: math.MaxInt32} }

// SweepSlots is how many runs of a sweep with runs that may be sent are live, and may be.
type SweepSlots struct {
	Sweep    run.SweepID // "" stands for the runs that are not part of one, which have no limit
	Parallel int         // 0 for no limit
	Live     int         // counted only where there is a limit
}

// Full reports whether as many runs are live as may be.
func (s SweepSlots) Full() bool { return s.Parallel > 0 && s.Live >= s.Parallel }

const dispatching = `SELECT id FROM runs WHERE state = ? ORDER BY priority DESC, id`

// Dispatching returns the runs that are being sent to Nomad or that an earlier process was sending: those of higher
// priority first, then the oldest.
func (s *Store) Dispatching(ctx context.Context) ([]run.ID, error) {
	ids, err := s.ids(ctx, dispatching, run.Dispatching)
	if err != nil {
		return nil, fmt.Errorf("list runs that are being sent: %w", err)
	}
	return ids, nil
}

// ready is what the queue may send, but for the limits of sweeps. It stands in the migrations too. Queries name their index
// where SQLite, which keeps no statistics of this database, would rather read everything that is queued.
const ready = `state = '` + string(run.Queued) + `' AND not_before = 0`

// slotsCTE is a row for each sweep with ready runs. It steps from sweep to sweep, and does not read their runs.
const slotsCTE = `WITH RECURSIVE groups (sweep) AS (
		SELECT min(sweep) FROM runs INDEXED BY runs_ready WHERE ` + ready + `
		UNION ALL SELECT (SELECT min(sweep) FROM runs INDEXED BY runs_ready WHERE ` + ready + ` AND sweep > groups.sweep) FROM groups WHERE sweep IS NOT NULL),
	slots AS MATERIALIZED (
		SELECT g.sweep, coalesce(s.parallel, 0) AS parallel,
			CASE WHEN s.parallel > 0 THEN (SELECT count(*) FROM runs r WHERE r.sweep <> '' AND r.sweep = g.sweep AND r.state IN (` + live + `)) ELSE 0 END AS live
		FROM groups g LEFT JOIN sweeps s ON s.id = g.sweep WHERE g.sweep IS NOT NULL)`

// live is the states of a run that takes a place of its sweep.
const live = `'` + string(run.Dispatching) + `','` + string(run.Pending) + `','` + string(run.Running) + `','` + string(run.Degraded) + `','` + string(run.Stopping) + `'`

const readySweeps = slotsCTE + ` SELECT sweep, parallel, live FROM slots ORDER BY sweep`

// ReadySweeps returns the slots of the sweeps that have runs which wait for nothing but their turn.
func (s *Store) ReadySweeps(ctx context.Context) ([]SweepSlots, error) {
	rows, err := s.read.QueryContext(ctx, readySweeps)
	if err != nil {
		return nil, fmt.Errorf("list sweeps that wait: %w", mapError(err))
	}
	out, err := collect(rows, func(row scanner) (v SweepSlots, err error) { return v, row.Scan(&v.Sweep, &v.Parallel, &v.Live) })
	if err != nil {
		return nil, fmt.Errorf("list sweeps that wait: %w", err)
	}
	return out, nil
}

// nextReady looks in each sweep that is not full for the first run after a turn: of the same priority, or of a lower one.
const nextReady = slotsCTE + `
	SELECT r.id, r.priority FROM slots JOIN runs r ON r.id = coalesce(
		(SELECT id FROM runs WHERE ` + ready + ` AND sweep = slots.sweep AND priority = ?1 AND id > ?2 ORDER BY id LIMIT 1),
		(SELECT id FROM runs WHERE ` + ready + ` AND sweep = slots.sweep AND priority < ?1 ORDER BY priority DESC, id LIMIT 1))
	WHERE parallel = 0 OR live < parallel ORDER BY r.priority DESC, r.id LIMIT 1`

// NextReady returns the first run after a turn that waits for nothing: it is queued, its time has come, and its sweep has a
// place for it. Without one, ok is false.
func (s *Store) NextReady(ctx context.Context, after Turn) (next Turn, ok bool, err error) {
	err = mapError(s.read.QueryRowContext(ctx, nextReady, after.Priority, after.ID).Scan(&next.ID, &next.Priority))
	switch {
	case errors.Is(err, run.ErrNotFound):
		return next, false, nil
	case err != nil:
		return next, false, fmt.Errorf("next run to send: %w", err)
	}
	return next, true, nil
}

const readyWithout = `SELECT id FROM runs WHERE ` + ready + ` AND sweep = ?1 AND reason < ?2
	UNION ALL SELECT id FROM runs WHERE ` + ready + ` AND sweep = ?1 AND reason > ?2`

// ReadyWithout returns the runs of a sweep that wait for nothing but their turn, and say so with another reason than this.
func (s *Store) ReadyWithout(ctx context.Context, sweep run.SweepID, reason string) ([]run.ID, error) {
	ids, err := s.ids(ctx, readyWithout, sweep, reason)
	if err != nil {
		return nil, fmt.Errorf("list runs that wait: %w", err)
	}
	return ids, nil
}

const (
	due        = `state = '` + string(run.Queued) + `' AND not_before > 0 AND not_before <= ?`
	anyDue     = `SELECT id FROM runs INDEXED BY runs_by_not_before WHERE ` + due + ` LIMIT 1`
	takeTurns  = `UPDATE runs INDEXED BY runs_by_not_before SET not_before = 0, revision = revision + 1 WHERE ` + due
	allExpired = `SELECT id FROM runs INDEXED BY runs_by_expiry WHERE state = '` + string(run.Queued) + `' AND started_at > 0
		AND started_at + 1000 * json_extract(options, '$.max_duration_seconds') <= ?`
)

// Due lets the queued runs whose next attempt had to wait until now, or earlier, wait for nothing but their turn.
func (s *Store) Due(ctx context.Context, now time.Time) error {
	var id run.ID
	switch err := s.read.QueryRowContext(ctx, anyDue, millis(now)).Scan(&id); {
	case errors.Is(err, sql.ErrNoRows):
		return nil // as nearly always: nobody is kept from writing
	case err != nil:
		return fmt.Errorf("look for runs whose time has come: %w", mapError(err))
	}
	if _, err := s.write.ExecContext(ctx, takeTurns, millis(now)); err != nil {
		return fmt.Errorf("let runs take their turn: %w", mapError(err))
	}
	return nil
}

// Expired returns the queued runs that have been started for as long as they may take, or longer; see [run.Run.Expired].
func (s *Store) Expired(ctx context.Context, now time.Time) ([]run.ID, error) {
	ids, err := s.ids(ctx, allExpired, millis(now))
	if err != nil {
		return nil, fmt.Errorf("list runs that may take no longer: %w", err)
	}
	return ids, nil
}

func (s *Store) ids(ctx context.Context, query string, args ...any) ([]run.ID, error) {
	rows, err := s.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, mapError(err)
	}
	return collect(rows, func(row scanner) (id run.ID, err error) { return id, row.Scan(&id) })
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
		_, err := s.write.ExecContext(ctx, `UPDATE runs SET reason = ?, revision = revision + 1 WHERE state = ? AND reason <> ? AND id IN (?`+strings.Repeat(",?", n-1)+`)`, args...)
		if err != nil {
			return fmt.Errorf("store reasons for waiting: %w", mapError(err))
		}
		ids = ids[n:]
	}
	return nil
}
