package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/accounts"
	"github.com/cotrain/cotrain/internal/store/catalog"
	"github.com/cotrain/cotrain/internal/store/db"
	"github.com/cotrain/cotrain/internal/store/points"
)

const runColumns = `id, name, preset, config, shape, state, reason, stop_requested, attempt, steps_total, inner_steps,
	created_at, started_at, ended_at, participants, step, loss, has_loss, tokens_per_sec, progress_at, options, origin, ckpt_path,
	retried, port_conflicts, not_before, revision, stop_cause, stop_reason, first_step, first_at, diverged_attempt, diverged_step, diverged_rank, project, owner, note, archived, cause, pausing, next_resume, idle_seconds, paused_at, notices, rollback, ledger, pace_low, pace_high`

func scanRun(row db.Scanner) (run.Run, error) {
	var r run.Run
	var shape, options, origin, cause, pausing, notices, rollback, ledger string
	var created, started, ended, progressAt, notBefore, firstAt, pausedAt int64
	var loss, rate, low, high sql.NullFloat64
	var divergedIn int
	var diverged run.Diverged
	err := row.Scan(&r.ID, &r.Name, &r.Preset, &r.Config, &shape, &r.State, &r.Reason, &r.StopRequested, &r.Attempt, &r.StepsTotal,
		&r.InnerSteps, &created, &started, &ended, &r.Progress.Participants, &r.Progress.Step, &loss, &r.Progress.HasLoss, &rate, &progressAt,
		&options, &origin, &r.CheckpointPath, &r.Retried, &r.PortConflicts, &notBefore, &r.Revision, &r.StopCause, &r.StopReason, &r.FirstStep, &firstAt,
		&divergedIn, &diverged.Step, &diverged.Rank, &r.Project, &r.Owner, &r.Note, &r.Archived, &cause, &pausing, &r.NextResume, &r.Idle, &pausedAt, &notices, &rollback, &ledger, &low, &high)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal([]byte(shape), &r.Shape); err != nil {
		return r, fmt.Errorf("shape of run %s: %w", r.ID, err)
	}
	if err := json.Unmarshal([]byte(options), &r.Options); err != nil {
		return r, fmt.Errorf("options of run %s: %w", r.ID, err)
	}
	if err := json.Unmarshal([]byte(origin), &r.Origin); err != nil {
		return r, fmt.Errorf("origin of run %s: %w", r.ID, err)
	}
	if r.Cause, err = decodeCause(cause); err != nil {
		return r, fmt.Errorf("cause of run %s: %w", r.ID, err)
	}
	if pausing != "" {
		if err := json.Unmarshal([]byte(pausing), &r.Pausing); err != nil {
			return r, fmt.Errorf("pause of run %s: %w", r.ID, err)
		}
	}
	if r.Notices, r.Rollback, err = decodeWatched(notices, rollback); err != nil {
		return r, fmt.Errorf("notices of run %s: %w", r.ID, err)
	}
	if err = decodeLedger(ledger, &r); err != nil {
		return r, fmt.Errorf("ledger of run %s: %w", r.ID, err)
	}
	if divergedIn > 0 && divergedIn == r.Attempt {
		r.Diverged = &diverged
	}
	r.NotBefore, r.FirstAt, r.PausedAt = db.FromMillis(notBefore), db.FromMillis(firstAt), db.FromMillis(pausedAt)
	r.CreatedAt, r.StartedAt, r.EndedAt, r.Progress.UpdatedAt = db.FromMillis(created), db.FromMillis(started), db.FromMillis(ended), db.FromMillis(progressAt)
	r.Progress.Loss, r.Progress.TokensPerSec = db.FromNull(loss), db.FromNull(rate)
	r.Pace = run.Pace{Low: low.Float64, High: high.Float64}
	return r, nil
}

// CreateRun stores a new run with its first events. A reused submission key of its project returns that run instead, with created false.
// An existing ID is [fault.ErrConflict], a project that is gone [fault.ErrNoProject].
func (s *Store) CreateRun(ctx context.Context, r run.Run, key string, evs ...run.Event) (stored run.Run, created bool, err error) {
	err = s.db.Write(ctx, func(tx *db.Tx) (err error) {
		if err := accounts.KeepProject(ctx, tx, r.Project); err != nil {
			return err
		}
		stored = r
		if created, err = insertRun(ctx, tx, r, key, evs); err != nil {
			return err
		}
		if created {
			return auditRun(ctx, tx, nil, &r)
		}
		stored, err = scanRun(tx.QueryRow(ctx, `SELECT `+runColumns+` FROM runs WHERE submit_key = ?`, keyIn(r.Project, key)))
		if errors.Is(err, fault.ErrNotFound) {
			err = fmt.Errorf("another run has its ID: %w", fault.ErrConflict)
		}
		return err
	})
	if err != nil {
		return r, false, fmt.Errorf("store run %s: %w", r.ID, err)
	}
	return stored, created, nil
}

// insertRun stores a run with its first events and sets their Seq, unless its key or ID is taken.
func insertRun(ctx context.Context, tx *db.Tx, r run.Run, key string, evs []run.Event) (created bool, err error) {
	shape, err := json.Marshal(r.Shape)
	if err != nil {
		return false, fmt.Errorf("encode shape: %w", err)
	}
	options, err := json.Marshal(r.Options)
	if err != nil {
		return false, fmt.Errorf("encode options: %w", err)
	}
	origin, err := json.Marshal(r.Origin)
	if err != nil {
		return false, fmt.Errorf("encode origin: %w", err)
	}
	cause, err := encodeCause(r.Cause)
	if err != nil {
		return false, err
	}
	pausing, err := encodePausing(r.Pausing)
	if err != nil {
		return false, err
	}
	notices, rollback, err := encodeWatched(&r)
	if err != nil {
		return false, err
	}
	ledger, err := encodeLedger(r)
	if err != nil {
		return false, err
	}
	res, err := tx.Exec(ctx, `INSERT INTO runs (`+runColumns+`, submit_key, sweep, priority, max_seconds)
		VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING`,
		r.ID, r.Name, r.Preset, r.Config, string(shape), r.State, clipReason(r.Reason), r.StopRequested, r.Attempt, r.StepsTotal, r.InnerSteps,
		db.Millis(r.CreatedAt), db.Millis(r.StartedAt), db.Millis(r.EndedAt), 0, 0, 0.0, 0, 0.0, 0,
		string(options), string(origin), r.CheckpointPath, r.Retried, r.PortConflicts, db.Millis(r.NotBefore), 0, r.StopCause, r.StopReason, r.FirstStep, db.Millis(r.FirstAt), 0, 0, 0, r.Project, r.Owner, r.Note, r.Archived, cause, pausing, r.NextResume, r.Idle, db.Millis(r.PausedAt), notices, rollback, ledger, r.Pace.Low, r.Pace.High,
		keyIn(r.Project, key), r.Origin.Sweep, cmp.Or(r.Options.Priority, run.DefaultPriority), r.MaxSeconds())
	if err != nil {
		return false, err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return false, err
	}
	if err := insertText(ctx, tx, r); err != nil {
		return false, err
	}
	if err := addLabels(ctx, tx, r.ID, catalog.Tag, r.Options.Tags); err != nil {
		return false, err
	}
	if r.State.Terminal() {
		if err := points.SaveResults(ctx, tx, r.ID); err != nil {
			return false, err
		}
	}
	for i := range evs {
		if err := insertEvent(ctx, tx, &evs[i]); err != nil {
			return false, err
		}
	}
	return true, nil
}

// Run returns a run, or [fault.ErrNotFound].
func (s *Store) Run(ctx context.Context, id run.ID) (run.Run, error) {
	r, err := scanRun(s.db.QueryRow(ctx, `SELECT `+runColumns+` FROM runs WHERE id = ?`, id))
	if err != nil {
		return r, fmt.Errorf("run %s: %w", id, missing(err, run.NoRun(string(id))))
	}
	return r, nil
}

// encodePausing is a pause as it is stored, "" for none.
func encodePausing(p *run.Pausing) (string, error) {
	if p == nil {
		return "", nil
	}
	b, err := json.Marshal(p)
	if err != nil {
		return "", fmt.Errorf("encode pause: %w", err)
	}
	return string(b), nil
}

// keyIn is how an idempotency key is stored, unique in its project; no project has a slash in its name.
func keyIn(project, key string) sql.NullString {
	return sql.NullString{String: project + "/" + key, Valid: key != ""}
}

// RunByKey returns the run that was submitted to a project with a key, or [fault.ErrNotFound].
func (s *Store) RunByKey(ctx context.Context, project, key string) (run.Run, error) {
	r, err := scanRun(s.db.QueryRow(ctx, `SELECT `+runColumns+` FROM runs WHERE submit_key = ?`, keyIn(project, key)))
	if err != nil {
		return r, fmt.Errorf("run of a key: %w", err)
	}
	return r, nil
}

// RunsAtNomad returns the runs that Nomad may have workers of, newest first.
func (s *Store) RunsAtNomad(ctx context.Context) ([]run.Run, error) {
	rows, err := s.db.Query(ctx, `SELECT `+runColumns+` FROM runs WHERE archived = 0 AND state IN (?,?,?,?) ORDER BY id DESC`,
		run.Pending, run.Running, run.Degraded, run.Stopping)
	if err != nil {
		return nil, fmt.Errorf("list runs at Nomad: %w", err)
	}
	return db.Collect(rows, scanRun)
}

// SaveProgress stores a run's headline, except the participants, which [Store.Update] owns. An attempt's first one sets
// FirstStep and FirstAt.
func (s *Store) SaveProgress(ctx context.Context, id run.ID, p run.Progress) error {
	at := db.Millis(p.UpdatedAt)
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		if err := tx.Require(ctx, "runs", string(id)); err != nil {
			return err
		}
		if err := points.MarkHeadline(ctx, s.Points, tx, id); err != nil {
			return err
		}
		var ended int64
		err := tx.QueryRow(ctx, `UPDATE runs SET step = ?, loss = ?, has_loss = ?, tokens_per_sec = ?, progress_at = ?, revision = revision + 1,
		first_step = CASE WHEN first_attempt = attempt AND first_at > 0 THEN first_step ELSE ? END,
		first_at = CASE WHEN first_attempt = attempt AND first_at > 0 THEN first_at ELSE ? END, first_attempt = attempt WHERE id = ? RETURNING ended_at`,
			p.Step, p.Loss, p.HasLoss, p.TokensPerSec, at, p.Step, at, id).Scan(&ended)
		if err == nil && ended > 0 {
			err = points.SaveResults(ctx, tx, id)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("save progress of %s: %w", id, err)
	}
	return nil
}

// ProjectOfRun returns the project that owns a run, or [fault.ErrNotFound].
func (s *Store) ProjectOfRun(ctx context.Context, id run.ID) (project string, err error) {
	err = s.db.QueryRow(ctx, `SELECT project FROM runs WHERE id = ?`, id).Scan(&project)
	if err != nil {
		return "", fmt.Errorf("project of run %s: %w", id, missing(err, run.NoRun(string(id))))
	}
	return project, nil
}
