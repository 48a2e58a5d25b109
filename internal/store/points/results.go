package points

import (
	"context"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/db"
)

// SaveResults stores the numbers that an ended run is sorted by: those of its row, whose names begin with a space as no metric's does, and
// its summaries. Whoever changes either calls it, and has the run's lock. It stores nothing of a run that has not ended.
func SaveResults(ctx context.Context, tx *db.Tx, id run.ID) error {
	if _, err := tx.Exec(ctx, `DELETE FROM run_results WHERE run_id = ?`, id); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `INSERT INTO run_results (run_id, metric, last, low, high)
		SELECT id, ' step', CAST(step AS DOUBLE PRECISION), CAST(NULL AS DOUBLE PRECISION), CAST(NULL AS DOUBLE PRECISION) FROM runs WHERE id = ?1 AND ended_at > 0 AND progress_at > 0
		UNION ALL SELECT id, ' loss', loss, NULL, NULL FROM runs WHERE id = ?1 AND ended_at > 0 AND has_loss = 1 AND loss IS NOT NULL
		UNION ALL SELECT id, ' throughput', tokens_per_sec, NULL, NULL FROM runs WHERE id = ?1 AND ended_at > 0 AND tokens_per_sec > 0
		UNION ALL SELECT id, ' duration', CAST(ended_at - started_at AS DOUBLE PRECISION) / 1000, NULL, NULL FROM runs WHERE id = ?1 AND ended_at > 0 AND started_at > 0
		UNION ALL SELECT id, ' ended', CAST(ended_at AS DOUBLE PRECISION) / 1000, NULL, NULL FROM runs WHERE id = ?1 AND ended_at > 0
		UNION ALL SELECT m.run_id, m.metric, m.last, m.low, m.high FROM runs CROSS JOIN run_metrics m ON m.run_id = id WHERE id = ?1 AND ended_at > 0`, id)
	return err
}
