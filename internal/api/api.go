package api

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/chart"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/logfile"
	"github.com/cotrain/cotrain/internal/rounds"
	"github.com/cotrain/cotrain/internal/router"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/series"
	"github.com/cotrain/cotrain/internal/store/points"
)

// Runs reads runs.
type Runs interface {
	// Run returns a run, or an error that matches [fault.ErrNotFound].
	Run(ctx context.Context, id run.ID) (run.Run, error)
	// Runs returns those that match, newest first; ListRuns a page of them, in the filter's order.
	Runs(ctx context.Context, f run.RunFilter) ([]run.Run, error)
	ListRuns(ctx context.Context, f run.RunFilter) (run.Page, error)
	// RowMetrics returns summaries of some metrics of runs.
	RowMetrics(ctx context.Context, ids []run.ID, metrics []string) (map[run.ID]map[string]points.Summary, error)
	// CheckpointKeepers returns those of every project that match; those that who asks may not see have no project.
	CheckpointKeepers(ctx context.Context, f run.RunFilter) ([]run.Run, error)
	// Lines tells of those that wait for their turn where they stand.
	SetQueuePlaces(ctx context.Context, runs []run.Run) error
}

// Details reads what belongs to one run.
type Details interface {
	// Workers returns those of the newest attempt, by rank.
	Workers(ctx context.Context, id run.ID) ([]run.Worker, error)
	// Attempts returns all, oldest first.
	Attempts(ctx context.Context, id run.ID) ([]run.Attempt, error)
	// Events returns up to limit events after a sequence, oldest first.
	Events(ctx context.Context, id run.ID, after int64, limit int) ([]run.Event, error)
	// EventsBefore returns up to limit events, the newest before a sequence, oldest first.
	EventsBefore(ctx context.Context, id run.ID, before int64, limit int) ([]run.Event, error)
	// Logs returns lines, oldest first.
	Logs(ctx context.Context, id run.ID, q run.LogQuery) ([]run.LogLine, error)
	logfile.Source
	// LogFate tells what becomes of the log.
	LogFate(ctx context.Context, id run.ID) (run.LogFate, error)
	Measurements
}

// Measurements reads the metrics of a run.
type Measurements interface {
	// Metrics returns the names, sorted.
	Metrics(ctx context.Context, id run.ID) ([]string, error)
	// PointsPage returns up to limit values, by rank and step: of the steps from one on, those after a place, nil for the first.
	PointsPage(ctx context.Context, id run.ID, metric string, from int64, after *points.PageCursor, limit int) ([]points.WorkerPoint, error)
	// ReplacedPage is PointsPage of what an attempt reported of steps that later ones repeated.
	ReplacedPage(ctx context.Context, id run.ID, metric string, attempt int, from int64, after *points.PageCursor, limit int) ([]points.WorkerPoint, error)
	// Curve returns the metric over all workers by step, from a step on.
	Curve(ctx context.Context, id run.ID, metric string, fromStep int64) ([]run.CurvePoint, error)
	// Used returns what the workers of a live run use, as measured since a time.
	Used(ctx context.Context, id run.ID, since time.Time) (run.Used, error)
	// View, Each, Joins and PointsVersion are for charts.
	View(ctx context.Context, id run.ID, metric string, q points.ViewQuery) (series.View, error)
	Each(ctx context.Context, id run.ID, metric string, worker int, from, to int64, take func(run.CurvePoint) bool) error
	Joins(ctx context.Context, id run.ID) ([]points.Join, error)
	PointsVersion(ctx context.Context, id run.ID) (int64, error)
	// Rounds tells of points at the ends of rounds.
	Rounds(ctx context.Context, id run.ID, q points.RoundQuery, take func(points.RoundPoint)) error
	// RunMetrics returns what is known of a run's metrics without reading them, by name.
	RunMetrics(ctx context.Context, id run.ID) ([]points.Summary, error)
}

// Actions is what a person can do.
type Actions interface {
	// Submit makes a run; what is not valid is [run.FieldErrors].
	Submit(ctx context.Context, s run.Submission) (run.Run, error)
	// Check returns what judges drafts as their project and shared storage are; nothing of those that cannot be submitted.
	Check(ctx context.Context) func(run.Submission) (errs, warns run.FieldErrors)
	// Stop and Delete return an error that matches [fault.ErrConflict] when the state does not allow it.
	Stop(ctx context.Context, id run.ID) error
	Delete(ctx context.Context, id run.ID) error
	// Act does something else with a run; the same errors, and [run.FieldErrors] for a checkpoint that it cannot continue from.
	Act(ctx context.Context, id run.ID, a run.Action) error
	// Edit changes what people add to a run; what is not valid is [run.FieldErrors].
	Edit(ctx context.Context, id run.ID, e run.Edit) error
	// Nodes returns the nodes of the cluster.
	Nodes(ctx context.Context) ([]run.Node, error)
	// MeasureGPUs adds what the nodes' GPUs are doing.
	MeasureGPUs(ctx context.Context, nodes []run.Node)
}

// Launches tells exactly what would start, or started, a run's workers. Nomad away is [fault.ErrUnavailable].
type Launches interface {
	Launch(ctx context.Context, id run.ID) (run.Launch, error)
	// DryRun changes nothing; what is not valid is [run.FieldErrors].
	DryRun(ctx context.Context, s run.Submission) (run.DryRun, error)
}

// Deps is what the API is made from; everything but Storage, Accounts, Programs, Catalog and PublicURL is needed.
type Deps struct {
	Runs    Runs
	Details Details
	Actions Actions

	Templates Templates
	Sweeps    Sweeps
	Launches  Launches
	Survey    Survey
	Audit     Audit
	Storage   StorageOf // nil when shared storage is off
	Accounts  Accounts  // nil on a console without log-in
	Programs  Programs  // the same
	Admin     Admin
	Secrets   Registry
	Causes    CauseRules
	Catalog   func() *run.Catalog // of Consul; nil on a console without it, as what it returns before Consul has answered
	System    func() feed.System
	Stream    Stream
	Cache     *chart.Cache // of answers to charts
	Rounds    *rounds.Cache

	Guard   Guard
	Logger  *slog.Logger
	Version string // of the program, for the OpenAPI document
	Base    string // path of the public URL, for the OpenAPI document
	// PublicURL is where browsers find the console, "" where it does not know.
	PublicURL string
}

// documentPath is where the OpenAPI document is.
const documentPath = "/api/v1/openapi.json"

type server struct {
	Deps
	api    huma.API
	routed *router.Router
	rights map[string]access.Right // of operations that huma is about to register, by pattern
}

// Handler serves every path under /api/, which must reach it unchanged.
type Handler struct {
	http.Handler
	routed *router.Router
}

// Rights is the right that each route needs, by its pattern.
func (h *Handler) Rights() map[string]access.Right { return h.routed.Rights() }

// New returns a Handler. It panics when a dependency is missing, which is a mistake in the wiring.
func New(d Deps) *Handler {
	if d.Runs == nil || d.Details == nil || d.Actions == nil || d.Templates == nil || d.Sweeps == nil || d.Launches == nil || d.Survey == nil || d.Audit == nil || d.Admin == nil || d.Secrets == nil || d.Causes == nil || d.Guard == nil || d.Cache == nil || d.Rounds == nil || d.System == nil || d.Stream == nil || d.Logger == nil {
		panic("api: a dependency is missing")
	}
	s := &server{Deps: d, rights: map[string]access.Right{}}
	s.routed = router.New(s.authorize)
	s.api = humago.New(operations{s}, s.config())
	s.api.UseMiddleware(s.onceEach, s.noBody)
	s.routes()
	delete(s.api.OpenAPI().Components.Schemas.Map(), "ErrorModel") // huma's own; asProblem replaces it in every answer
	document := sync.OnceValue(s.document)                         // a tenth of the console's start, and few ask for it
	s.routed.Handle("GET "+documentPath, access.Public, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/openapi+json")
		_, _ = w.Write(document()) // the client has gone
	}))
	return &Handler{s.guard(s.routed), s.routed}
}

// operations is where huma registers handlers. One that [register] did not announce has no right, and panics.
type operations struct{ *server }

func (o operations) HandleFunc(pattern string, h func(http.ResponseWriter, *http.Request)) {
	o.routed.Handle(pattern, o.rights[pattern], http.HandlerFunc(h))
}

func (o operations) ServeHTTP(w http.ResponseWriter, r *http.Request) { o.routed.ServeHTTP(w, r) }

func (s *server) config() huma.Config {
	strictCase()
	servers := []*huma.Server{{URL: cmp.Or(s.Base, "/")}}
	format := huma.Format{Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: decodeBody}
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title: "CoTrain", Version: s.Version,
				Description: "Runs of CotrainCore on Nomad. Errors are problem details (RFC 9457). Numbers that JSON cannot " +
					"hold are the strings \"NaN\", \"Infinity\" and \"-Infinity\". Lists are paged with cursors.",
			},
			Components: &huma.Components{Schemas: newRegistry()},
			Servers:    servers,
		},
		Formats:                      map[string]huma.Format{"application/json": format, "json": format},
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
		Transformers:                 []huma.Transformer{asProblem},
	}
}

// document is the OpenAPI document as JSON.
func (s *server) document() []byte {
	b, err := json.Marshal(s.api.OpenAPI())
	if err != nil {
		panic(fmt.Sprintf("api: encode OpenAPI document: %v", err)) // made of this package's own types
	}
	return b
}
