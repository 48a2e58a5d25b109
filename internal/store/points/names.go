package points

import (
	"context"
	"slices"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/db"
)

// MaxMetrics is how many metrics of a run are kept beside those of the headline, first come first served: a log is
// untrusted, and each metric is a permanent series per worker. Those who log norms of each layer have two thousand.
const MaxMetrics = 4000

// maxMetricName is the most bytes of a metric's name, which is part of a key; a log can print longer ones.
const maxMetricName = 500

// metricNames are the metrics of one run.
type metricNames struct {
	kept map[string]struct{}
	told bool // that some are dropped
}

// namedRuns is how many runs' names are cached.
const namedRuns = 256

// keeps reports whether to keep a metric new to this worker, and lists the first report's dropped ones.
func (w *Writer) keeps(ctx context.Context, id run.ID, metric string, out *Result) (bool, error) {
	if slices.Contains(CurveMetrics(), metric) {
		return true, nil
	}
	names, err := w.names(ctx, id)
	if err != nil {
		return false, err
	}
	if _, known := names.kept[metric]; known {
		return true, nil
	}
	if len(names.kept) < MaxMetrics {
		names.kept[metric] = struct{}{}
		return true, nil
	}
	if i, found := slices.BinarySearch(out.Dropped, metric); !names.told && !found {
		out.Dropped = slices.Insert(out.Dropped, i, metric)
	}
	return false, nil
}

func (w *Writer) names(ctx context.Context, id run.ID) (*metricNames, error) {
	w.p.mu.Lock()
	names := w.p.names[id]
	w.p.mu.Unlock()
	if !slices.Contains(w.named, id) {
		w.named = append(w.named, id)
	}
	if names != nil {
		return names, nil
	}
	names = &metricNames{kept: map[string]struct{}{}}
	list, err := db.Select(ctx, w.tx, db.One[string], `SELECT DISTINCT metric FROM series WHERE run_id = ?`, id)
	if err != nil {
		return nil, err
	}
	for _, name := range list {
		if !slices.Contains(CurveMetrics(), name) {
			names.kept[name] = struct{}{}
		}
	}
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	if len(w.p.names) >= namedRuns {
		clear(w.p.names)
	}
	w.p.names[id] = names
	return names, nil
}
