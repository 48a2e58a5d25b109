// Package runs serves the pages of runs and the data that they load.
package runs

import (
	"context"
	"net/http"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/page"
)

// Finder reads runs.
type Finder interface {
	// Run returns a run, or an error that matches [fault.ErrNotFound].
	Run(ctx context.Context, id run.ID) (run.Run, error)
	// Runs returns those that match, newest first.
	Runs(ctx context.Context, f run.RunFilter) ([]run.Run, error)
	// Lines fills in the queue positions of those that wait.
	Lines(ctx context.Context, runs []run.Run) error
}

// Counter reads what a list says of many runs.
type Counter interface {
	// CountRuns counts those that match by state.
	CountRuns(ctx context.Context, f run.RunFilter) (map[run.State]int, error)
	// BestRun returns the run of a sweep with the lowest loss, or an error that matches [fault.ErrNotFound].
	BestRun(ctx context.Context, id run.SweepID) (run.Run, error)
}

// Details reads what belongs to one run.
type Details interface {
	// Workers returns those of the newest attempt, by rank.
	Workers(ctx context.Context, id run.ID) ([]run.Worker, error)
	// EventsBefore returns up to limit events, the newest before a sequence, oldest first.
	EventsBefore(ctx context.Context, id run.ID, before int64, limit int) ([]run.Event, error)
	// Curve returns a metric over all workers by step.
	Curve(ctx context.Context, id run.ID, metric string, fromStep int64) ([]run.CurvePoint, error)
	// Logs returns lines, oldest first.
	Logs(ctx context.Context, id run.ID, q run.LogQuery) ([]run.LogLine, error)
}

// Store reads runs and what belongs to them.
type Store interface {
	Finder
	Counter
	Details
}

// Actions is what a person can do to a run.
type Actions interface {
	Submit(ctx context.Context, actor string, s run.Submission) (run.Run, error)
	// Stop and Delete return an error that matches [fault.ErrConflict] when the state does not allow it.
	Stop(ctx context.Context, actor string, id run.ID) error
	Delete(ctx context.Context, actor string, id run.ID) error
	// Launch tells exactly what started the workers. Nomad away is [fault.ErrUnavailable].
	Launch(ctx context.Context, id run.ID) (run.Launch, error)
}

// Origins reads what a run can come from.
type Origins interface {
	Template(ctx context.Context, name string, version int) (run.Template, error)
	Sweep(ctx context.Context, id run.SweepID) (run.Sweep, error)
}

// Control acts on runs.
type Control interface {
	Actions
	Origins
}

// Pages are the handlers of the section.
type Pages struct {
	*page.Site
	Store   Store
	Control Control
}

// run reads the run that the path names.
func (p *Pages) run(r *http.Request) (run.Run, error) {
	id, err := page.RunID(r)
	if err != nil {
		return run.Run{}, err
	}
	return p.Store.Run(r.Context(), id)
}
