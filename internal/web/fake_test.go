package web

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"
	"golang.org/x/net/html"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/static"
)

var testNow = time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)

// fake is a store and a control in memory.
type fake struct {
	mu        sync.Mutex
	runs      []run.Run // newest first
	workers   []run.Worker
	events    []run.Event
	curves    map[string][]run.CurvePoint
	logs      []run.LogLine
	nodes     []run.Node
	submitted []run.Submission
	did       []string
	filters   []run.RunFilter
	line      *run.Line // of every queued run
	err       error     // returned by everything when set
	submitErr error
	panics    bool
	kept
}

func (f *fake) Run(_ context.Context, id run.ID) (run.Run, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.panics {
		panic("secret of the inside")
	}
	for _, r := range f.runs {
		if r.ID == id {
			return r, f.err
		}
	}
	return run.Run{}, run.NoRun(string(id))
}

func (f *fake) Runs(_ context.Context, q run.RunFilter) ([]run.Run, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.filters = append(f.filters, q)
	var out []run.Run
	folded := map[run.SweepID]bool{}
	for _, r := range f.runs {
		if !matches(r, q) || folded[r.Origin.Sweep] || (q.Before != "" && r.ID >= q.Before) || len(out) >= q.Limit {
			continue
		}
		out = append(out, r)
		folded[r.Origin.Sweep] = q.Folded && r.Origin.Sweep != ""
	}
	return out, f.err
}

func matches(r run.Run, q run.RunFilter) bool {
	return (len(q.States) == 0 || slices.Contains(q.States, r.State)) && strings.Contains(r.Name, q.Text) && (q.Sweep == "" || r.Origin.Sweep == q.Sweep)
}

func (f *fake) CountRuns(_ context.Context, q run.RunFilter) (map[run.State]int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := map[run.State]int{}
	for _, r := range f.runs {
		if matches(r, q) {
			out[r.State]++
		}
	}
	return out, f.err
}

func (f *fake) Lines(_ context.Context, runs []run.Run) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range runs {
		if runs[i].State == run.Queued {
			runs[i].Line = f.line
		}
	}
	return f.err
}

func (f *fake) BestRun(_ context.Context, id run.SweepID) (run.Run, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	best := run.Run{}
	for _, r := range slices.Backward(f.runs) {
		if r.Origin.Sweep == id && r.Progress.HasLoss && (best.ID == "" || r.Progress.Loss < best.Progress.Loss) {
			best = r
		}
	}
	if best.ID == "" {
		return best, fault.ErrNotFound
	}
	return best, f.err
}

func (f *fake) Workers(context.Context, run.ID) ([]run.Worker, error) { return f.workers, f.err }

func (f *fake) EventsBefore(_ context.Context, _ run.ID, before int64, limit int) ([]run.Event, error) {
	var out []run.Event
	for _, e := range f.events {
		if e.Seq < before {
			out = append(out, e)
		}
	}
	return out[max(0, len(out)-limit):], f.err
}

func (f *fake) Curve(_ context.Context, _ run.ID, metric string, _ int64) ([]run.CurvePoint, error) {
	return f.curves[metric], f.err
}

func (f *fake) Logs(_ context.Context, _ run.ID, q run.LogQuery) ([]run.LogLine, error) {
	var out []run.LogLine
	for _, l := range f.logs {
		if (q.Rank < 0 || l.Rank == q.Rank) && (q.Tail || l.Pos > q.After) && (!q.Tail || q.Before == 0 || l.Pos < q.Before) {
			out = append(out, l)
		}
	}
	if q.Tail {
		return out[max(0, len(out)-q.Limit):], f.err
	}
	return out[:min(len(out), q.Limit)], f.err
}

func (f *fake) Submit(_ context.Context, _ string, s run.Submission) (run.Run, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.submitErr != nil {
		return run.Run{}, f.submitErr
	}
	f.submitted = append(f.submitted, s)
	r := testRun(run.Queued)
	r.Name = s.Name
	f.runs = append([]run.Run{r}, f.runs...)
	return r, nil
}

func (f *fake) Stop(_ context.Context, _ string, id run.ID) error {
	return f.act("stop " + string(id))
}

func (f *fake) Delete(_ context.Context, _ string, id run.ID) error {
	return f.act("delete " + string(id))
}

func (f *fake) act(what string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.did = append(f.did, what)
	return f.err
}

func (f *fake) Nodes(context.Context) ([]run.Node, error) { return f.nodes, f.err }
func (f *fake) MeasureGPUs(context.Context, []run.Node)   {}

// testRun is a run in a state, with numbers that one recognises.
func testRun(s run.State) run.Run {
	r := run.Run{
		ID: run.NewID(testNow), Name: "first try", Preset: "debug-diloco", Config: "name_model = \"150M\"\n", State: s,
		Shape: run.Shape{Nodes: 3, GPUs: 2, GPUModel: "A100"}, Attempt: 1, StepsTotal: 1000, InnerSteps: 50, CreatedAt: testNow.Add(-time.Hour),
	}
	if s != run.Queued && s != run.Dispatching && s != run.Pending {
		r.StartedAt = testNow.Add(-10 * time.Minute)
		r.Progress = run.Progress{Step: 500, Loss: 3.14159, HasLoss: true, TokensPerSec: 12345.6, Participants: 3, UpdatedAt: testNow}
		r.FirstStep, r.FirstAt = 1, testNow.Add(-499*time.Second)
	}
	if s.Terminal() {
		r.EndedAt = testNow
	}
	return r
}

// site is a running server with its fakes.
type site struct {
	t    *testing.T
	fake *fake
	hub  *feed.Hub
	web  *Server
	http *httptest.Server
	log  *logBuffer
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

func newSite(t *testing.T, change ...func(*Deps)) *site {
	t.Helper()
	assets, err := static.New()
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, fake: &fake{}, hub: feed.NewHub(func() time.Time { return testNow }), log: &logBuffer{}}
	d := Deps{
		Runs: s.fake, Details: s.fake, Actions: s.fake, Templates: s.fake, Sweeps: s.fake, Launches: s.fake, DryRuns: s.fake, Feed: s.hub, Assets: assets, Dev: true,
		Logger: slog.New(slog.NewTextHandler(s.log, nil)), Now: func() time.Time { return testNow },
	}
	for _, c := range change {
		c(&d)
	}
	s.web = New(d)
	s.http = httptest.NewServer(s.web.Handler())
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.web.Close(ctx); err != nil {
			t.Error(err)
		}
		s.http.Close()
	})
	return s
}

// answer is a response, read.
type answer struct {
	status int
	header http.Header
	body   string
	doc    *goquery.Document
}

// do sends a request without following redirects.
func (s *site) do(method, path string, form url.Values, header ...string) answer {
	s.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.http.URL+path, body)
	if err != nil {
		s.t.Fatal(err)
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
	return s.send(r)
}

func (s *site) send(r *http.Request) answer {
	s.t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	doc, err := goquery.NewDocumentFromReader(bytes.NewReader(b))
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{status: res.StatusCode, header: res.Header, body: string(b), doc: doc}
}

// get expects a status.
func (s *site) get(path string, status int) answer {
	s.t.Helper()
	a := s.do(http.MethodGet, path, nil)
	if a.status != status {
		s.t.Fatalf("GET %s: %d, want %d", path, a.status, status)
	}
	return a
}

// words are the texts below an element, with one space between any two.
func words(found *goquery.Selection) string {
	var out []string
	for n := range found.Nodes[0].Descendants() {
		if n.Type == html.TextNode {
			out = append(out, strings.Fields(n.Data)...)
		}
	}
	return strings.Join(out, " ")
}

// text is the trimmed text of the only element that a selector finds.
func (a answer) text(t *testing.T, selector string) string {
	t.Helper()
	found := a.doc.Find(selector)
	if found.Length() != 1 {
		t.Fatalf("%q finds %d elements, want 1", selector, found.Length())
	}
	return words(found)
}

func (a answer) count(selector string) int { return a.doc.Find(selector).Length() }
