// Package runs serves the pages of runs and the data that they load.
package runs

import (
	"context"
	"net/http"
	"time"

	"github.com/cotrain/cotrain/internal/logfile"
	"github.com/cotrain/cotrain/internal/measure"
	"github.com/cotrain/cotrain/internal/rounds"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/series"
	"github.com/cotrain/cotrain/internal/store/points"
	"github.com/cotrain/cotrain/internal/web/page"
)

// Finder reads runs.
type Finder interface {
	// Run returns a run, or an error that matches [fault.ErrNotFound].
	Run(ctx context.Context, id run.ID) (run.Run, error)
	// Runs returns matching runs, newest first.
	Runs(ctx context.Context, f run.RunFilter) ([]run.Run, error)
	// ListRuns returns a page of matching runs, in the filter's order.
	ListRuns(ctx context.Context, f run.RunFilter) (run.Page, error)
	// RowMetrics returns summaries of some metrics of runs.
	RowMetrics(ctx context.Context, ids []run.ID, metrics []string) (map[run.ID]map[string]points.Summary, error)
	// SetQueuePlaces fills in the queue places of waiting runs.
	SetQueuePlaces(ctx context.Context, runs []run.Run) error
}

// Counter reads about many runs.
type Counter interface {
	// CountRuns counts the runs of a filter's projects and owner with its text by state.
	CountRuns(ctx context.Context, f run.RunFilter) (run.Counts, error)
	// BestRun returns a sweep's run with the lowest loss, or [fault.ErrNotFound].
	BestRun(ctx context.Context, id run.SweepID) (run.Run, error)
}

// Details reads about one run.
type Details interface {
	// EventsBefore returns the newest limit events before a sequence, oldest first.
	EventsBefore(ctx context.Context, id run.ID, before int64, limit int) ([]run.Event, error)
	// Attempts returns the run's, oldest first, and Joins where further ones join the curves.
	Attempts(ctx context.Context, id run.ID) ([]run.Attempt, error)
	Joins(ctx context.Context, id run.ID) ([]points.Join, error)
	// SavedCheckpoints returns the newest that workers reported.
	SavedCheckpoints(ctx context.Context, id run.ID) ([]run.SavedCheckpoint, error)
	LogReader
	rounds.Store
}

// Survey tells what was measured of the cluster.
type Survey interface {
	Measured(ctx context.Context) (*measure.Known, error)
}

// LogReader reads the log of one run.
type LogReader interface {
	// Logs returns lines, oldest first.
	Logs(ctx context.Context, id run.ID, q run.LogQuery) ([]run.LogLine, error)
	// LogMap tells how many lines a filter leaves, and where; LogLines returns them at a place.
	LogMap(ctx context.Context, id run.ID, f run.LogFilter) (run.LogMap, error)
	LogLines(ctx context.Context, id run.ID, f run.LogFilter, at run.LogSpot, limit int) (run.LogPage, error)
	// FindLog returns the next line that a filter leaves behind a position, or the last before it.
	FindLog(ctx context.Context, id run.ID, f run.LogFilter, from run.LogPos, back bool) (line run.LogLine, found bool, err error)
	// SearchLog tells, piece by piece, which lines a filter leaves.
	SearchLog(ctx context.Context, id run.ID, f run.LogFilter, tell func(run.LogFound) error) error
	logfile.Source
	// LogFate tells what becomes of the log.
	LogFate(ctx context.Context, id run.ID) (run.LogFate, error)
}

// Measurements read the metrics of one run.
type Measurements interface {
	// Metrics returns the names, sorted.
	Metrics(ctx context.Context, id run.ID) ([]string, error)
	// Each tells of a metric's points from one step to another, over all workers with worker -1, until take returns false.
	Each(ctx context.Context, id run.ID, metric string, worker int, from, to int64, take func(run.CurvePoint) bool) error
	// View summarizes a metric between two steps or times.
	View(ctx context.Context, id run.ID, metric string, q points.ViewQuery) (series.View, error)
	// Used returns what the workers of a live run use, as measured since a time.
	Used(ctx context.Context, id run.ID, since time.Time) (run.Used, error)
	// Curve returns a metric over all workers by step, from a step on.
	Curve(ctx context.Context, id run.ID, metric string, fromStep int64) ([]run.CurvePoint, error)
}

// Store reads runs and what belongs to them.
type Store interface {
	Finder
	Counter
	Details
	Measurements
	Layouts
}

// Layouts keeps how people arranged pages.
type Layouts interface {
	Layout(ctx context.Context, project string, page run.LayoutPage) (string, error)
	SetLayout(ctx context.Context, project string, page run.LayoutPage, data string) error
	SetProjectLayout(ctx context.Context, project string, page run.LayoutPage, data string) error
}

// Actions act on a run.
type Actions interface {
	Submit(ctx context.Context, s run.Submission) (run.Run, error)
	// Stop and Delete return [fault.ErrConflict] if the state does not allow it.
	Stop(ctx context.Context, id run.ID) error
	Delete(ctx context.Context, id run.ID) error
	// Act does something else with a run; the same errors, and [run.FieldErrors] for a checkpoint that it cannot continue from.
	Act(ctx context.Context, id run.ID, a run.Action) error
	// Outlook tells what an action would mean now.
	Outlook(ctx context.Context, id run.ID) (run.Outlook, error)
	// Edit changes tags and note, or archives; what is not valid is [run.FieldErrors].
	Edit(ctx context.Context, id run.ID, e run.Edit) error
	// Launch returns what started the workers. Nomad unreachable is [fault.ErrUnavailable].
	Launch(ctx context.Context, id run.ID) (run.Launch, error)
}

// Origins reads what runs come from.
type Origins interface {
	Template(ctx context.Context, project, name string, version int) (run.Template, error)
	Sweep(ctx context.Context, id run.SweepID) (run.Sweep, error)
}

// Control acts on runs.
type Control interface {
	Actions
	Origins
}

// Pages are the section's handlers.
type Pages struct {
	*page.Site
	Store   Store
	Control Control
	Rounds  *rounds.Cache
	Survey  Survey
	Files   bool // there is shared storage to look into
}

func (p *Pages) run(r *http.Request) (run.Run, error) {
	id, err := page.RunID(r)
	if err != nil {
		return run.Run{}, err
	}
	return p.Store.Run(r.Context(), id)
}
