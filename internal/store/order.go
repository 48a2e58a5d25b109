package store

import (
	"context"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/catalog"
	"github.com/cotrain/cotrain/internal/store/db"
)

// underWay reads the values of runs that have started and not ended, which change with every step: no catalog has them. Durations are as of
// now, in Unix milliseconds.
func underWay(ctx context.Context, tx *db.Snapshot, o run.Order, now int64) ([]catalog.Value, error) {
	value, args := liveValue(o, now)
	return db.Select(ctx, tx, scanValue, `SELECT id, value FROM (SELECT id, `+value+` AS value FROM runs INDEXED BY runs_under_way WHERE id > '' AND started_at > 0 AND ended_at = 0) AS live WHERE value IS NOT NULL`, args...)
}

func scanValue(row db.Scanner) (v catalog.Value, err error) { return v, row.Scan(&v.ID, &v.Value) }

// liveValue is the value of a run under way.
func liveValue(o run.Order, now int64) (expression string, args []any) {
	switch o.By {
	case "step":
		return `CASE WHEN progress_at > 0 THEN CAST(step AS DOUBLE PRECISION) END`, nil
	case "loss":
		return `CASE WHEN has_loss = 1 THEN loss END`, nil
	case "throughput":
		return `CASE WHEN tokens_per_sec > 0 THEN tokens_per_sec END`, nil
	case "duration":
		return `CAST(?1 - started_at AS DOUBLE PRECISION) / 1000`, []any{now}
	case "metric":
		return `(SELECT m.` + o.Of + ` FROM run_metrics m WHERE m.run_id = runs.id AND m.metric = ?1)`, []any{o.Metric}
	}
	return `CAST(NULL AS DOUBLE PRECISION)`, nil
}

// resultOf is where the value that ended runs are sorted by is in run_results; see [points.SaveResults].
func resultOf(o run.Order) catalog.Key {
	if o.By == "metric" {
		return catalog.Key{Metric: o.Metric, Of: o.Of}
	}
	return catalog.Key{Metric: " " + o.By, Of: "last"}
}
