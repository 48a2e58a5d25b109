// Package compare serves the page that compares runs.
package compare

import (
	"context"

	"github.com/cotrain/cotrain/internal/chart"
	"github.com/cotrain/cotrain/internal/compare"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/page"
)

// Store reads runs and their curves.
type Store interface {
	// Run returns a run, or an error that matches [fault.ErrNotFound].
	Run(ctx context.Context, id run.ID) (run.Run, error)
	Runs(ctx context.Context, f run.RunFilter) ([]run.Run, error)
	// CountRuns counts the runs that match, but for their states, by state.
	CountRuns(ctx context.Context, f run.RunFilter) (run.Counts, error)
	chart.Versioned
	compare.Store
}

// Sweeps reads sweeps.
type Sweeps interface {
	Sweep(ctx context.Context, id run.SweepID) (run.Sweep, error)
}

// Pages are the section's handlers.
type Pages struct {
	*page.Site
	Store  Store
	Sweeps Sweeps
	Cache  *chart.Cache
}
