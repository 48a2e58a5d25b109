package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/db"
)

// Turn is the place of a run that waits for its turn: those of higher priority are first, then the oldest.
type Turn struct {
	ID       run.ID
	Priority int // what counts, [run.DefaultPriority] for a run that says nothing
}

// Compare is negative when t comes before other.
func (t Turn) Compare(other Turn) int {
	return cmp.Or(cmp.Compare(other.Priority, t.Priority), cmp.Compare(t.ID, other.ID))
}

// ReadyGroup is the runs of one shape in one sweep that wait for nothing but their turn and room.
type ReadyGroup struct {
	Sweep    run.SweepID // "" stands for the runs that are not part of one, which have no limit
	Shape    run.Shape
	Parallel int // how many runs of the sweep may be live; 0 for no limit
	Live     int // how many are; counted only where there is a limit

	shape string // as it is stored
}

// Full reports whether as many runs of the sweep are live as may be.
func (g ReadyGroup) Full() bool { return g.Parallel > 0 && g.Live >= g.Parallel }

const dispatching = `SELECT id FROM (
		SELECT id, priority FROM runs WHERE state = '` + string(run.Dispatching) + `'
		UNION ALL SELECT r.id, r.priority FROM attempts a INDEXED BY attempts_maybe_sent CROSS JOIN runs r ON r.id = a.run_id
			WHERE a.maybe_sent = 1 AND r.state = '` + string(run.Queued) + `' AND r.not_before = 0)
	ORDER BY priority DESC, id`

// Dispatching returns the runs of which Nomad may have a job that is not recorded: those that are being sent, by this
// process or an earlier one, and those of which it could not tell. Those of higher priority are first, then the oldest.
func (s *Store) Dispatching(ctx context.Context) ([]run.ID, error) {
	ids, err := s.ids(ctx, dispatching)
	if err != nil {
		return nil, fmt.Errorf("list runs that are being sent: %w", err)
	}
	return ids, nil
}

// ready is what the queue may send, but for the limits of sweeps. It stands in the migrations too. Queries name their index
// where SQLite, which keeps no statistics of this database, would rather read everything that is queued.
const ready = `state = '` + string(run.Queued) + `' AND not_before = 0`

// live is the states of a run that takes a place of its sweep.
const live = `'` + string(run.Dispatching) + `','` + string(run.Pending) + `','` + string(run.Running) + `','` + string(run.Degraded) + `','` + string(run.Stopping) + `'`

const firstReady = `ORDER BY sweep, shape, priority DESC, id LIMIT 1`

// readyGroups steps from group to group, and does not read their runs: the next has another shape, or else another sweep.
const readyGroups = `WITH RECURSIVE firsts (id) AS (
		SELECT (SELECT id FROM runs INDEXED BY runs_ready WHERE ` + ready + ` AND sweep >= '' ` + firstReady + `)
		UNION ALL SELECT coalesce(
			(SELECT id FROM runs INDEXED BY runs_ready WHERE ` + ready + ` AND sweep = f.sweep AND shape > f.shape ` + firstReady + `),
			(SELECT id FROM runs INDEXED BY runs_ready WHERE ` + ready + ` AND sweep > f.sweep ` + firstReady + `))
			FROM firsts JOIN runs f ON f.id = firsts.id)
	SELECT f.sweep, f.shape, coalesce(s.parallel, 0),
		CASE WHEN s.parallel > 0 THEN (SELECT count(*) FROM runs r WHERE r.sweep <> '' AND r.sweep = f.sweep AND r.state IN (` + live + `)) ELSE 0 END
	FROM firsts CROSS JOIN runs f ON f.id = firsts.id LEFT JOIN sweeps s ON s.id = f.sweep`

// ReadyGroups returns the groups that runs which wait for nothing but their turn and room fall into: each shape of each sweep.
func (s *Store) ReadyGroups(ctx context.Context) ([]ReadyGroup, error) {
	out, err := db.Select(ctx, s.db, func(row db.Scanner) (g ReadyGroup, err error) {
		if err := row.Scan(&g.Sweep, &g.shape, &g.Parallel, &g.Live); err != nil {
			return g, err
		}
		return g, json.Unmarshal([]byte(g.shape), &g.Shape)
	}, readyGroups)
	if err != nil {
		return nil, fmt.Errorf("list what waits: %w", err)
	}
	return out, nil
}

// ReadyRun is a run that waits for nothing but its turn and room.
type ReadyRun struct {
	Turn
	Reason  string // for which it says to wait
	Attempt int    // number of the newest attempt, 0 before the first
}

const readyOf = `SELECT id, priority, reason, attempt FROM runs INDEXED BY runs_ready WHERE ` + ready + ` AND sweep = ? AND shape = ? ORDER BY priority DESC, id LIMIT ?`

// ReadyOf returns the first runs of a group in the order of their turns.
func (s *Store) ReadyOf(ctx context.Context, g ReadyGroup, limit int) ([]ReadyRun, error) {
	out, err := db.Select(ctx, s.db, func(row db.Scanner) (r ReadyRun, err error) {
		return r, row.Scan(&r.ID, &r.Priority, &r.Reason, &r.Attempt)
	}, readyOf, g.Sweep, g.shape, limit)
	if err != nil {
		return nil, fmt.Errorf("list runs that wait: %w", err)
	}
	return out, nil
}

const unplaced = `SELECT r.id, r.shape, coalesce(a.job_id, ''),
		(SELECT count(DISTINCT rank) FROM workers w WHERE w.run_id = r.id AND w.attempt = r.attempt)
	FROM runs r LEFT JOIN attempts a ON a.run_id = r.id AND a.number = r.attempt
	WHERE r.state IN ('` + string(run.Dispatching) + `','` + string(run.Pending) + `','` + string(run.Degraded) + `','` + string(run.Stopping) + `')`

// Unplaced is a run that Nomad has, or is being given, and may not have placed whole.
type Unplaced struct {
	ID     run.ID
	Shape  run.Shape
	JobID  string // "" until it is known
	Placed int    // workers that were seen
}

// Unplaced returns the runs of which Nomad may still place workers.
func (s *Store) Unplaced(ctx context.Context) ([]Unplaced, error) {
	all, err := db.Select(ctx, s.db, func(row db.Scanner) (u Unplaced, err error) {
		var shape string
		if err := row.Scan(&u.ID, &shape, &u.JobID, &u.Placed); err != nil {
			return u, err
		}
		return u, json.Unmarshal([]byte(shape), &u.Shape)
	}, unplaced)
	if err != nil {
		return nil, fmt.Errorf("list runs that are being placed: %w", err)
	}
	return slices.DeleteFunc(all, func(u Unplaced) bool { return u.Placed >= u.Shape.Nodes }), nil
}

const readyWithOtherReason = `SELECT id FROM runs WHERE ` + ready + ` AND sweep = ?1 AND reason < ?2
	UNION ALL SELECT id FROM runs WHERE ` + ready + ` AND sweep = ?1 AND reason > ?2`

// ReadyWithOtherReason returns the ready runs of a sweep whose wait reason is not this one.
func (s *Store) ReadyWithOtherReason(ctx context.Context, sweep run.SweepID, reason string) ([]run.ID, error) {
	ids, err := s.ids(ctx, readyWithOtherReason, sweep, reason)
	if err != nil {
		return nil, fmt.Errorf("list runs that wait: %w", err)
	}
	return ids, nil
}

const (
	due        = `state = '` + string(run.Queued) + `' AND not_before > 0 AND not_before <= ?`
	anyDue     = `SELECT id FROM runs INDEXED BY runs_by_not_before WHERE ` + due + ` LIMIT 1`
	releaseDue = `UPDATE runs INDEXED BY runs_by_not_before SET not_before = 0, revision = revision + 1 WHERE ` + due
	allExpired = `SELECT id FROM runs INDEXED BY runs_by_expiry WHERE state = '` + string(run.Queued) + `' AND started_at > 0
		AND started_at + 1000 * json_extract(options, '$.max_duration_seconds') <= ?`
)

// ReleaseDue makes the queued runs ready whose wait for their next attempt is over.
func (s *Store) ReleaseDue(ctx context.Context, now time.Time) error {
	var id run.ID
	switch err := s.db.QueryRow(ctx, anyDue, db.Millis(now)).Scan(&id); {
	case errors.Is(err, fault.ErrNotFound):
		return nil // as nearly always: nobody is kept from writing
	case err != nil:
		return fmt.Errorf("look for runs whose time has come: %w", err)
	}
	if _, err := s.db.Exec(ctx, releaseDue, db.Millis(now)); err != nil {
		return fmt.Errorf("let runs take their turn: %w", err)
	}
	return nil
}

// Expired returns the queued runs that have been started for as long as they may take, or longer; see [run.Run.Expired].
func (s *Store) Expired(ctx context.Context, now time.Time) ([]run.ID, error) {
	ids, err := s.ids(ctx, allExpired, db.Millis(now))
	if err != nil {
		return nil, fmt.Errorf("list runs that may take no longer: %w", err)
	}
	return ids, nil
}

func (s *Store) ids(ctx context.Context, query string, args ...any) ([]run.ID, error) {
	return db.Select(ctx, s.db, db.One[run.ID], query, args...)
}

// reasonsAtOnce bounds the parameters of one statement.
const reasonsAtOnce = 500

// SetWaitReason sets why queued runs wait. Those that have that reason are not written.
func (s *Store) SetWaitReason(ctx context.Context, reason string, ids []run.ID) error {
	for len(ids) > 0 {
		n := min(len(ids), reasonsAtOnce)
		args := []any{reason, run.Queued, reason}
		for _, id := range ids[:n] {
			args = append(args, id)
		}
		_, err := s.db.Exec(ctx, `UPDATE runs SET reason = ?, revision = revision + 1 WHERE state = ? AND reason <> ? AND id IN (?`+strings.Repeat(",?", n-1)+`)`, args...)
		if err != nil {
			return fmt.Errorf("store reasons for waiting: %w", err)
		}
		ids = ids[n:]
	}
	return nil
}
