package points

import (
	"context"
	"fmt"
	"maps"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/db"
)

// tidyRows and tidyChunks bound one transaction's deletions, so that others can write in between.
const (
	tidyRows   = 20_000
	tidyChunks = 200
)

// Delete hides a run's points, within a transaction; [Points.Tidy] deletes them.
func Delete(ctx context.Context, p *Points, tx *db.Tx, id run.ID) error {
	for _, table := range []string{"curve_blocks", "curve_columns", "stale_curves", "repeats", "run_metrics", "stale_metrics"} {
		if _, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE run_id = ?`, id); err != nil {
			return err
		}
	}
	tx.OnEnd(func(committed bool) {
		if committed {
			p.forget(id)
		}
	})
	// Name and rank of orphans must be unique, so the old run's ID goes into the name.
	_, err := tx.Exec(ctx, `UPDATE series SET run_id = '', metric = run_id || '/' || metric WHERE run_id = ?`, id)
	return err
}

func (ps *Points) forget(id run.ID) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.versions.change(id)
	maps.DeleteFunc(ps.series, func(k seriesKey, n int64) bool {
		if k.run == id {
			delete(ps.bounds, n)
		}
		return k.run == id
	})
	delete(ps.names, id)
	ps.heads.forget(id)
	ps.sums.forget(id)
	ps.looked.change(id, &change{reset: true})
}

// Tidy deletes the points of deleted runs.
func (ps *Points) Tidy(ctx context.Context) error {
	for {
		var series int64
		err := ps.db.QueryRow(ctx, `SELECT coalesce(min(id), 0) FROM series WHERE run_id = ''`).Scan(&series)
		if err != nil {
			return fmt.Errorf("tidy: %w", err)
		}
		if series == 0 {
			return nil
		}
		// Rows first: SealPoints may turn them into chunks meanwhile.
		for _, q := range []string{
			fmt.Sprintf(`DELETE FROM points WHERE series = ?1 AND step IN (SELECT step FROM points WHERE series = ?1 LIMIT %d)`, tidyRows),
			fmt.Sprintf(`DELETE FROM point_chunks WHERE id IN (SELECT id FROM point_chunks WHERE series = ?1 LIMIT %d)`, tidyChunks),
		} {
			if err := ps.deleteAll(ctx, q, series); err != nil {
				return fmt.Errorf("tidy: %w", err)
			}
		}
		if _, err := ps.db.Exec(ctx, `DELETE FROM series WHERE id = ?`, series); err != nil {
			return fmt.Errorf("tidy: %w", err)
		}
	}
}

// deleteAll repeats a statement until it deletes nothing.
func (ps *Points) deleteAll(ctx context.Context, query string, series int64) error {
	for {
		res, err := ps.db.Exec(ctx, query, series)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return err
		}
	}
}
