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

// QueueKey orders the queue: higher priority first, then older.
type QueueKey struct {
	ID       run.ID
	Priority int // effective; see [run.Run.Priority]
}

// Compare is negative when t comes before other.
func (t QueueKey) Compare(other QueueKey) int {
	return cmp.Or(cmp.Compare(other.Priority, t.Priority), cmp.Compare(t.ID, other.ID))
}

// ReadyGroup is the ready runs of one shape in one sweep: those that wait only for their turn and room.
type ReadyGroup struct {
	Sweep    run.SweepID // "" for runs outside sweeps
	Shape    run.Shape
	Parallel int // limit of live runs; 0 for none
	Live     int // counted only with a limit

	shape string // as stored
}

// Full reports whether the sweep has as many live runs as it may.
func (g ReadyGroup) Full() bool { return g.Parallel > 0 && g.Live >= g.Parallel }

const dispatching = `SELECT id FROM (
		SELECT id, priority FROM runs WHERE archived = 0 AND state = '` + string(run.Dispatching) + `'
		UNION ALL SELECT r.id, r.priority FROM attempts a INDEXED BY attempts_maybe_sent CROSS JOIN runs r ON r.id = a.run_id
			WHERE a.maybe_sent = 1 AND r.state = '` + string(run.Queued) + `' AND r.not_before = 0) AS sent
	ORDER BY priority DESC, id`

// Dispatching returns the runs that Nomad may have without a recorded job: being sent, by this process or an earlier
// one, or with an unanswered dispatch. In queue order.
func (s *Store) Dispatching(ctx context.Context) ([]run.ID, error) {
	ids, err := s.ids(ctx, dispatching)
	if err != nil {
		return nil, fmt.Errorf("list runs that are being sent: %w", err)
	}
	return ids, nil
}

// ready is what may be sent, apart from sweep limits; the migrations repeat it. Queries name their index, because SQLite,
// without statistics, would scan all queued runs.
const ready = `state = '` + string(run.Queued) + `' AND not_before = 0`

// live is the states that count for a sweep's limit.
const live = `'` + string(run.Dispatching) + `','` + string(run.Pending) + `','` + string(run.Running) + `','` + string(run.Degraded) + `','` + string(run.Stopping) + `'`

const firstReady = `ORDER BY sweep, shape, priority DESC, id LIMIT 1`

// readyGroups skips from group to group without reading their runs.
const readyGroups = `WITH RECURSIVE firsts (id) AS (
		SELECT (SELECT id FROM runs INDEXED BY runs_ready WHERE ` + ready + ` AND sweep >= '' ` + firstReady + `)
		UNION ALL SELECT coalesce(
			(SELECT id FROM runs INDEXED BY runs_ready WHERE ` + ready + ` AND sweep = f.sweep AND shape > f.shape ` + firstReady + `),
			(SELECT id FROM runs INDEXED BY runs_ready WHERE ` + ready + ` AND sweep > f.sweep ` + firstReady + `))
			FROM firsts JOIN runs f ON f.id = firsts.id)
	SELECT f.sweep, f.shape, coalesce(s.parallel, 0),
		CASE WHEN s.parallel > 0 THEN (SELECT count(*) FROM runs r WHERE r.sweep <> '' AND r.sweep = f.sweep AND r.state IN (` + live + `)) ELSE 0 END
	FROM firsts CROSS JOIN runs f ON f.id = firsts.id LEFT JOIN sweeps s ON s.id = f.sweep
	ORDER BY f.sweep, f.shape`

// ReadyGroups returns the groups of ready runs.
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

// ReadyRun is a run that waits only for its turn and room.
type ReadyRun struct {
	QueueKey
	Project string
	Reason  string // current wait reason
	Attempt int    // newest attempt, 0 before the first
}

const readyOf = `SELECT id, priority, project, reason, attempt FROM runs INDEXED BY runs_ready WHERE ` + ready + ` AND sweep = ? AND shape = ? ORDER BY priority DESC, id LIMIT ?`

// ReadyOf returns the first runs of a group in queue order.
func (s *Store) ReadyOf(ctx context.Context, g ReadyGroup, limit int) ([]ReadyRun, error) {
	out, err := db.Select(ctx, s.db, func(row db.Scanner) (r ReadyRun, err error) {
		return r, row.Scan(&r.ID, &r.Priority, &r.Project, &r.Reason, &r.Attempt)
	}, readyOf, g.Sweep, g.shape, limit)
	if err != nil {
		return nil, fmt.Errorf("list runs that wait: %w", err)
	}
	return out, nil
}

const unplaced = `SELECT r.id, r.project, r.shape, coalesce((SELECT a.job_id FROM attempts a WHERE a.run_id = r.id AND a.number = r.attempt), ''),
		(SELECT count(DISTINCT rank) FROM workers w WHERE w.run_id = r.id AND w.attempt = r.attempt)
	FROM runs r WHERE r.archived = 0 AND r.state IN ('` + string(run.Dispatching) + `','` + string(run.Pending) + `','` + string(run.Degraded) + `','` + string(run.Stopping) + `')`

// Unplaced is a run that Nomad may not have placed in full.
type Unplaced struct {
	ID      run.ID
	Project string
	Shape   run.Shape
	JobID   string // "" while unknown
	Placed  int    // workers seen
}

// Unplaced returns the runs that Nomad may still be placing.
func (s *Store) Unplaced(ctx context.Context) ([]Unplaced, error) {
	all, err := db.Select(ctx, s.db, func(row db.Scanner) (u Unplaced, err error) {
		var shape string
		if err := row.Scan(&u.ID, &u.Project, &shape, &u.JobID, &u.Placed); err != nil {
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

// ReadyWithOtherReason returns a sweep's ready runs with another wait reason.
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
		AND max_seconds > 0 AND started_at + 1000 * max_seconds <= ?`
)

// ReleaseDue makes queued runs ready whose retry wait is over.
func (s *Store) ReleaseDue(ctx context.Context, now time.Time) error {
	var id run.ID
	switch err := s.db.QueryRow(ctx, anyDue, db.Millis(now)).Scan(&id); {
	case errors.Is(err, fault.ErrNotFound):
		return nil // the usual case takes no write lock
	case err != nil:
		return fmt.Errorf("look for runs whose time has come: %w", err)
	}
	if _, err := s.db.Exec(ctx, releaseDue, db.Millis(now)); err != nil {
		return fmt.Errorf("let runs take their turn: %w", err)
	}
	return nil
}

// Expired returns the queued runs past their maximum duration; see [run.Run.Expired].
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

// reasonsAtOnce bounds a statement's parameters.
const reasonsAtOnce = 500

// SetWaitReason sets why queued runs wait, writing only changes.
func (s *Store) SetWaitReason(ctx context.Context, reason string, ids []run.ID) error {
	reason = clipReason(reason)
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
