// Package apitest is a console in memory, for tests of the API and of what talks to it.
package apitest

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/api"
	"github.com/cotrain/cotrain/internal/audit/audittest"
	"github.com/cotrain/cotrain/internal/chart"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/logarchive/logtest"
	"github.com/cotrain/cotrain/internal/measure"
	"github.com/cotrain/cotrain/internal/rounds"
	"github.com/cotrain/cotrain/internal/router"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/run/runtest"
	"github.com/cotrain/cotrain/internal/store/points"
	"github.com/cotrain/cotrain/internal/stream"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// Open lets everybody do everything.
type Open struct{}

// Allow is for [api.Guard].
func (Open) Allow(context.Context, access.Right, access.Subject) error { return nil }

// Allow is for [api.Guard]: everybody may do everything, unless Refuse says otherwise.
func (c *Console) Allow(context.Context, access.Right, access.Subject) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.refusal
}

// Refuse makes the guard answer every later request with err; nil ends it.
func (c *Console) Refuse(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refusal = err
}

// Console holds runs and what belongs to them. Its methods are safe for concurrent use.
type Console struct {
	Audit   audittest.Log
	Secrets runtest.Registry
	Causes  runtest.CauseRules
	Hub     *feed.Hub
	Fate    run.LogFate         // of all logs
	Reports []points.RoundPoint // at the ends of rounds, of every run

	version     atomic.Int64 // of points
	mu          sync.Mutex
	fail        error
	refusal     error // of the guard
	keys        map[string]run.ID
	submissions []run.Submission
	nodes       []run.Node
	catalog     *run.Catalog   // of Consul, nil for none
	known       *measure.Known // of the cluster, nil for nothing
	runs        map[run.ID]*entry
	templates   map[string][]run.Template // by name in lower case, oldest first
	beforeSave  func()                    // called once, before a template is saved; or nil
	sweeps      []run.Sweep               // oldest first
	sweepKeys   map[string]run.SweepID
	dry         run.DryRun
	launch      run.Launch
	clock       time.Time
	storage     api.StorageOf
	judge       func(context.Context, run.Submission) (errs, warns run.FieldErrors)
	system      feed.System
	tokens      []access.Token // newest first
	admin       admin
	asks        *access.Program // under way, nil for none
	asked       int             // how often whether it is signed in
}

type entry struct {
	run      run.Run
	workers  []run.Worker
	attempts []run.Attempt
	events   []run.Event
	lines    logtest.Lines
	points   map[string][]points.WorkerPoint
	curves   map[string][]run.CurvePoint
	replaced map[string][]points.WorkerPoint // of the first attempt, by a second one
}

// New returns a console without runs, whose clock begins in 2026 and moves on by a second for each run.
func New() *Console {
	return &Console{
		Hub:  feed.NewHub(time.Now),
		keys: map[string]run.ID{}, runs: map[run.ID]*entry{}, templates: map[string][]run.Template{}, sweepKeys: map[string]run.SweepID{},
		dry: run.DryRun{Fits: true, ParentJob: "cotrain-core-x", Parent: run.ParentNew}, clock: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
}

// SetQueuePlaces counts the queued runs ahead of each.
func (c *Console) SetQueuePlaces(_ context.Context, runs []run.Run) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range runs {
		r := &runs[i]
		if r.State != run.Queued {
			continue
		}
		r.QueuePlace = &run.QueuePlace{Position: 1, Ahead: []run.Ahead{}}
		for _, id := range slices.Sorted(maps.Keys(c.runs)) {
			other := &c.runs[id].run
			if other.State == run.Queued && (other.Priority() > r.Priority() || other.Priority() == r.Priority() && other.ID < r.ID) {
				r.QueuePlace.Position++
				r.QueuePlace.Ahead = append(r.QueuePlace.Ahead, run.Ahead{ID: other.ID, Name: other.Name})
			}
		}
	}
	return c.fail
}

// Handler is the API over this console.
func (c *Console) Handler(logger *slog.Logger, change ...func(*api.Deps)) router.Handler {
	d := api.Deps{
		Runs: c, Details: c, Actions: c, Templates: c, Sweeps: c, Launches: c, Survey: c, Audit: &c.Audit, Storage: c.storage, Accounts: c, Programs: c, Admin: &c.admin, Secrets: &c.Secrets, Causes: &c.Causes, Cache: chart.NewCache(1<<20, "test"), Rounds: rounds.NewCache(), Catalog: c.Catalog, System: c.System, Stream: stream.New(stream.Options{Feed: c.Hub, Guard: c, Auth: auth{}, Logger: logger}), Guard: c, Logger: logger, Version: "test",
	}
	for _, f := range change {
		f(&d)
	}
	return local{api.New(d)}
}

// auth is a log-in of which nothing changes.
type auth struct{}

func (auth) Changed() <-chan struct{} { return nil }

func (auth) Still(ctx context.Context) (access.Identity, error) { return access.From(ctx), nil }

// local is the API for everybody at this machine.
type local struct{ *api.Handler }

func (l local) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.Handler.ServeHTTP(w, r.WithContext(access.With(r.Context(), access.Local())))
}

// UseCheck has drafts judged; call it before Handler.
func (c *Console) UseCheck(judge func(context.Context, run.Submission) (errs, warns run.FieldErrors)) {
	c.judge = judge
}

// Check is for [api.Actions].
func (c *Console) Check(ctx context.Context) func(run.Submission) (errs, warns run.FieldErrors) {
	return func(s run.Submission) (errs, warns run.FieldErrors) {
		if c.judge == nil {
			return nil, nil
		}
		return c.judge(ctx, s)
	}
}

// UseStorage gives the console the shared storage of a project; call it before Handler.
func (c *Console) UseStorage(of api.StorageOf) { c.storage = of }

// System is for [api.Deps].
func (c *Console) System() feed.System {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.system
}

// SetSystem sets what the console says of itself.
func (c *Console) SetSystem(s feed.System) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.system = s
}

// Fail makes every later call return err; nil ends it.
func (c *Console) Fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail = err
}

// Submissions returns what was submitted, oldest first.
func (c *Console) Submissions() []run.Submission {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.submissions)
}

// Catalog is for [api.Deps].
func (c *Console) Catalog() *run.Catalog {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.catalog
}

// SetCatalog sets what Consul knows.
func (c *Console) SetCatalog(catalog *run.Catalog) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.catalog = catalog
}

// SetNodes sets the nodes of the cluster.
func (c *Console) SetNodes(nodes ...run.Node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes = nodes
}

// Add stores a run, gives it an ID if it has none, and returns that.
func (c *Console) Add(r run.Run) run.ID {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.add(r)
}

func (c *Console) add(r run.Run) run.ID {
	c.clock = c.clock.Add(time.Second)
	if r.ID == "" {
		r.ID = run.NewID(c.clock)
	}
	if r.Shape.Nodes == 0 { // no run has none
		r.Shape.Nodes = 3
	}
	r.Project = cmp.Or(r.Project, access.DefaultProject)
	if r.CreatedAt.IsZero() {
		r.CreatedAt = c.clock
	}
	c.runs[r.ID] = &entry{run: r, points: map[string][]points.WorkerPoint{}, curves: map[string][]run.CurvePoint{}}
	return r.ID
}

// Change changes a run in place.
func (c *Console) Change(id run.ID, fn func(*run.Run)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fn(&c.runs[id].run)
}

// SetWorkers sets a run's workers and attempts.
func (c *Console) SetWorkers(id run.ID, workers []run.Worker, attempts ...run.Attempt) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.runs[id].workers, c.runs[id].attempts = workers, attempts
}

// AddEvents appends events; their sequences continue.
func (c *Console) AddEvents(id run.ID, events ...run.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, ev := range events {
		ev.Seq, ev.RunID = int64(len(c.runs[id].events)+1), id
		c.runs[id].events = append(c.runs[id].events, ev)
	}
}

// Log appends lines of one worker; places are 10 apart.
func (c *Console) Log(id run.ID, rank int, texts ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.runs[id]
	for _, text := range texts {
		pos := run.LogPos(10 * (len(e.lines) + 1))
		e.lines = append(e.lines, run.LogLine{Pos: pos, Rank: rank, Stream: "stderr", At: c.clock, Text: text})
	}
}

// LoseLog has a line stand for others of a worker that cannot be read.
func (c *Console) LoseLog(id run.ID, rank int, text string) {
	c.Log(id, rank, text)
	c.mu.Lock()
	defer c.mu.Unlock()
	lines := c.runs[id].lines
	lines[len(lines)-1].Lost = true
}

// SetMetric sets the points, by rank and step, and the curve of a metric.
func (c *Console) SetMetric(id run.ID, name string, points []points.WorkerPoint, curve []run.CurvePoint) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.runs[id].points[name], c.runs[id].curves[name] = points, curve
}

// SetReplaced has a run's second attempt repeat steps for which the first one reported values.
func (c *Console) SetReplaced(id run.ID, name string, values []points.WorkerPoint) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.runs[id].replaced = map[string][]points.WorkerPoint{name: values}
}

// with calls fn with a run and the lock.
func (c *Console) with(id run.ID, fn func(*entry) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fail != nil {
		return c.fail
	}
	e := c.runs[id]
	if e == nil {
		return run.NoRun(string(id))
	}
	return fn(e)
}

// Run is for [api.Runs].
func (c *Console) Run(_ context.Context, id run.ID) (r run.Run, err error) {
	err = c.with(id, func(e *entry) error { r = e.run; return nil })
	return r, err
}

// CheckpointKeepers is for [api.Deps].
func (c *Console) CheckpointKeepers(ctx context.Context, f run.RunFilter) ([]run.Run, error) {
	return c.Runs(ctx, f)
}

// Runs is for [api.Runs].
func (c *Console) Runs(ctx context.Context, f run.RunFilter) ([]run.Run, error) {
	page, err := c.ListRuns(ctx, f)
	return page.Runs, err
}

// ListRuns is for [api.Runs].
func (c *Console) ListRuns(_ context.Context, f run.RunFilter) (run.Page, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []run.Run
	for _, e := range c.runs {
		all = append(all, e.run)
	}
	return runtest.List(all, f), c.fail
}

// RowMetrics picks from [Console.RunMetrics].
func (c *Console) RowMetrics(ctx context.Context, ids []run.ID, metrics []string) (map[run.ID]map[string]points.Summary, error) {
	out := map[run.ID]map[string]points.Summary{}
	for _, id := range ids {
		all, err := c.RunMetrics(ctx, id)
		if err != nil {
			return nil, err
		}
		out[id] = map[string]points.Summary{}
		for _, m := range all {
			if slices.Contains(metrics, m.Metric) {
				out[id][m.Metric] = m
			}
		}
	}
	return out, c.fail
}

// Layout and the other two are for the pages, which nobody arranges.
func (c *Console) Layout(context.Context, string, run.LayoutPage) (string, error) { return "", nil }

// SetLayout is for the pages.
func (c *Console) SetLayout(context.Context, string, run.LayoutPage, string) error { return nil }

// SetProjectLayout is for the pages.
func (c *Console) SetProjectLayout(context.Context, string, run.LayoutPage, string) error { return nil }

// Workers is for [api.Details].
func (c *Console) Workers(_ context.Context, id run.ID) (ws []run.Worker, err error) {
	err = c.with(id, func(e *entry) error { ws = slices.Clone(e.workers); return nil })
	return ws, err
}

// Attempts is for [api.Details].
func (c *Console) Attempts(_ context.Context, id run.ID) (as []run.Attempt, err error) {
	err = c.with(id, func(e *entry) error { as = slices.Clone(e.attempts); return nil })
	return as, err
}

// Submit is for [api.Actions]. It checks what control does, and leaves the run queued.
func (c *Console) Submit(_ context.Context, s run.Submission) (run.Run, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fail != nil {
		return run.Run{}, c.fail
	}
	if _, err := check(s); err != nil {
		return run.Run{}, err
	}
	c.submissions = append(c.submissions, s)
	s.Project = cmp.Or(s.Project, access.DefaultProject)
	key := s.Project + "/" + s.Key
	if id, used := c.keys[key]; used && s.Key != "" {
		return c.runs[id].run, nil
	}
	id := c.add(c.runOf(s))
	c.keys[key] = id
	return c.runs[id].run, nil
}

// runOf is the run of a submission, with its ID filled in.
func (c *Console) runOf(s run.Submission) run.Run {
	id := run.NewID(c.clock.Add(time.Second))
	return run.Run{
		ID: id, Project: s.Project, Name: s.Name, Preset: s.Preset, Config: strings.ReplaceAll(s.Config, "{run}", string(id)), Shape: s.Shape, Options: s.Options, Origin: s.Origin, State: run.Queued,
	}
}

// check tells everything that is wrong with a submission, as [run.FieldErrors].
func check(s run.Submission) (warns run.FieldErrors, err error) {
	req, err := trainconf.RequestOf(s)
	if err != nil {
		return nil, err
	}
	errs, warns := req.Check()
	if len(errs) > 0 {
		return nil, errs
	}
	return warns, nil
}

// Stop is for [api.Actions].
func (c *Console) Stop(_ context.Context, id run.ID) error {
	return c.with(id, func(e *entry) error {
		if e.run.State.Terminal() {
			return fault.New(fault.ErrAlreadyEnded, fmt.Sprintf("Run %s has already ended.", id), "")
		}
		e.run.State, e.run.StopRequested = run.Stopping, true
		return nil
	})
}

// Act is for [api.Actions].
func (c *Console) Act(_ context.Context, id run.ID, a run.Action) error {
	return c.with(id, func(e *entry) (err error) {
		r, attempt := &e.run, run.Attempt{Number: e.run.Attempt, JobID: "p/1"}
		switch a.Act {
		case run.ActPause:
			_, err = r.Pause(attempt, run.Pausing{When: a.When}, "ann", c.clock)
		case run.ActResume:
			_, err = r.Resume(attempt, a.From, "ann", c.clock)
		case run.ActRestart:
			_, err = r.Restart(a.From, "ann", "", c.clock)
		case run.ActRetry:
			_, err = r.RetryNow(attempt, a.From, "ann", c.clock)
		case run.ActStopRetrying:
			_, err = r.StopRetrying(attempt, "ann", c.clock)
		case run.ActKill:
			_, err = r.Kill(attempt, "ann", c.clock)
		}
		return err
	})
}

// Edit is for [api.Actions].
func (c *Console) Edit(_ context.Context, id run.ID, e run.Edit) error {
	return c.with(id, func(of *entry) error { return e.Apply(&of.run) })
}

// Delete is for [api.Actions].
func (c *Console) Delete(_ context.Context, id run.ID) error {
	return c.with(id, func(e *entry) error {
		if !e.run.State.Terminal() {
			return fault.New(fault.ErrNotEnded, fmt.Sprintf("Run %s is %s and cannot be deleted.", id, e.run.State), "")
		}
		delete(c.runs, id)
		return nil
	})
}

// MeasureGPUs adds nothing: [Console.SetNodes] says what there is.
func (c *Console) MeasureGPUs(context.Context, []run.Node) {}

// SetKnown sets what is known of the cluster.
func (c *Console) SetKnown(k measure.Known) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known = &k
}

// StopMeasurement is for [api.Survey].
func (c *Console) StopMeasurement(_ context.Context, id string) (measure.Measurement, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil || c.known.Last.ID != id {
		return measure.Measurement{}, fault.ErrNotFound
	}
	if !c.known.Last.State.Active() {
		return measure.Measurement{}, fault.ErrConflict
	}
	now := *c.known
	now.Last.StoppedBy, now.Last.State = "local", measure.Done
	c.known = &now
	return now.Last, c.fail
}

// Measure is for [api.Survey]: it has ended at once, and finds what [Console.SetKnown] says. In the site long it goes on until it is
// stopped, and in the site busy another one does.
func (c *Console) Measure(_ context.Context, choice measure.Choice) (measure.Measurement, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if choice.Site == "busy" {
		return measure.Measurement{}, fault.ErrConflict
	}
	m := measure.Measurement{ID: "m-1", State: measure.Running, Actor: "local", StartedAt: c.clock, EndsBy: c.clock.Add(time.Minute), Nodes: []measure.Participant{}}
	for _, n := range c.nodes {
		if len(choice.Nodes) == 0 || slices.Contains(choice.Nodes, n.Name) {
			m.Nodes = append(m.Nodes, measure.Participant{ID: n.ID, Name: n.Name, Site: n.Datacenter})
		}
	}
	if c.fail == nil {
		now := measure.Known{Matrix: measure.NewMatrix(nil)}
		if c.known != nil {
			now = *c.known
		}
		now.Last = m
		if choice.Site != "long" {
			now.Last.State, now.Last.EndedAt = measure.Done, c.clock
		}
		c.known = &now
	}
	return m, c.fail
}

// Measured is for [api.Survey].
func (c *Console) Measured(context.Context) (*measure.Known, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil {
		return &measure.Known{Matrix: measure.NewMatrix(nil)}, c.fail
	}
	return c.known, c.fail
}

// Nodes is for [api.Actions].
func (c *Console) Nodes(context.Context) ([]run.Node, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.nodes), c.fail
}
