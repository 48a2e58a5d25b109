// Package sweeps serves the pages of sweeps: groups of runs that differ in a few fields.
package sweeps

import (
	"context"
	"net/http"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/form"
	"github.com/cotrain/cotrain/internal/web/page"
)

// Store reads the runs of sweeps.
type Store interface {
	Runs(ctx context.Context, f run.RunFilter) ([]run.Run, error)
	// SetQueuePlaces fills in the queue places of waiting runs.
	SetQueuePlaces(ctx context.Context, runs []run.Run) error
}

// Finder reads sweeps.
type Finder interface {
	Sweep(ctx context.Context, id run.SweepID) (run.Sweep, error)
	// Sweeps returns up to limit, newest first, older than before ("" for the newest).
	Sweeps(ctx context.Context, in run.Projects, before run.SweepID, limit int) ([]run.Sweep, error)
}

// Actions act on a sweep.
type Actions interface {
	// SubmitSweep creates a sweep and its runs; invalid input is [run.FieldErrors].
	SubmitSweep(ctx context.Context, s run.SweepSpec) (run.Sweep, error)
	StopSweep(ctx context.Context, id run.SweepID) error
	// DeleteSweep returns [fault.ErrConflict] while runs are live.
	DeleteSweep(ctx context.Context, id run.SweepID) error
}

// Control reads sweeps and acts on them.
type Control interface {
	Finder
	Actions
}

// Pages are the section's handlers. The form for a new run reports what cannot be read.
type Pages struct {
	*page.Site
	Form    *form.Pages
	Store   Store
	Control Control
}

// sweepID reads the sweep's ID from the path. A malformed ID is a missing sweep.
func sweepID(r *http.Request) (run.SweepID, error) {
	id, err := run.ParseSweepID(r.PathValue("id"))
	if err != nil {
		return "", run.NoSweep(r.PathValue("id"))
	}
	return id, nil
}

func (p *Pages) sweep(r *http.Request) (run.Sweep, error) {
	id, err := sweepID(r)
	if err != nil {
		return run.Sweep{}, err
	}
	return p.Control.Sweep(r.Context(), id)
}
