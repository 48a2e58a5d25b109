package guard_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/guard"
	"github.com/cotrain/cotrain/internal/measure"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/series"
	"github.com/cotrain/cotrain/internal/storage"
	"github.com/cotrain/cotrain/internal/store/points"
)

const (
	theRun   run.ID      = "r-0000000001"
	theSweep run.SweepID = "s-0000000001"
	theirs               = "vision" // the project of both
)

// behind is everything behind the guard: it tells what got through.
type behind struct {
	gone    bool // runs
	mu      sync.Mutex
	through []string
	in      []run.Projects // of lists
	actors  []string
	pending []*audit.Pending
	log     []audit.Entry
	full    error // of the audit log
	invalid error // what is wrong with sweeps
	runs    []run.Run
}

func (b *behind) passed(name string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.through = append(b.through, name)
	return nil
}

func (b *behind) listed(name string, in run.Projects) error {
	if in.None() {
		return nil
	}
	b.in = append(b.in, in)
	return b.passed(name)
}

func (b *behind) acted(ctx context.Context, name, actor string) error {
	b.actors, b.pending = append(b.actors, actor), append(b.pending, audit.Of(ctx))
	return b.passed(name)
}

func (b *behind) AppendAlone(_ context.Context, entries ...audit.Entry) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.full == nil {
		b.log = append(b.log, entries...)
	}
	return b.full
}

func (b *behind) Measure(ctx context.Context, actor string, _ measure.Choice) (measure.Measurement, error) {
	return measure.Measurement{}, b.acted(ctx, "Measure", actor)
}

func (b *behind) StopMeasurement(ctx context.Context, actor, _ string) (measure.Measurement, error) {
	return measure.Measurement{}, b.acted(ctx, "StopMeasurement", actor)
}

func (b *behind) Known() *measure.Known { return &measure.Known{} }

func (b *behind) ProjectOfRun(_ context.Context, id run.ID) (string, error) {
	if b.gone {
		return "", run.NoRun(string(id))
	}
	if id != theRun {
		return "", run.NoRun(string(id))
	}
	return theirs, nil
}

func (b *behind) ProjectOfSweep(_ context.Context, id run.SweepID) (string, error) {
	if id != theSweep {
		return "", run.NoSweep(string(id))
	}
	return theirs, nil
}

func (b *behind) Run(context.Context, run.ID) (run.Run, error) {
	return run.Run{ID: theRun}, b.passed("Run")
}

func (b *behind) Runs(_ context.Context, f run.RunFilter) ([]run.Run, error) {
	return b.runs, b.listed("Runs", f.Projects)
}

func (b *behind) ListRuns(_ context.Context, f run.RunFilter) (run.Page, error) {
	return run.Page{}, b.listed("ListRuns", f.Projects)
}

func (b *behind) RowMetrics(_ context.Context, ids []run.ID, _ []string) (map[run.ID]map[string]points.Summary, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	return nil, b.passed("RowMetrics")
}

func (b *behind) Layout(context.Context, string, access.UserID, run.LayoutPage) (string, error) {
	return "", b.passed("Layout")
}

func (b *behind) SetLayout(ctx context.Context, _ string, user access.UserID, _ run.LayoutPage, _ string) error {
	if user == "" {
		return b.acted(ctx, "SetProjectLayout", access.From(ctx).Name)
	}
	return b.passed("SetLayout")
}

func (b *behind) Act(ctx context.Context, actor string, _ run.ID, _ run.Action) error {
	return b.acted(ctx, "Act", actor)
}

func (b *behind) Outlook(context.Context, run.ID) (run.Outlook, error) {
	return run.Outlook{}, b.passed("Outlook")
}

func (b *behind) Edit(ctx context.Context, actor string, _ run.ID, _ run.Edit) error {
	return b.acted(ctx, "Edit", actor)
}

func (b *behind) CountRuns(_ context.Context, f run.RunFilter) (run.Counts, error) {
	return nil, b.listed("CountRuns", f.Projects)
}

func (b *behind) SetQueuePlaces(_ context.Context, runs []run.Run) error {
	for i := range runs {
		runs[i].QueuePlace = &run.QueuePlace{Position: 2, Ahead: []run.Ahead{{ID: theRun, Name: "secret plan"}}}
	}
	return nil
}

func (b *behind) BestRun(context.Context, run.SweepID) (run.Run, error) {
	return run.Run{}, b.passed("BestRun")
}

func (b *behind) Workers(context.Context, run.ID) ([]run.Worker, error) {
	return nil, b.passed("Workers")
}

func (b *behind) Attempts(context.Context, run.ID) ([]run.Attempt, error) {
	return nil, b.passed("Attempts")
}

func (b *behind) Events(context.Context, run.ID, int64, int) ([]run.Event, error) {
	return nil, b.passed("Events")
}

func (b *behind) EventsBefore(context.Context, run.ID, int64, int) ([]run.Event, error) {
	return nil, b.passed("EventsBefore")
}

func (b *behind) Logs(context.Context, run.ID, run.LogQuery) ([]run.LogLine, error) {
	return nil, b.passed("Logs")
}

func (b *behind) LogMap(context.Context, run.ID, run.LogFilter) (run.LogMap, error) {
	return run.LogMap{}, b.passed("LogMap")
}

func (b *behind) LogLines(context.Context, run.ID, run.LogFilter, run.LogSpot, int) (run.LogPage, error) {
	return run.LogPage{}, b.passed("LogLines")
}

func (b *behind) FindLog(context.Context, run.ID, run.LogFilter, run.LogPos, bool) (run.LogLine, bool, error) {
	return run.LogLine{}, false, b.passed("FindLog")
}

func (b *behind) SearchLog(context.Context, run.ID, run.LogFilter, func(run.LogFound) error) error {
	return b.passed("SearchLog")
}

func (b *behind) EachLog(context.Context, run.ID, run.LogFilter, run.LogPos, func(run.RawLine) error) error {
	return b.passed("EachLog")
}

func (b *behind) EachLogAround(context.Context, run.ID, run.LogFilter, run.LogPos, int, func(run.RawLine) error) error {
	return b.passed("EachLogAround")
}

func (b *behind) LogFate(context.Context, run.ID) (run.LogFate, error) {
	return run.LogFate{}, b.passed("LogFate")
}

func (b *behind) LogUsage(context.Context) ([]run.LogUsage, error) {
	return []run.LogUsage{{Project: "vision", Bytes: 1}, {Project: "speech", Bytes: 2}, {Bytes: 3}}, b.passed("LogUsage")
}

func (b *behind) Metrics(context.Context, run.ID) ([]string, error) { return nil, b.passed("Metrics") }

func (b *behind) PointsPage(context.Context, run.ID, string, int64, *points.PageCursor, int) ([]points.WorkerPoint, error) {
	return nil, b.passed("PointsPage")
}

func (b *behind) ReplacedPage(context.Context, run.ID, string, int, int64, *points.PageCursor, int) ([]points.WorkerPoint, error) {
	return nil, b.passed("ReplacedPage")
}

func (b *behind) View(context.Context, run.ID, string, points.ViewQuery) (series.View, error) {
	return series.View{}, b.passed("View")
}

func (b *behind) Used(context.Context, run.ID, time.Time) (run.Used, error) {
	return nil, b.passed("Used")
}

func (b *behind) Each(context.Context, run.ID, string, int, int64, int64, func(run.CurvePoint) bool) error {
	return b.passed("Each")
}

func (b *behind) RunMetrics(context.Context, run.ID) ([]points.Summary, error) {
	return nil, b.passed("RunMetrics")
}

func (b *behind) PointsVersion(context.Context, run.ID) (int64, error) {
	return 0, b.passed("PointsVersion")
}

func (b *behind) Rounds(context.Context, run.ID, points.RoundQuery, func(points.RoundPoint)) error {
	return b.passed("Rounds")
}

func (b *behind) Joins(context.Context, run.ID) ([]points.Join, error) { return nil, b.passed("Joins") }

func (b *behind) SavedCheckpoints(context.Context, run.ID) ([]run.SavedCheckpoint, error) {
	return nil, b.passed("SavedCheckpoints")
}

func (b *behind) Curve(context.Context, run.ID, string, int64) ([]run.CurvePoint, error) {
	return nil, b.passed("Curve")
}

func (b *behind) Submit(ctx context.Context, actor string, s run.Submission) (run.Run, error) {
	return run.Run{Project: s.Project}, b.acted(ctx, "Submit", actor)
}

func (b *behind) Stop(ctx context.Context, actor string, _ run.ID) error {
	return b.acted(ctx, "Stop", actor)
}

func (b *behind) Delete(ctx context.Context, actor string, _ run.ID) error {
	return b.acted(ctx, "Delete", actor)
}

func (b *behind) Check(context.Context) func(run.Submission) (errs, warns run.FieldErrors) {
	return func(s run.Submission) (errs, warns run.FieldErrors) {
		_ = b.passed("Check of " + s.Project)
		return nil, nil
	}
}

func (b *behind) DryRun(context.Context, run.Submission) (run.DryRun, error) {
	return run.DryRun{}, b.passed("DryRun")
}

func (b *behind) Launch(context.Context, run.ID) (run.Launch, error) {
	return run.Launch{}, b.passed("Launch")
}

func (b *behind) LaunchOf(context.Context, run.Submission) (run.Launch, error) {
	return run.Launch{}, b.passed("LaunchOf")
}

func (b *behind) Sweep(context.Context, run.SweepID) (run.Sweep, error) {
	return run.Sweep{}, b.passed("Sweep")
}

func (b *behind) Sweeps(_ context.Context, in run.Projects, _ run.SweepID, _ int) ([]run.Sweep, error) {
	return nil, b.listed("Sweeps", in)
}

func (b *behind) SubmitSweep(ctx context.Context, actor string, _ run.SweepSpec) (run.Sweep, error) {
	return run.Sweep{}, errors.Join(b.acted(ctx, "SubmitSweep", actor), b.invalid)
}

func (b *behind) StopSweep(ctx context.Context, actor string, _ run.SweepID) error {
	return b.acted(ctx, "StopSweep", actor)
}

func (b *behind) DeleteSweep(ctx context.Context, actor string, _ run.SweepID) error {
	return b.acted(ctx, "DeleteSweep", actor)
}

func (b *behind) Templates(_ context.Context, in run.Projects) ([]run.Template, error) {
	return nil, b.listed("Templates", in)
}

func (b *behind) Template(context.Context, string, string, int) (run.Template, error) {
	return run.Template{}, b.passed("Template")
}

func (b *behind) TemplateVersions(context.Context, string, string) ([]run.Template, error) {
	return nil, b.passed("TemplateVersions")
}

func (b *behind) SaveTemplate(ctx context.Context, actor string, _ run.Template, _ int) (run.Template, error) {
	return run.Template{}, b.acted(ctx, "SaveTemplate", actor)
}

func (b *behind) DeleteTemplate(ctx context.Context, actor, _, _ string) error {
	return b.acted(ctx, "DeleteTemplate", actor)
}

func (b *behind) Nodes(context.Context) ([]run.Node, error) {
	return []run.Node{{ID: "n1", Name: "gpu-1", Uses: []run.GPUUse{{Job: "job of " + string(theRun), Run: theRun}}}}, b.passed("Nodes")
}

func (b *behind) NodeFailures(_ context.Context, in run.Projects, _ time.Time) (map[string]run.NodeFailures, error) {
	if !in.Include(theirs) {
		return nil, nil
	}
	return map[string]run.NodeFailures{"gpu-1": {Failures: 1}}, nil
}

func (b *behind) MeasureGPUs(context.Context, []run.Node) { _ = b.passed("MeasureGPUs") }

// files is shared storage behind the guard.
type files struct {
	*behind
	path string
}

func (f files) Path() string                { return f.path }
func (f files) Mount() string               { return f.path }
func (f files) CheckDeletable(string) error { return nil }

func (f files) Touches(string, string, string) bool { return false }

func (f files) Layout(context.Context) ([]storage.Folder, error) { return nil, f.passed("Layout") }

func (f files) List(context.Context, string, storage.Query) (storage.Listing, error) {
	return storage.Listing{}, f.passed("List")
}

func (f files) Usage(context.Context, string) (storage.Usage, error) {
	return storage.Usage{}, f.passed("Usage")
}

func (f files) Open(context.Context, string) (*storage.File, error) { return nil, f.passed("Open") }

func (f files) Complete(context.Context, string, int) ([]string, error) {
	return nil, f.passed("Complete")
}

func (f files) Repair(context.Context) ([]string, []storage.Folder, error) {
	return nil, nil, f.passed("Repair")
}

func (f files) Delete(_ context.Context, path string) (storage.Removed, error) {
	if path == "busy" {
		return storage.Removed{}, errors.New("device busy")
	}
	return storage.Removed{Files: 3}, f.passed("DeleteFile")
}

// storages are shared storage, of projects with the folders of [folders].
func storages(g *guard.Guard, b *behind) *guard.Storages {
	return g.Storages(files{b, "/"}, func(folder string) guard.Files { return files{b, "/" + folder} })
}

// inStorage is the storage of a project as somebody has it who may see it.
func inStorage(t *testing.T, g *guard.Guard, b *behind, project string) *guard.Storage {
	t.Helper()
	s, err := storages(g, b).In(access.With(t.Context(), access.Local()), project)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// folders are those of projects, beside text and default, which have none.
var folders = map[string]string{theirs: "teams/vision", "audio": "teams/audio"}

func newGuard(t *testing.T) (*guard.Guard, *behind) {
	t.Helper()
	b := &behind{}
	return guard.New(guard.Options{Store: b, Control: b, Survey: b, Audit: b, Projects: func(context.Context) []string { return []string{access.DefaultProject, theirs, "text", "audio"} }, Settings: func(project string) access.Settings { return access.Settings{Folder: folders[project]} }, Now: time.Now, Logger: slog.New(slog.DiscardHandler)}), b
}

// as is a request of a member.
func as(ctx context.Context, roles map[string]access.Role) context.Context {
	return access.With(ctx, access.Identity{User: "u1", Name: "ann", Roles: roles})
}
