package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/db"
	"github.com/cotrain/cotrain/internal/store/points"
)

// DeleteRun removes a run with all that belongs to it and orders Nomad to purge its jobs, or returns
// [fault.ErrNotFound]. The first transaction hides it; points and archived blocks follow, and [Store.Tidy] finishes what
// was interrupted.
func (s *Store) DeleteRun(ctx context.Context, id run.ID) error {
	err := s.db.Write(ctx, func(tx *db.Tx) error { // which begins with the lock of the run
		was, err := auditedBefore(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := forgetLogBytes(ctx, tx, id); err != nil {
			return err
		}
		res, err := tx.Exec(ctx, `DELETE FROM runs WHERE id = ?`, id)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return run.NoRun(string(id))
		}
		jobs, err := jobsOf(ctx, tx, id)
		if err != nil {
			return err
		}
		for _, job := range jobs {
			if err := s.addOrder(ctx, tx, Order{JobID: job, RunID: id, Purge: true}); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, `DELETE FROM run_texts WHERE id = ?`, id); err != nil {
			return err
		}
		for _, table := range []string{"attempts", "workers", "events", "streams", "log_chunks", "log_blocks", "checkpoints", "run_labels", "run_results"} {
			if _, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE run_id = ?`, id); err != nil {
				return err
			}
		}
		if err := points.Delete(ctx, s.Points, tx, id); err != nil {
			return err
		}
		if err := leave(ctx, tx, string(id)+"/"); err != nil {
			return err
		}
		return auditRun(ctx, tx, was, nil)
	})
	if err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	s.blocks.open.Purge()
	return s.Tidy(ctx)
}

// Tidy deletes what is left of deleted runs: their points, and what the archive of logs has of them. That it does not answer is no
// error of a deletion: [Store.TidyLogs] comes back to it.
func (s *Store) Tidy(ctx context.Context) error {
	logs := s.TidyLogs(ctx)
	if errors.Is(logs, fault.ErrUnavailable) {
		logs = nil
	}
	return errors.Join(s.Points.Tidy(ctx), logs)
}

func jobsOf(ctx context.Context, tx *db.Tx, id run.ID) ([]string, error) {
	return db.Select(ctx, tx, db.One[string], `SELECT job_id FROM attempts WHERE run_id = ? AND job_id <> ''`, id)
}
