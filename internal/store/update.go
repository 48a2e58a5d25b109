package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/catalog"
	"github.com/cotrain/cotrain/internal/store/db"
	"github.com/cotrain/cotrain/internal/store/points"
)

// Update is a change of a run, stored in one transaction.
type Update struct {
	Run     run.Run      // change it through [run.Run.Transition]
	Attempt run.Attempt  // the newest; a greater Number makes a new one
	Workers []run.Worker // of the newest attempt, by rank
	Events  []run.Event  // to append; the store sets Seq
	Orders  []Order      // for Nomad; see StopJob
}

// Record appends an event, unless err is not nil.
func (u *Update) Record(ev *run.Event, err error) error {
	if err == nil && ev != nil {
		u.Events = append(u.Events, *ev)
	}
	return err
}

// Move changes the run's state; see [run.Run.Transition].
func (u *Update) Move(to run.State, actor, why string, at time.Time) error {
	return u.Record(u.Run.Transition(to, actor, why, at))
}

// Stop ends the run and orders Nomad to stop its workers; see [run.Run.Stop].
func (u *Update) Stop(actor string, cause run.StopCause, now time.Time) error {
	if err := u.Record(u.Run.Stop(u.Attempt, actor, cause, now)); err != nil {
		return err
	}
	u.StopJob()
	return nil
}

// Kill ends the run as Stop does, and orders Nomad to kill its workers without giving them time to save.
func (u *Update) Kill(actor string, now time.Time) error {
	if err := u.Record(u.Run.Kill(u.Attempt, actor, now)); err != nil {
		return err
	}
	u.order(Order{Kill: true})
	return nil
}

// Restart has another attempt follow, and orders Nomad to stop the workers of this one; see [run.Run.Restart].
func (u *Update) Restart(from run.ResumeChoice, actor, cost string, now time.Time) error {
	if err := u.Record(u.Run.Restart(from, actor, cost, now)); err != nil {
		return err
	}
	u.StopJob()
	return nil
}

// Update loads a run, lets fn change it, and stores run, newest attempt, workers and new events together. It returns
// what was stored. An error of fn cancels the change and is returned as is. fn must not block, and is called again if
// another transaction was in the way.
func (s *Store) Update(ctx context.Context, id run.ID, fn func(*Update) error) (Update, error) {
	var u Update
	err := s.db.Write(ctx, func(tx *db.Tx) (err error) {
		var was run.Run
		if u, was, err = s.change(ctx, tx, id, fn); err != nil {
			return err
		}
		return auditRun(ctx, tx, &was, &u.Run)
	})
	return u, err
}

// change is [Store.Update] in a transaction. It also returns the run as it was.
func (s *Store) change(ctx context.Context, tx *db.Tx, id run.ID, fn func(*Update) error) (u Update, was run.Run, err error) {
	if u.Run, err = scanRun(tx.QueryRow(ctx, `SELECT `+runColumns+` FROM runs WHERE id = ? FOR UPDATE`, id)); err != nil {
		return u, was, fmt.Errorf("run %s: %w", id, missing(err, run.NoRun(string(id))))
	}
	if u.Attempt, err = newestAttempt(ctx, tx, id); err != nil {
		return u, was, err
	}
	if u.Workers, err = workers(ctx, tx, id, u.Attempt.Number); err != nil {
		return u, was, err
	}
	was = u.Run
	before := u.Attempt
	known := map[string]run.Worker{}
	for _, w := range u.Workers {
		known[w.AllocID] = w
	}
	if err := fn(&u); err != nil {
		return u, was, err
	}
	if u.Run.Shape != was.Shape { // a secret has moved, or a node is avoided
		shape, err := json.Marshal(u.Run.Shape)
		if err != nil {
			return u, was, fmt.Errorf("encode shape: %w", err)
		}
		if _, err := tx.Exec(ctx, `UPDATE runs SET shape = ? WHERE id = ?`, string(shape), id); err != nil {
			return u, was, fmt.Errorf("save the shape of run %s: %w", id, err)
		}
	}
	if err := saveWatched(ctx, tx, &was, &u.Run); err != nil {
		return u, was, err
	}
	if err := relabel(ctx, tx, was, u.Run); err != nil {
		return u, was, fmt.Errorf("label run %s: %w", id, err)
	}
	return u, was, s.save(ctx, tx, &u, was.State, before, known)
}

func (s *Store) save(ctx context.Context, tx *db.Tx, u *Update, was run.State, before run.Attempt, known map[string]run.Worker) error {
	u.Run.Revision++
	u.Run.Reason = clipReason(u.Run.Reason)
	r := u.Run
	cause, err := encodeCause(r.Cause)
	if err != nil {
		return err
	}
	pausing, err := encodePausing(r.Pausing)
	if err != nil {
		return err
	}
	ledger, err := encodeLedger(r)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `UPDATE runs SET state = ?, reason = ?, stop_requested = ?, attempt = ?, started_at = ?,
		ended_at = ?, participants = ?, retried = ?, port_conflicts = ?, not_before = ?, revision = ?, stop_cause = ?, stop_reason = ?, cause = ?, ledger = ?,
		pausing = ?, next_resume = ?, idle_seconds = ?, paused_at = ?, max_seconds = ? WHERE id = ?`,
		r.State, r.Reason, r.StopRequested, r.Attempt, db.Millis(r.StartedAt), db.Millis(r.EndedAt), r.Progress.Participants,
		r.Retried, r.PortConflicts, db.Millis(r.NotBefore), r.Revision, r.StopCause, r.StopReason, cause, ledger,
		pausing, r.NextResume, r.Idle, db.Millis(r.PausedAt), r.MaxSeconds(), r.ID); err != nil {
		return fmt.Errorf("save run %s: %w", r.ID, err)
	}
	if a := u.Attempt; a.Number > 0 && !reflect.DeepEqual(a, before) {
		if err := saveAttempt(ctx, tx, a); err != nil {
			return err
		}
	}
	for _, w := range u.Workers {
		if err := saveWorker(ctx, tx, w, known); err != nil {
			return err
		}
	}
	for i := range u.Events {
		if err := insertEvent(ctx, tx, &u.Events[i]); err != nil {
			return err
		}
	}
	if r.State.Terminal() || was.Terminal() { // or is tried again: then it has no results
		if err := points.SaveResults(ctx, tx, r.ID); err != nil {
			return fmt.Errorf("save the results of run %s: %w", r.ID, err)
		}
	}
	for _, o := range u.Orders {
		if err := s.addOrder(ctx, tx, o); err != nil {
			return err
		}
	}
	return nil
}

// maxReason is the most bytes of a run's reason, which is part of a key: others' errors are in it.
const maxReason = 1000

func clipReason(why string) string { return fault.Clip(why, maxReason) }

func saveAttempt(ctx context.Context, tx *db.Tx, a run.Attempt) error {
	secrets := ""
	if len(a.Secrets) > 0 {
		body, err := json.Marshal(a.Secrets)
		if err != nil {
			return fmt.Errorf("encode the secrets of attempt %s: %w", a.Token(), err)
		}
		secrets = string(body)
	}
	cause, err := encodeCause(a.Cause)
	if err != nil {
		return err
	}
	var fingerprint, node string
	if a.Cause != nil {
		fingerprint, node = a.Cause.Fingerprint, a.Cause.Node
	}
	_, err = tx.Exec(ctx, `INSERT INTO attempts (`+attemptColumns+`, fingerprint, cause_node) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)
		ON CONFLICT (run_id, number) DO UPDATE SET parent_job = excluded.parent_job, job_id = excluded.job_id, maybe_sent = excluded.maybe_sent,
		created_at = excluded.created_at, ended_at = excluded.ended_at, resume = excluded.resume, recalled = excluded.recalled, secrets = excluded.secrets,
		cause = excluded.cause, fingerprint = excluded.fingerprint, cause_node = excluded.cause_node`,
		a.RunID, a.Number, a.ParentJob, a.JobID, a.MaybeSent, db.Millis(a.CreatedAt), db.Millis(a.EndedAt), a.Resume, a.Recalled, secrets, cause, fingerprint, node)
	if err != nil {
		return fmt.Errorf("save attempt %s: %w", a.Token(), err)
	}
	return nil
}

func saveWorker(ctx context.Context, tx *db.Tx, w run.Worker, known map[string]run.Worker) error {
	body, err := json.Marshal(w)
	if err != nil {
		return fmt.Errorf("encode worker %s: %w", w.AllocID, err)
	}
	old, ok := known[w.AllocID]
	if ok {
		if was, err := json.Marshal(old); err == nil && string(was) == string(body) {
			return nil
		}
	}
	var cause run.Cause
	if w.Cause != nil {
		cause = *w.Cause
	}
	_, err = tx.Exec(ctx, `INSERT INTO workers (alloc_id, run_id, attempt, rank, state, started_at, body, fingerprint, cause_node, cause_at) VALUES (?,?,?,?,?,?,?,?,?,?)
		ON CONFLICT (alloc_id) DO UPDATE SET state = excluded.state, started_at = excluded.started_at, body = excluded.body,
		fingerprint = excluded.fingerprint, cause_node = excluded.cause_node, cause_at = excluded.cause_at`,
		w.AllocID, w.RunID, w.Attempt, w.Rank, w.State, db.Millis(w.StartedAt), string(body), cause.Fingerprint, cause.Node, db.Millis(cause.At))
	if err != nil {
		return fmt.Errorf("save worker %s: %w", w.AllocID, err)
	}
	if slices.Equal(nodeLabel(old), nodeLabel(w)) {
		return nil
	}
	return addLabels(ctx, tx, w.RunID, catalog.Node, nodeLabel(w))
}

func scanAttempt(row db.Scanner) (run.Attempt, error) {
	var a run.Attempt
	var created, ended int64
	var secrets, cause string
	if err := row.Scan(&a.RunID, &a.Number, &a.ParentJob, &a.JobID, &a.MaybeSent, &created, &ended, &a.Resume, &a.Recalled, &secrets, &cause); err != nil {
		return a, err
	}
	a.CreatedAt, a.EndedAt = db.FromMillis(created), db.FromMillis(ended)
	var err error
	if a.Cause, err = decodeCause(cause); err != nil || secrets == "" {
		return a, err
	}
	return a, json.Unmarshal([]byte(secrets), &a.Secrets)
}

const attemptColumns = `run_id, number, parent_job, job_id, maybe_sent, created_at, ended_at, resume, recalled, secrets, cause`

func newestAttempt(ctx context.Context, q db.Querier, id run.ID) (run.Attempt, error) {
	a, err := scanAttempt(q.QueryRow(ctx, `SELECT `+attemptColumns+` FROM attempts WHERE run_id = ? ORDER BY number DESC LIMIT 1`, id))
	if errors.Is(err, fault.ErrNotFound) {
		return run.Attempt{RunID: id}, nil
	}
	return a, err
}

// Attempts returns a run's attempts, oldest first.
func (s *Store) Attempts(ctx context.Context, id run.ID) ([]run.Attempt, error) {
	rows, err := s.db.Query(ctx, `SELECT `+attemptColumns+` FROM attempts WHERE run_id = ? ORDER BY number`, id)
	if err != nil {
		return nil, fmt.Errorf("attempts of %s: %w", id, err)
	}
	return db.Collect(rows, scanAttempt)
}

// RunOfJob returns the run of a child job, or [fault.ErrNotFound].
func (s *Store) RunOfJob(ctx context.Context, jobID string) (run.ID, error) {
	var id run.ID
	err := s.db.QueryRow(ctx, `SELECT run_id FROM attempts WHERE job_id = ?`, jobID).Scan(&id)
	if err != nil {
		return "", fmt.Errorf("run of job %s: %w", jobID, err)
	}
	return id, nil
}

func workers(ctx context.Context, q db.Querier, id run.ID, attempt int) ([]run.Worker, error) {
	rows, err := q.Query(ctx, `SELECT body FROM workers WHERE run_id = ? AND attempt = ? ORDER BY rank, alloc_id`, id, attempt)
	if err != nil {
		return nil, fmt.Errorf("workers of %s: %w", id, err)
	}
	return db.Collect(rows, scanWorker)
}

func scanWorker(row db.Scanner) (w run.Worker, err error) {
	var body string
	if err := row.Scan(&body); err != nil {
		return w, err
	}
	return w, json.Unmarshal([]byte(body), &w)
}

// Workers returns the workers of a run's newest attempt, by rank.
func (s *Store) Workers(ctx context.Context, id run.ID) ([]run.Worker, error) {
	a, err := newestAttempt(ctx, s.db, id)
	if err != nil {
		return nil, fmt.Errorf("workers of %s: %w", id, err)
	}
	return workers(ctx, s.db, id, a.Number)
}
