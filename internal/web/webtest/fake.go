package webtest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"
	"golang.org/x/net/html"

	"github.com/cotrain/cotrain/docs"
	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/audit/audittest"
	"github.com/cotrain/cotrain/internal/auth"
	"github.com/cotrain/cotrain/internal/chart"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/logarchive/logtest"
	"github.com/cotrain/cotrain/internal/measure"
	"github.com/cotrain/cotrain/internal/rounds"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/run/runtest"
	"github.com/cotrain/cotrain/internal/series"
	"github.com/cotrain/cotrain/internal/store/points"
	"github.com/cotrain/cotrain/internal/stream"
	"github.com/cotrain/cotrain/internal/web"
	"github.com/cotrain/cotrain/internal/web/help"
	"github.com/cotrain/cotrain/static"
)

// Now is the time on every site.
var Now = time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)

// fake is a store and a control in memory.
type fake struct {
	mu         sync.Mutex
	version    atomic.Int64 // of points
	AllRuns    []run.Run    // newest first
	AllWorkers []run.Worker
	AllEvents  []run.Event
	AllTries   []run.Attempt
	AllJoins   []points.Join
	Reports    []points.RoundPoint // at the ends of rounds
	Saved      []run.SavedCheckpoint
	Curves     map[string][]run.CurvePoint
	UsedNow    run.Used
	Log        logtest.Lines
	LogFates   run.LogFate
	LogUsages  []run.LogUsage
	AllNodes   []run.Node
	Known      *measure.Known // of the cluster, nil for nothing
	MeasureErr error
	SaveTime   time.Duration // of checkpoints
	Submitted  []run.Submission
	Did        []string
	Filters    []run.RunFilter
	QueuePlace *run.QueuePlace                      // of every queued run
	Rows       map[run.ID]map[string]points.Summary // metrics of rows
	Asked      []string                             // the metrics of rows that were asked for last
	Layouts    map[string]string                    // by project, user and page
	Err        error                                // returned by everything when set
	NodesErr   error                                // returned by Nodes
	SubmitErr  error
	Judge      func(ctx context.Context, s run.Submission) (errs, warns run.FieldErrors) // of drafts, or nil
	Panics     bool
	kept
}

func (f *fake) Run(_ context.Context, id run.ID) (run.Run, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.Panics {
		panic("secret of the inside")
	}
	for _, r := range f.AllRuns {
		if r.ID == id {
			return r, f.Err
		}
	}
	return run.Run{}, run.NoRun(string(id))
}

func (f *fake) Runs(ctx context.Context, q run.RunFilter) ([]run.Run, error) {
	p, err := f.ListRuns(ctx, q)
	return p.Runs, err
}

func (f *fake) ListRuns(_ context.Context, q run.RunFilter) (run.Page, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Filters = append(f.Filters, q)
	return runtest.List(f.AllRuns, q), f.Err
}

func (f *fake) RowMetrics(_ context.Context, ids []run.ID, metrics []string) (map[run.ID]map[string]points.Summary, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Asked = metrics
	return f.Rows, f.Err
}

func (f *fake) Layout(_ context.Context, project string, page run.LayoutPage) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return cmp.Or(f.Layouts[project+"/ann/"+string(page)], f.Layouts[project+"//"+string(page)]), f.Err
}

func (f *fake) SetLayout(_ context.Context, project string, page run.LayoutPage, data string) error {
	return f.setLayout(project+"/ann/"+string(page), data)
}

func (f *fake) SetProjectLayout(_ context.Context, project string, page run.LayoutPage, data string) error {
	return f.setLayout(project+"//"+string(page), data)
}

func (f *fake) setLayout(key, data string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.Layouts == nil {
		f.Layouts = map[string]string{}
	}
	f.Layouts[key] = data
	return f.Err
}

func (f *fake) Edit(_ context.Context, id run.ID, e run.Edit) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.AllRuns {
		if f.AllRuns[i].ID == id {
			return errors.Join(f.Err, e.Apply(&f.AllRuns[i]))
		}
	}
	return run.NoRun(string(id))
}

func (f *fake) CheckpointKeepers(ctx context.Context, q run.RunFilter) ([]run.Run, error) {
	return f.Runs(ctx, q)
}

func (f *fake) CountRuns(_ context.Context, q run.RunFilter) (run.Counts, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := run.Counts{}
	for _, r := range f.AllRuns {
		if q.States = nil; runtest.Matches(r, q) {
			out[r.State]++
		}
	}
	return out, f.Err
}

func (f *fake) SetQueuePlaces(_ context.Context, runs []run.Run) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range runs {
		if runs[i].State == run.Queued {
			runs[i].QueuePlace = f.QueuePlace
		}
	}
	return f.Err
}

func (f *fake) BestRun(_ context.Context, id run.SweepID) (run.Run, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	best := run.Run{}
	for _, r := range slices.Backward(f.AllRuns) {
		if r.Origin.Sweep == id && r.Progress.HasLoss && (best.ID == "" || r.Progress.Loss < best.Progress.Loss) {
			best = r
		}
	}
	if best.ID == "" {
		return best, fault.ErrNotFound
	}
	return best, f.Err
}

func (f *fake) Workers(context.Context, run.ID) ([]run.Worker, error) { return f.AllWorkers, f.Err }

func (f *fake) Events(_ context.Context, _ run.ID, after int64, limit int) ([]run.Event, error) {
	var out []run.Event
	for _, e := range f.AllEvents {
		if e.Seq > after && len(out) < limit {
			out = append(out, e)
		}
	}
	return out, f.Err
}

func (f *fake) EventsBefore(_ context.Context, _ run.ID, before int64, limit int) ([]run.Event, error) {
	var out []run.Event
	for _, e := range f.AllEvents {
		if e.Seq < before {
			out = append(out, e)
		}
	}
	return out[max(0, len(out)-limit):], f.Err
}

// View is of all workers, whichever were asked for.
func (f *fake) View(_ context.Context, _ run.ID, metric string, q points.ViewQuery) (series.View, error) {
	return series.Columns(f.Curves[metric], q.Limit), f.Err
}

func (f *fake) Used(context.Context, run.ID, time.Time) (run.Used, error) { return f.UsedNow, f.Err }

func (f *fake) Each(_ context.Context, _ run.ID, metric string, _ int, from, to int64, take func(run.CurvePoint) bool) error {
	for _, p := range f.Curves[metric] {
		if p.Step >= from && p.Step <= to && !take(p) {
			break
		}
	}
	return f.Err
}

func (f *fake) LogFate(context.Context, run.ID) (run.LogFate, error) { return f.LogFates, f.Err }

func (f *fake) LogUsage(context.Context) ([]run.LogUsage, error) { return f.LogUsages, f.Err }

func (f *fake) SavedCheckpoints(context.Context, run.ID) ([]run.SavedCheckpoint, error) {
	return f.Saved, f.Err
}

func (f *fake) Metrics(context.Context, run.ID) ([]string, error) {
	return slices.Sorted(maps.Keys(f.Curves)), f.Err
}

func (f *fake) RunMetrics(context.Context, run.ID) (out []points.Summary, err error) {
	for _, name := range slices.Sorted(maps.Keys(f.Curves)) {
		if len(f.Curves[name]) == 0 {
			continue // not summarized yet
		}
		last := f.Curves[name][len(f.Curves[name])-1]
		out = append(out, points.Summary{Metric: name, Points: int64(len(f.Curves[name])), Workers: last.Workers, Last: last.Step, Value: last.Mean})
	}
	return out, f.Err
}

// PointsVersion is never the same: nobody tells when the curves are changed.
func (f *fake) PointsVersion(context.Context, run.ID) (int64, error) {
	return f.version.Add(1), f.Err
}

// Rounds tells of [fake.Reports], whatever is asked of it.
func (f *fake) Rounds(_ context.Context, _ run.ID, q points.RoundQuery, take func(points.RoundPoint)) error {
	for _, p := range f.Reports {
		if slices.Contains(q.Metrics, p.Metric) {
			take(p)
		}
	}
	return f.Err
}

func (f *fake) Joins(context.Context, run.ID) ([]points.Join, error) { return f.AllJoins, f.Err }

func (f *fake) Attempts(context.Context, run.ID) ([]run.Attempt, error) { return f.AllTries, f.Err }

func (f *fake) Curve(_ context.Context, _ run.ID, metric string, _ int64) ([]run.CurvePoint, error) {
	return f.Curves[metric], f.Err
}

func (f *fake) Logs(_ context.Context, _ run.ID, q run.LogQuery) ([]run.LogLine, error) {
	var out []run.LogLine
	for _, l := range f.Log {
		if (q.Rank < 0 || l.Rank == q.Rank) && (q.Tail || l.Pos > q.After) && (!q.Tail || q.Before == 0 || l.Pos < q.Before) {
			out = append(out, l)
		}
	}
	if q.Tail {
		return out[max(0, len(out)-q.Limit):], f.Err
	}
	return out[:min(len(out), q.Limit)], f.Err
}

func (f *fake) Submit(_ context.Context, s run.Submission) (run.Run, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.SubmitErr != nil {
		return run.Run{}, f.SubmitErr
	}
	f.Submitted = append(f.Submitted, s)
	r := Run(run.Queued)
	r.Name, r.Project = s.Name, cmp.Or(s.Project, access.DefaultProject)
	f.AllRuns = append([]run.Run{r}, f.AllRuns...)
	return r, nil
}

func (f *fake) Check(ctx context.Context) func(run.Submission) (errs, warns run.FieldErrors) {
	return func(s run.Submission) (errs, warns run.FieldErrors) {
		if f.Judge == nil {
			return nil, nil
		}
		return f.Judge(ctx, s)
	}
}

func (f *fake) Stop(_ context.Context, id run.ID) error {
	return f.act("stop " + string(id))
}

func (f *fake) Act(_ context.Context, id run.ID, a run.Action) error {
	return f.act(strings.TrimSpace(fmt.Sprintf("%s %s %s%s", a.Act, id, a.When, string(a.From))))
}

func (f *fake) Outlook(ctx context.Context, id run.ID) (run.Outlook, error) {
	r, err := f.Run(ctx, id)
	points := []run.ResumePoint{{Step: 450, Folder: "models/checkpoints/x/step_450"}, {Step: 400, Folder: "models/checkpoints/x/step_400"}}
	return run.Outlook{Run: r, Points: points, Next: 550, Saving: run.Saving{Took: f.SaveTime, KillTimeout: 30 * time.Second}}, err
}

func (f *fake) Delete(_ context.Context, id run.ID) error {
	return f.act("delete " + string(id))
}

func (f *fake) act(what string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Did = append(f.Did, what)
	return f.Err
}

func (f *fake) Nodes(context.Context) ([]run.Node, error) {
	return f.AllNodes, cmp.Or(f.NodesErr, f.Err)
}
func (f *fake) MeasureGPUs(context.Context, []run.Node) {}

func (f *fake) Measured(context.Context) (*measure.Known, error) {
	if f.Known == nil {
		return &measure.Known{Matrix: measure.NewMatrix(nil)}, f.Err
	}
	return f.Known, f.Err
}

func (f *fake) StopMeasurement(_ context.Context, id string) (measure.Measurement, error) {
	return measure.Measurement{}, cmp.Or(f.MeasureErr, f.act("stop measurement "+id))
}

func (f *fake) Measure(_ context.Context, c measure.Choice) (measure.Measurement, error) {
	return measure.Measurement{}, cmp.Or(f.MeasureErr, f.act("measure "+c.Site))
}

var made atomic.Int64

// Run is a run with recognizable numbers. Each is a millisecond older than the one made before it, so that runs listed in the order of their making are newest first.
func Run(s run.State) run.Run {
	r := run.Run{
		ID: run.NewID(Now.Add(-time.Duration(made.Add(1)) * time.Millisecond)), Project: access.DefaultProject, Owner: "ann", Name: "first try", Preset: "debug-diloco", Config: "name_model = \"150M\"\n", State: s,
		Shape: run.Shape{Nodes: 3, GPUs: 2, GPUModel: "A100"}, Attempt: 1, StepsTotal: 1000, InnerSteps: 50, CreatedAt: Now.Add(-time.Hour),
	}
	if s != run.Queued && s != run.Dispatching && s != run.Pending {
		r.StartedAt = Now.Add(-10 * time.Minute)
		r.Progress = run.Progress{Step: 500, Loss: 3.14159, HasLoss: true, TokensPerSec: 12345.6, Participants: 3, UpdatedAt: Now}
		r.FirstStep, r.FirstAt = 1, Now.Add(-499*time.Second)
		r.Pace = run.Pace{Low: 1, High: 1}
	}
	if s.Terminal() {
		r.EndedAt = Now
	}
	return r
}

// Site is a running server with its fakes.
type Site struct {
	T    *testing.T
	Fake *fake
	Hub  *feed.Hub
	Web  *web.Server
	// Stream is the server of live connections.
	Stream *stream.Server
	HTTP   *httptest.Server
	Log    fmt.Stringer // what was logged

	Audit   audittest.Log
	Secrets runtest.Registry
	Causes  runtest.CauseRules
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Open lets everybody do everything.
type Open struct{}

// Allow is for [web.Guard].
func (Open) Allow(context.Context, access.Right, access.Subject) error { return nil }

// New starts a site; change may replace what it is made from.
func New(t *testing.T, change ...func(*web.Deps)) *Site {
	t.Helper()
	assets, err := static.New()
	if err != nil {
		t.Fatal(err)
	}
	library, err := help.NewLibrary(docs.Files())
	if err != nil {
		t.Fatal(err)
	}
	log := &logBuffer{}
	s := &Site{T: t, Fake: &fake{}, Hub: feed.NewHub(func() time.Time { return Now }), Log: log}
	d := web.Deps{
		Auth: auth.Local{}, Guard: Open{}, Store: s.Fake, Control: s.Fake, Survey: s.Fake, Secrets: &s.Secrets, Causes: &s.Causes, Audit: &s.Audit, Feed: s.Hub, Cache: chart.NewCache(1<<20, "test"), Rounds: rounds.NewCache(), Assets: assets, Help: library, Dev: true,
		Logger: slog.New(slog.NewTextHandler(log, nil)), Now: func() time.Time { return Now },
	}
	for _, c := range change {
		c(&d)
	}
	s.Stream = stream.New(stream.Options{Feed: s.Hub, Guard: d.Guard, Auth: d.Auth, Logger: d.Logger})
	d.Stream = s.Stream
	s.Web = web.New(d)
	s.HTTP = httptest.NewServer(s.Web.Handler())
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.Web.Close(ctx); err != nil {
			t.Error(err)
		}
		s.HTTP.Close()
	})
	return s
}

// Answer is a response that was read.
type Answer struct {
	Status int
	Header http.Header
	Body   string
	Doc    *goquery.Document
}

// Do sends a request without following redirects.
func (s *Site) Do(method, path string, form url.Values, header ...string) Answer {
	s.T.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(s.T.Context(), method, s.HTTP.URL+path, body)
	if err != nil {
		s.T.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		} else {
			r.Header.Add(header[i], header[i+1])
		}
	}
	return s.Send(r)
}

// Send sends r without following redirects.
func (s *Site) Send(r *http.Request) Answer {
	s.T.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(r)
	if err != nil {
		s.T.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		s.T.Fatal(err)
	}
	doc, err := goquery.NewDocumentFromReader(bytes.NewReader(b))
	if err != nil {
		s.T.Fatal(err)
	}
	return Answer{Status: res.StatusCode, Header: res.Header, Body: string(b), Doc: doc}
}

// Get expects a status.
func (s *Site) Get(path string, status int) Answer {
	s.T.Helper()
	a := s.Do(http.MethodGet, path, nil)
	if a.Status != status {
		s.T.Fatalf("GET %s: %d, want %d", path, a.Status, status)
	}
	return a
}

// Words is the text below elements, with single spaces.
func Words(found *goquery.Selection) string {
	var out []string
	for n := range found.Nodes[0].Descendants() {
		if n.Type == html.TextNode {
			out = append(out, strings.Fields(n.Data)...)
		}
	}
	return strings.Join(out, " ")
}

// Text is the trimmed text of a selector's only element.
func (a Answer) Text(t *testing.T, selector string) string {
	t.Helper()
	found := a.Doc.Find(selector)
	if found.Length() != 1 {
		t.Fatalf("%q finds %d elements, want 1", selector, found.Length())
	}
	return Words(found)
}

// Count is a selector's number of elements.
func (a Answer) Count(selector string) int { return a.Doc.Find(selector).Length() }
