package store

import (
	"context"
	"fmt"
	"maps"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/db"
)

// tidyRows and tidyChunks are how many points and chunks one transaction deletes, so that others can write in between.
const (
	tidyRows   = 20_000
	tidyChunks = 200
)

// DeleteRun removes a run and everything that belongs to it, orders Nomad to purge its jobs, or returns [fault.ErrNotFound]. From the first transaction
// on nobody sees it; its points and archived blocks follow, and [Store.Tidy] finishes what was interrupted.
func (s *Store) DeleteRun(ctx context.Context, id run.ID) error {
	err := s.db.Write(ctx, func(tx *db.Tx) error {
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
			if err := s.place(ctx, tx, Order{JobID: job, RunID: id, Purge: true}); err != nil {
				return err
			}
		}
		for _, table := range []string{"attempts", "workers", "events", "streams", "log_chunks", "log_blocks", "curve_blocks", "unrolled", "checkpoints", "repeats"} {
			if _, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE run_id = ?`, id); err != nil {
				return err
			}
		}
		// The unique key allows one orphan per name and rank, so the old owner's ID stays in the name.
		_, err = tx.Exec(ctx, `UPDATE series SET run_id = '', metric = run_id || '/' || metric WHERE run_id = ?`, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	s.mu.Lock()
	maps.DeleteFunc(s.series, func(k seriesKey, _ int64) bool { return k.run == id })
	delete(s.names, id)
	s.mu.Unlock()
	s.heads.forget(id)
	s.lastBlock.Store(nil)
	if err := s.blobs.DeleteAll(ctx, string(id)); err != nil {
		return err
	}
	return s.Tidy(ctx)
}

// jobsOf returns the child jobs of a run's attempts.
func jobsOf(ctx context.Context, tx *db.Tx, id run.ID) ([]string, error) {
	rows, err := tx.Query(ctx, `SELECT job_id FROM attempts WHERE run_id = ? AND job_id <> ''`, id)
	if err != nil {
		return nil, err
	}
	return db.Collect(rows, func(row db.Scanner) (job string, err error) { return job, row.Scan(&job) })
}

// Tidy deletes the points of deleted runs.
func (s *Store) Tidy(ctx context.Context) error {
	for {
		var series int64
		err := s.db.QueryRow(ctx, `SELECT coalesce(min(id), 0) FROM series WHERE run_id = ''`).Scan(&series)
		if err != nil {
			return fmt.Errorf("tidy: %w", err)
		}
		if series == 0 {
			return nil
		}
		// The rows first: what SealPoints makes of them meanwhile is there when the chunks go.
		for _, q := range []string{
			fmt.Sprintf(`DELETE FROM points WHERE series = ?1 AND step IN (SELECT step FROM points WHERE series = ?1 LIMIT %d)`, tidyRows),
			fmt.Sprintf(`DELETE FROM point_chunks WHERE id IN (SELECT id FROM point_chunks WHERE series = ?1 LIMIT %d)`, tidyChunks),
		} {
			if err := s.deleteAll(ctx, q, series); err != nil {
				return fmt.Errorf("tidy: %w", err)
			}
		}
		if _, err := s.db.Exec(ctx, `DELETE FROM series WHERE id = ?`, series); err != nil {
			return fmt.Errorf("tidy: %w", err)
		}
	}
}

// deleteAll repeats a statement until it deletes nothing more.
func (s *Store) deleteAll(ctx context.Context, query string, series int64) error {
	for {
		res, err := s.db.Exec(ctx, query, series)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return err
		}
	}
}
