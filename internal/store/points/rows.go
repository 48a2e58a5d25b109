package points

import (
	"context"
	"fmt"
	"strings"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/db"
)

// RowMetrics returns the summaries of some metrics of runs that a list shows.
func (ps *Points) RowMetrics(ctx context.Context, ids []run.ID, metrics []string) (map[run.ID]map[string]Summary, error) {
	out := map[run.ID]map[string]Summary{}
	if len(ids) == 0 || len(metrics) == 0 {
		return out, nil
	}
	var args []any
	for _, id := range ids {
		args = append(args, id)
	}
	for _, m := range metrics {
		args = append(args, m)
	}
	marks := func(n int) string { return "?" + strings.Repeat(",?", n-1) }
	_, err := db.Select(ctx, ps.db, func(r db.Scanner) (s Summary, err error) {
		var id run.ID
		if s, err = scanSummary(withID{r, &id}); err != nil {
			return s, err
		}
		if out[id] == nil {
			out[id] = map[string]Summary{}
		}
		out[id][s.Metric] = s
		return s, nil
	}, `SELECT metric, points, workers, first_step, last_step, last, low, low_step, high, high_step, shape, run_id
		FROM run_metrics WHERE run_id IN (`+marks(len(ids))+`) AND metric IN (`+marks(len(metrics))+`)`, args...)
	if err != nil {
		return nil, fmt.Errorf("metrics of a list: %w", err)
	}
	return out, nil
}

// withID scans a run's ID after the columns of a summary.
type withID struct {
	db.Scanner
	id *run.ID
}

// Scan is for [db.Scanner].
func (w withID) Scan(dest ...any) error { return w.Scanner.Scan(append(dest, w.id)...) }
