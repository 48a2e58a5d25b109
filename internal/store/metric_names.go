package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/db"
)

// MaxMetrics is how many metrics of a run are kept, beside those that its headline is made of: those that came first. A log
// is untrusted, and each metric is a series of every worker, kept for ever.
const MaxMetrics = 500

// metricNames are the metrics of one run.
type metricNames struct {
	kept map[string]struct{}
	told bool // that some are dropped
}

// namedRuns is how many runs' names are remembered; those of others are read again.
const namedRuns = 256

// nameKeeper decides in one transaction which metrics are kept.
type nameKeeper struct {
	store   *Store
	tx      *db.Tx
	touched []run.ID
	dropped map[string]struct{} // of the batch at hand
}

// keeps reports whether a metric that has no series of this worker yet is kept.
func (k *nameKeeper) keeps(ctx context.Context, id run.ID, metric string) (bool, error) {
	if slices.Contains(Rolled(), metric) {
		return true, nil
	}
	names, err := k.names(ctx, id)
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
	if !names.told {
		if k.dropped == nil {
			k.dropped = map[string]struct{}{}
		}
		k.dropped[metric] = struct{}{}
	}
	return false, nil
}

func (k *nameKeeper) names(ctx context.Context, id run.ID) (*metricNames, error) {
	k.store.mu.Lock()
	names := k.store.names[id]
	k.store.mu.Unlock()
	if !slices.Contains(k.touched, id) {
		k.touched = append(k.touched, id)
	}
	if names != nil {
		return names, nil
	}
	names = &metricNames{kept: map[string]struct{}{}}
	rows, err := k.tx.Query(ctx, `SELECT DISTINCT metric FROM series WHERE run_id = ?`, id)
	if err != nil {
		return nil, err
	}
	list, err := db.Collect(rows, func(row db.Scanner) (name string, err error) { return name, row.Scan(&name) })
	if err != nil {
		return nil, err
	}
	for _, name := range list {
		if !slices.Contains(Rolled(), name) {
			names.kept[name] = struct{}{}
		}
	}
	if err := k.tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM events WHERE run_id = ? AND kind = 'metrics_dropped')`, id).Scan(&names.told); err != nil {
		return nil, err
	}
	k.store.mu.Lock()
	defer k.store.mu.Unlock()
	if len(k.store.names) >= namedRuns {
		clear(k.store.names)
	}
	k.store.names[id] = names
	return names, nil
}

// tell returns the event that says of a run, once, that metrics are dropped.
func (k *nameKeeper) tell(ctx context.Context, b *Batch) (*run.Event, error) {
	if len(k.dropped) == 0 {
		return nil, nil
	}
	names, err := k.names(ctx, b.RunID)
	if err != nil {
		return nil, err
	}
	names.told = true
	var some []string
	for name := range k.dropped {
		some = append(some, name)
	}
	k.dropped = nil
	slices.Sort(some)
	return &run.Event{
		RunID: b.RunID, At: b.At, Kind: "metrics_dropped", Level: "warning", Actor: "cotrain", Attempt: b.Attempt, Rank: b.Rank,
		Message: fmt.Sprintf("the first %d metrics of a run are kept; worker %d reports %d more, which are dropped: %s",
			MaxMetrics, b.Rank, len(some), strings.Join(some[:min(len(some), 3)], ", ")),
	}, nil
}

// forget is called when the transaction has failed: what was taken to be kept is read again.
func (k *nameKeeper) forget() {
	k.store.mu.Lock()
	defer k.store.mu.Unlock()
	for _, id := range k.touched {
		delete(k.store.names, id)
	}
}
