// Package metrics serves the curves of runs.
package metrics

import (
	"context"

	"github.com/cotrain/cotrain/internal/chart"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/points"
	"github.com/cotrain/cotrain/internal/web/page"
	"github.com/cotrain/cotrain/internal/web/runs"
)

// Store reads runs and their curves.
type Store interface {
	// Run returns a run, or an error that matches [fault.ErrNotFound].
	Run(ctx context.Context, id run.ID) (run.Run, error)
	chart.Versioned
	// RunMetrics returns the summaries of a run's metrics, by name.
	RunMetrics(ctx context.Context, id run.ID) ([]points.Summary, error)
	runs.Layouts
}

// Pages are the section's handlers.
type Pages struct {
	*page.Site
	Store Store
	Runs  *runs.Pages // the frame of the tab

	Cache *chart.Cache
}
