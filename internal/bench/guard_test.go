package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cotrain/cotrain/docs"
	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/api"
	"github.com/cotrain/cotrain/internal/auth"
	"github.com/cotrain/cotrain/internal/chart"
	"github.com/cotrain/cotrain/internal/control"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/guard"
	"github.com/cotrain/cotrain/internal/measure"
	"github.com/cotrain/cotrain/internal/nomad/nomadtest"
	"github.com/cotrain/cotrain/internal/rounds"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/run/runtest"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/survey"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/internal/web"
	"github.com/cotrain/cotrain/internal/web/help"
	"github.com/cotrain/cotrain/static"
)

const (
	guardedRuns  = 200
	guardedTurns = 1500 // requests of a kind to each of the two
)

// BenchmarkGuard asks for pages and operations of the API through the whole handler, on a console with 200 users in 20 projects,
// as a member of ten of them. The baseline is the same handler with neither log-in nor guard, and so without rights and audit
// log. Both take turns; the times are medians. A list of all that one may see has other queries than a list of everything, and a
// submission has its entry in the audit log, in the same transaction: these are reported apart.
func BenchmarkGuard(b *testing.B) {
	s, err := store.Open(b.Context(), b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	fillAccounts(b, s)
	service, err := auth.New(b.Context(), auth.Options{Accounts: s.Accounts, Audit: s.Audit, Logger: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	session, token := memberCredentials(b, s, service)
	id, submission := fillProjects(b, s)
	bare, whole := consoles(b, s, service)
	for _, c := range []struct {
		name, goal, method, path, body string
		header                         http.Header
	}{
		{"page-of-runs", "(<50)", http.MethodGet, "/?project=project-0", "", session},
		{"page-of-runs-of-10-of-20-projects", "-with-narrower-queries", http.MethodGet, "/", "", session},
		{"page-of-a-run", "(<50)", http.MethodGet, "/runs/" + string(id), "", session},
		{"api-list-runs", "(<50)", http.MethodGet, "/api/v1/runs?project=project-0", "", token},
		{"api-get-run", "(<50)", http.MethodGet, "/api/v1/runs/" + string(id), "", token},
		{"api-submit-run", "-with-audit-entry(<50)", http.MethodPost, "/api/v1/runs", submission, token},
	} {
		b.Run(c.name, func(b *testing.B) {
			for range b.N {
				took := [2][]time.Duration{}
				for turn := range guardedTurns {
					for k := range 2 {
						which := (turn + k) % 2 // each is first as often as the other
						r := consoleRequest(b, c.method, c.path, c.body, c.header)
						w := httptest.NewRecorder()
						began := time.Now()
						[]http.Handler{bare, whole}[which].ServeHTTP(w, r)
						took[which] = append(took[which], time.Since(began))
						if w.Code >= 300 {
							b.Fatalf("%d: %s", w.Code, w.Body)
						}
					}
				}
				without, with := micros50(took[0]), micros50(took[1])
				b.ReportMetric(without, "us-baseline-unguarded")
				b.ReportMetric(with-without, "us-added"+c.goal)
				b.ReportMetric(with/without, "ratio")
			}
		})
	}
}

func micros50(took []time.Duration) float64 {
	slices.Sort(took)
	return float64(took[len(took)/2].Nanoseconds()) / 1000
}

func consoleRequest(b *testing.B, method, path, body string, header http.Header) *http.Request {
	b.Helper()
	ctx := context.WithValue(b.Context(), http.LocalAddrContextKey, net.Addr(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}))
	r := httptest.NewRequestWithContext(ctx, method, path, strings.NewReader(body))
	r.Header, r.Host, r.RemoteAddr = header.Clone(), "127.0.0.1:1", "127.0.0.1:1000"
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

// memberCredentials makes an operator of every second project, and returns the headers of requests with its session and token.
func memberCredentials(b *testing.B, s *store.Store, service *auth.Service) (session, token http.Header) {
	b.Helper()
	session, token = credentials(b, service, access.User{Name: "ann", Kind: access.Person})
	state, err := s.Access(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	at := slices.IndexFunc(state.Users, func(u access.User) bool { return u.Name == "ann" })
	for i := 0; i < accessProjects; i += 2 {
		if err := service.SetMember(access.With(b.Context(), access.Local()), fmt.Sprintf("project-%d", i), state.Users[at].Name, access.Operator); err != nil {
			b.Fatal(err)
		}
	}
	return session, token
}

// fillProjects stores runs in all projects, and returns one that the member may see and a submission that it may make.
func fillProjects(b *testing.B, s *store.Store) (run.ID, string) {
	b.Helper()
	preset, _ := trainconf.PresetByName("debug-diloco")
	config, now := string(preset.Config.TOML()), time.Now()
	var id run.ID
	for i := range guardedRuns {
		at := now.Add(-time.Duration(i) * time.Second)
		r := run.Run{ID: run.NewID(at), Project: fmt.Sprintf("project-%d", i%accessProjects), Name: fmt.Sprintf("run %d", i), Config: config, Shape: preset.Shape, State: run.Succeeded, CreatedAt: at, EndedAt: at}
		if _, _, err := s.CreateRun(b.Context(), r, ""); err != nil {
			b.Fatal(err)
		}
		if i == 0 {
			id = r.ID
		}
	}
	submission, err := json.Marshal(run.Submission{Project: "project-0", Name: "again", Config: config, Shape: preset.Shape})
	if err != nil {
		b.Fatal(err)
	}
	return id, string(submission)
}

// consoles are two over one store: with neither log-in nor guard, and as the program wires them.
func consoles(b *testing.B, s *store.Store, service *auth.Service) (bare, whole http.Handler) {
	b.Helper()
	assets, err := static.New()
	if err != nil {
		b.Fatal(err)
	}
	library, err := help.NewLibrary(docs.Files())
	if err != nil {
		b.Fatal(err)
	}
	hub, logger, charts := feed.NewHub(time.Now), slog.New(slog.DiscardHandler), chart.NewCache(1<<20, "bench")
	var seconds atomic.Int64 // pass at each look at the clock, so that no request is one too many
	clock := func() time.Time { return time.Now().Add(time.Duration(seconds.Add(1)) * time.Second) }
	acts := control.New(control.Options{Store: s, Queue: noQueue{}, Cluster: nomadtest.New(), Publisher: hub, Logger: logger, Now: time.Now, ReconcileSoon: func(run.ID) {}})
	site := web.Deps{Audit: s.Audit, Feed: hub, Cache: charts, Rounds: rounds.NewCache(), Assets: assets, Help: library, Logger: logger, Now: clock, Projects: service.ProjectNames, Admin: service, Accounts: service}
	data := api.Deps{Stream: streams(hub), Audit: s.Audit, Admin: service, Accounts: service, Programs: service, Cache: charts, Rounds: rounds.NewCache(), System: func() feed.System { return feed.System{} }, Logger: logger}

	o, known := open{unguarded{s}, acts}, survey.New(survey.Options{Store: s, Logger: logger, Now: time.Now})
	data.Runs, data.Details, data.Actions, data.Templates, data.Sweeps, data.Launches, data.Survey, data.Guard = o, o, o, o, o, o, anySurvey{known}, o
	data.Secrets, site.Secrets = &runtest.Registry{}, &runtest.Registry{}
	data.Causes, site.Causes = &runtest.CauseRules{}, &runtest.CauseRules{}
	site.Auth, site.Store, site.Control, site.Survey, site.Guard, site.API = anybody{auth.Local{}}, o, o, anySurvey{known}, o, api.New(data)
	site.Stream = streams(hub)
	bare = web.New(site).Handler()

	g := guard.New(guard.Options{Store: s, Control: acts, Survey: known, Audit: s.Audit, Projects: service.ProjectNames, Logger: logger, Now: time.Now})
	data.Runs, data.Details, data.Actions, data.Templates, data.Sweeps, data.Launches, data.Survey, data.Guard = g, g, g, g, g, g, g, g
	data.Secrets, site.Secrets = g.Registry(), g.Registry()
	site.Auth, site.Store, site.Control, site.Survey, site.Guard, site.API = service, g, g, g, g, api.New(data)
	return bare, web.New(site).Handler()
}

type noQueue struct{}

func (noQueue) Wake() {}

// anybody looks at nothing of a request: all are an administrator.
type anybody struct{ auth.Local }

func (anybody) Identify(r *http.Request) (context.Context, error) {
	return access.With(r.Context(), access.Identity{User: "u-root", Name: "root", Administrator: true, Session: "s"}), nil
}

// anySurvey is a survey for everybody.
type anySurvey struct{ *survey.Survey }

func (s anySurvey) Measure(ctx context.Context, c measure.Choice) (measure.Measurement, error) {
	return s.Survey.Measure(ctx, "local", c)
}

func (s anySurvey) StopMeasurement(ctx context.Context, id string) (measure.Measurement, error) {
	return s.Survey.StopMeasurement(ctx, "local", id)
}

func (s anySurvey) Measured(context.Context) (*measure.Known, error) { return s.Known(), nil }

// open is store and control for everybody, as pages and API take them.
type open struct {
	unguarded
	acts *control.Control
}

func (open) Allow(context.Context, access.Right, access.Subject) error { return nil }

func (o open) Submit(ctx context.Context, s run.Submission) (run.Run, error) {
	return o.acts.Submit(ctx, "local", s)
}
func (o open) Stop(ctx context.Context, id run.ID) error   { return o.acts.Stop(ctx, "local", id) }
func (o open) Delete(ctx context.Context, id run.ID) error { return o.acts.Delete(ctx, "local", id) }
func (o open) Act(ctx context.Context, id run.ID, a run.Action) error {
	return o.acts.Act(ctx, "local", id, a)
}
func (o open) Outlook(ctx context.Context, id run.ID) (run.Outlook, error) {
	return o.acts.Outlook(ctx, id)
}
func (o open) Edit(ctx context.Context, id run.ID, e run.Edit) error {
	return o.acts.Edit(ctx, "local", id, e)
}
func (o open) DryRun(ctx context.Context, s run.Submission) (run.DryRun, error) {
	return o.acts.DryRun(ctx, s)
}
func (o open) Check(ctx context.Context) func(run.Submission) (errs, warns run.FieldErrors) {
	return o.acts.Check(ctx)
}
func (o open) Launch(ctx context.Context, id run.ID) (run.Launch, error) {
	return o.acts.Launch(ctx, id)
}
func (o open) LaunchOf(ctx context.Context, s run.Submission) (run.Launch, error) {
	return o.acts.LaunchOf(ctx, s)
}
func (o open) Nodes(ctx context.Context) ([]run.Node, error)     { return o.acts.Nodes(ctx) }
func (o open) MeasureGPUs(ctx context.Context, nodes []run.Node) { o.acts.MeasureGPUs(ctx, nodes) }
func (o open) SubmitSweep(ctx context.Context, s run.SweepSpec) (run.Sweep, error) {
	return o.acts.SubmitSweep(ctx, "local", s)
}
func (o open) StopSweep(ctx context.Context, id run.SweepID) error {
	return o.acts.StopSweep(ctx, "local", id)
}
func (o open) DeleteSweep(ctx context.Context, id run.SweepID) error {
	return o.acts.DeleteSweep(ctx, "local", id)
}
