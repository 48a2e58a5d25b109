package guard

import (
	"context"
	"slices"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/series"
	"github.com/cotrain/cotrain/internal/store/points"
)

// Store reads runs and what belongs to them.
type Store interface {
	Owners
	Runs
	Details
	NodeFailures(ctx context.Context, in run.Projects, since time.Time) (map[string]run.NodeFailures, error)
	Layouts
}

// Owners tells which project owns what; what does not exist is [fault.ErrNotFound].
type Owners interface {
	ProjectOfRun(ctx context.Context, id run.ID) (string, error)
	ProjectOfSweep(ctx context.Context, id run.SweepID) (string, error)
}

// Runs reads runs.
type Runs interface {
	Run(ctx context.Context, id run.ID) (run.Run, error)
	Runs(ctx context.Context, f run.RunFilter) ([]run.Run, error)
	ListRuns(ctx context.Context, f run.RunFilter) (run.Page, error)
	RowMetrics(ctx context.Context, ids []run.ID, metrics []string) (map[run.ID]map[string]points.Summary, error)
	CountRuns(ctx context.Context, f run.RunFilter) (run.Counts, error)
	SetQueuePlaces(ctx context.Context, runs []run.Run) error
	BestRun(ctx context.Context, id run.SweepID) (run.Run, error)
}

// Details reads what belongs to one run.
type Details interface {
	Workers(ctx context.Context, id run.ID) ([]run.Worker, error)
	Attempts(ctx context.Context, id run.ID) ([]run.Attempt, error)
	Events(ctx context.Context, id run.ID, after int64, limit int) ([]run.Event, error)
	EventsBefore(ctx context.Context, id run.ID, before int64, limit int) ([]run.Event, error)
	LogReader
	SavedCheckpoints(ctx context.Context, id run.ID) ([]run.SavedCheckpoint, error)
	Metrics(ctx context.Context, id run.ID) ([]string, error)
	PointsPage(ctx context.Context, id run.ID, metric string, from int64, after *points.PageCursor, limit int) ([]points.WorkerPoint, error)
	ReplacedPage(ctx context.Context, id run.ID, metric string, attempt int, from int64, after *points.PageCursor, limit int) ([]points.WorkerPoint, error)
	Curve(ctx context.Context, id run.ID, metric string, fromStep int64) ([]run.CurvePoint, error)
	Curves
}

// LogReader reads the log of one run.
type LogReader interface {
	Logs(ctx context.Context, id run.ID, q run.LogQuery) ([]run.LogLine, error)
	LogMap(ctx context.Context, id run.ID, f run.LogFilter) (run.LogMap, error)
	LogLines(ctx context.Context, id run.ID, f run.LogFilter, at run.LogSpot, limit int) (run.LogPage, error)
	FindLog(ctx context.Context, id run.ID, f run.LogFilter, from run.LogPos, back bool) (line run.LogLine, found bool, err error)
	SearchLog(ctx context.Context, id run.ID, f run.LogFilter, tell func(run.LogFound) error) error
	EachLog(ctx context.Context, id run.ID, f run.LogFilter, from run.LogPos, fn func(run.RawLine) error) error
	EachLogAround(ctx context.Context, id run.ID, f run.LogFilter, from run.LogPos, lines int, fn func(run.RawLine) error) error
	LogFate(ctx context.Context, id run.ID) (run.LogFate, error)
	LogUsage(ctx context.Context) ([]run.LogUsage, error)
}

// Curves reads the curves of one run.
type Curves interface {
	View(ctx context.Context, id run.ID, metric string, q points.ViewQuery) (series.View, error)
	Used(ctx context.Context, id run.ID, since time.Time) (run.Used, error)
	Each(ctx context.Context, id run.ID, metric string, worker int, from, to int64, take func(run.CurvePoint) bool) error
	RunMetrics(ctx context.Context, id run.ID) ([]points.Summary, error)
	Joins(ctx context.Context, id run.ID) ([]points.Join, error)
	Rounds(ctx context.Context, id run.ID, q points.RoundQuery, take func(points.RoundPoint)) error
	PointsVersion(ctx context.Context, id run.ID) (int64, error)
}

// visible are the projects whose runs who asks may see, among those given.
func visible(ctx context.Context, right access.Right, asked run.Projects) run.Projects {
	all, names := access.From(ctx).Projects(right)
	switch {
	case all:
		return asked
	case asked.All:
		return run.InProjects(names...)
	}
	var both []string
	for _, name := range names {
		if asked.Include(name) {
			both = append(both, name)
		}
	}
	return run.InProjects(both...)
}

// see returns the error for a run that who asks may not see, or that does not exist.
func (g *Guard) see(ctx context.Context, id run.ID) error {
	return g.Allow(ctx, access.RunsRead, access.Subject{Kind: access.SubjectRun, ID: string(id)})
}

// seen reads something of a run for who may see it.
func seen[T any](ctx context.Context, g *Guard, id run.ID, read func() (T, error)) (out T, err error) {
	if err := g.see(ctx, id); err != nil {
		return out, err
	}
	return read()
}

// Run returns a run, or [fault.ErrNotFound].
func (g *Guard) Run(ctx context.Context, id run.ID) (run.Run, error) {
	return seen(ctx, g, id, func() (run.Run, error) { return g.o.Store.Run(ctx, id) })
}

// Runs returns matching runs, newest first.
func (g *Guard) Runs(ctx context.Context, f run.RunFilter) ([]run.Run, error) {
	f.Projects = visible(ctx, access.RunsRead, f.Projects)
	return g.o.Store.Runs(ctx, f)
}

// ListRuns returns a page of matching runs, in the filter's order, and the cursor of the next.
func (g *Guard) ListRuns(ctx context.Context, f run.RunFilter) (run.Page, error) {
	f.Projects = visible(ctx, access.RunsRead, f.Projects)
	return g.o.Store.ListRuns(ctx, f)
}

// RowMetrics returns summaries of some metrics of runs that a list shows, as far as who asks may see them.
func (g *Guard) RowMetrics(ctx context.Context, ids []run.ID, metrics []string) (map[run.ID]map[string]points.Summary, error) {
	var seen []run.ID
	for _, id := range ids {
		if g.see(ctx, id) == nil {
			seen = append(seen, id)
		}
	}
	return g.o.Store.RowMetrics(ctx, seen, metrics)
}

// CheckpointKeepers returns matching runs of every project, since what is deleted from shared storage may be of any. Of those
// that who asks may not see it tells where their checkpoints are and no more than is needed to go on.
func (g *Guard) CheckpointKeepers(ctx context.Context, f run.RunFilter) ([]run.Run, error) {
	if err := g.anywhere(ctx, access.StorageRead); err != nil {
		return nil, err
	}
	runs, err := g.o.Store.Runs(ctx, f)
	seen := visible(ctx, access.RunsRead, run.AllProjects())
	for i, r := range runs {
		if !seen.Include(r.Project) {
			runs[i] = run.Run{ID: r.ID, Name: run.OfAnotherProject, CheckpointPath: r.CheckpointPath, Shape: run.Shape{Folder: r.Shape.Folder}}
		}
	}
	return runs, err
}

// CountRuns counts matching runs by state.
func (g *Guard) CountRuns(ctx context.Context, f run.RunFilter) (run.Counts, error) {
	f.Projects = visible(ctx, access.RunsRead, f.Projects)
	return g.o.Store.CountRuns(ctx, f)
}

// BestRun returns a sweep's run with the lowest loss, or [fault.ErrNotFound].
func (g *Guard) BestRun(ctx context.Context, id run.SweepID) (run.Run, error) {
	if err := g.Allow(ctx, access.RunsRead, access.Subject{Kind: access.SubjectSweep, ID: string(id)}); err != nil {
		return run.Run{}, err
	}
	return g.o.Store.BestRun(ctx, id)
}

// SetQueuePlaces fills in the queue places of waiting runs. Those ahead that who asks may not see have no name.
func (g *Guard) SetQueuePlaces(ctx context.Context, runs []run.Run) error {
	if err := g.o.Store.SetQueuePlaces(ctx, runs); err != nil {
		return err
	}
	seen := visible(ctx, access.RunsRead, run.AllProjects())
	if seen.All {
		return nil
	}
	for _, r := range runs {
		if r.QueuePlace == nil {
			continue
		}
		for i, a := range r.QueuePlace.Ahead {
			project, err := g.projectOf(ctx, access.Subject{Kind: access.SubjectRun, ID: string(a.ID)})
			if err != nil || !seen.Include(project) {
				r.QueuePlace.Ahead[i] = run.Ahead{}
			}
		}
	}
	return nil
}

// Workers returns those of the newest attempt, by rank.
func (g *Guard) Workers(ctx context.Context, id run.ID) ([]run.Worker, error) {
	return seen(ctx, g, id, func() ([]run.Worker, error) { return g.o.Store.Workers(ctx, id) })
}

// Attempts returns all, oldest first.
func (g *Guard) Attempts(ctx context.Context, id run.ID) ([]run.Attempt, error) {
	return seen(ctx, g, id, func() ([]run.Attempt, error) { return g.o.Store.Attempts(ctx, id) })
}

// Events returns up to limit events after a sequence, oldest first.
func (g *Guard) Events(ctx context.Context, id run.ID, after int64, limit int) ([]run.Event, error) {
	return seen(ctx, g, id, func() ([]run.Event, error) { return g.o.Store.Events(ctx, id, after, limit) })
}

// EventsBefore returns up to limit events, the newest before a sequence, oldest first.
func (g *Guard) EventsBefore(ctx context.Context, id run.ID, before int64, limit int) ([]run.Event, error) {
	return seen(ctx, g, id, func() ([]run.Event, error) { return g.o.Store.EventsBefore(ctx, id, before, limit) })
}

// Logs returns lines, oldest first.
func (g *Guard) Logs(ctx context.Context, id run.ID, q run.LogQuery) ([]run.LogLine, error) {
	return seen(ctx, g, id, func() ([]run.LogLine, error) { return g.o.Store.Logs(ctx, id, q) })
}

// LogMap tells how many lines a filter leaves of a run's log, and where.
func (g *Guard) LogMap(ctx context.Context, id run.ID, f run.LogFilter) (run.LogMap, error) {
	return seen(ctx, g, id, func() (run.LogMap, error) { return g.o.Store.LogMap(ctx, id, f) })
}

// LogLines returns lines that a filter leaves, at a place.
func (g *Guard) LogLines(ctx context.Context, id run.ID, f run.LogFilter, at run.LogSpot, limit int) (run.LogPage, error) {
	return seen(ctx, g, id, func() (run.LogPage, error) { return g.o.Store.LogLines(ctx, id, f, at, limit) })
}

// FindLog returns the next line that a filter leaves behind a position, or the last before it.
func (g *Guard) FindLog(ctx context.Context, id run.ID, f run.LogFilter, from run.LogPos, back bool) (line run.LogLine, found bool, err error) {
	if err := g.see(ctx, id); err != nil {
		return line, false, err
	}
	return g.o.Store.FindLog(ctx, id, f, from, back)
}

// SearchLog tells, piece by piece, which lines a filter leaves.
func (g *Guard) SearchLog(ctx context.Context, id run.ID, f run.LogFilter, tell func(run.LogFound) error) error {
	if err := g.see(ctx, id); err != nil {
		return err
	}
	return g.o.Store.SearchLog(ctx, id, f, tell)
}

// EachLog calls fn for the lines that a filter leaves, from a position on.
func (g *Guard) EachLog(ctx context.Context, id run.ID, f run.LogFilter, from run.LogPos, fn func(run.RawLine) error) error {
	if err := g.see(ctx, id); err != nil {
		return err
	}
	return g.o.Store.EachLog(ctx, id, f, from, fn)
}

// EachLogAround calls fn for those lines and the ones around them.
func (g *Guard) EachLogAround(ctx context.Context, id run.ID, f run.LogFilter, from run.LogPos, lines int, fn func(run.RawLine) error) error {
	if err := g.see(ctx, id); err != nil {
		return err
	}
	return g.o.Store.EachLogAround(ctx, id, f, from, lines, fn)
}

// LogFate tells what becomes of a run's log.
func (g *Guard) LogFate(ctx context.Context, id run.ID) (run.LogFate, error) {
	return seen(ctx, g, id, func() (run.LogFate, error) { return g.o.Store.LogFate(ctx, id) })
}

// LogUsage returns how much the logs of each project take that who asks may see, and for who manages projects of all, with the project "".
func (g *Guard) LogUsage(ctx context.Context) ([]run.LogUsage, error) {
	if err := g.anywhere(ctx, access.ProjectRead); err != nil {
		return nil, err
	}
	all, err := g.o.Store.LogUsage(ctx)
	who := access.From(ctx)
	return slices.DeleteFunc(all, func(u run.LogUsage) bool {
		return u.Project == "" && !who.May(access.ProjectsManage, "") || u.Project != "" && !who.May(access.ProjectRead, u.Project)
	}), err
}

// SavedCheckpoints returns the newest that workers reported.
func (g *Guard) SavedCheckpoints(ctx context.Context, id run.ID) ([]run.SavedCheckpoint, error) {
	return seen(ctx, g, id, func() ([]run.SavedCheckpoint, error) { return g.o.Store.SavedCheckpoints(ctx, id) })
}

// Metrics returns the names, sorted.
func (g *Guard) Metrics(ctx context.Context, id run.ID) ([]string, error) {
	return seen(ctx, g, id, func() ([]string, error) { return g.o.Store.Metrics(ctx, id) })
}

// PointsPage returns up to limit values, by rank and step: of the steps from one on, those after a place, nil for the first.
func (g *Guard) PointsPage(ctx context.Context, id run.ID, metric string, from int64, after *points.PageCursor, limit int) ([]points.WorkerPoint, error) {
	return seen(ctx, g, id, func() ([]points.WorkerPoint, error) {
		return g.o.Store.PointsPage(ctx, id, metric, from, after, limit)
	})
}

// ReplacedPage is PointsPage of what an attempt reported of steps that later ones repeated.
func (g *Guard) ReplacedPage(ctx context.Context, id run.ID, metric string, attempt int, from int64, after *points.PageCursor, limit int) ([]points.WorkerPoint, error) {
	return seen(ctx, g, id, func() ([]points.WorkerPoint, error) {
		return g.o.Store.ReplacedPage(ctx, id, metric, attempt, from, after, limit)
	})
}

// Curve returns a metric over all workers by step, from a step on.
func (g *Guard) Curve(ctx context.Context, id run.ID, metric string, fromStep int64) ([]run.CurvePoint, error) {
	return seen(ctx, g, id, func() ([]run.CurvePoint, error) { return g.o.Store.Curve(ctx, id, metric, fromStep) })
}

// View summarizes a curve.
func (g *Guard) View(ctx context.Context, id run.ID, metric string, q points.ViewQuery) (series.View, error) {
	return seen(ctx, g, id, func() (series.View, error) { return g.o.Store.View(ctx, id, metric, q) })
}

// Used returns what the workers of a live run use, as measured since a time.
func (g *Guard) Used(ctx context.Context, id run.ID, since time.Time) (run.Used, error) {
	return seen(ctx, g, id, func() (run.Used, error) { return g.o.Store.Used(ctx, id, since) })
}

// Each reads a curve point by point.
func (g *Guard) Each(ctx context.Context, id run.ID, metric string, worker int, from, to int64, take func(run.CurvePoint) bool) error {
	if err := g.see(ctx, id); err != nil {
		return err
	}
	return g.o.Store.Each(ctx, id, metric, worker, from, to, take)
}

// RunMetrics returns the summaries of a run's metrics, by name.
func (g *Guard) RunMetrics(ctx context.Context, id run.ID) ([]points.Summary, error) {
	return seen(ctx, g, id, func() ([]points.Summary, error) { return g.o.Store.RunMetrics(ctx, id) })
}

// PointsVersion returns a number that grows whenever a run's points may have changed, while this console runs.
func (g *Guard) PointsVersion(ctx context.Context, id run.ID) (int64, error) {
	return seen(ctx, g, id, func() (int64, error) { return g.o.Store.PointsVersion(ctx, id) })
}

// Joins returns where a run's further attempts join, by attempt.
func (g *Guard) Joins(ctx context.Context, id run.ID) ([]points.Join, error) {
	return seen(ctx, g, id, func() ([]points.Join, error) { return g.o.Store.Joins(ctx, id) })
}

// Rounds tells of what a run's workers reported at the ends of rounds.
func (g *Guard) Rounds(ctx context.Context, id run.ID, q points.RoundQuery, take func(points.RoundPoint)) error {
	if err := g.see(ctx, id); err != nil {
		return err
	}
	return g.o.Store.Rounds(ctx, id, q, take)
}
