package store

import (
	"context"
	"fmt"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/db"
)

// CountRuns returns how many of the runs that match, but for their states, are in each state. States without runs are absent.
func (s *Store) CountRuns(ctx context.Context, f run.RunFilter) (counts run.Counts, err error) {
	if f.Projects.None() {
		return run.Counts{}, nil
	}
	err = s.readCatalog(ctx, func(_ *db.Snapshot, c *current) error {
		counts = c.Count(stored(f))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("count runs: %w", err)
	}
	return counts, nil
}
