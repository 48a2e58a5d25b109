package web

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/chart"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/inbound"
	"github.com/cotrain/cotrain/internal/rounds"
	"github.com/cotrain/cotrain/internal/router"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/stream"
	"github.com/cotrain/cotrain/internal/web/account"
	"github.com/cotrain/cotrain/internal/web/admin"
	"github.com/cotrain/cotrain/internal/web/audit"
	"github.com/cotrain/cotrain/internal/web/cluster"
	"github.com/cotrain/cotrain/internal/web/compare"
	"github.com/cotrain/cotrain/internal/web/diff"
	"github.com/cotrain/cotrain/internal/web/form"
	"github.com/cotrain/cotrain/internal/web/help"
	"github.com/cotrain/cotrain/internal/web/live"
	"github.com/cotrain/cotrain/internal/web/metrics"
	"github.com/cotrain/cotrain/internal/web/page"
	"github.com/cotrain/cotrain/internal/web/runs"
	"github.com/cotrain/cotrain/internal/web/search"
	"github.com/cotrain/cotrain/internal/web/storage"
	"github.com/cotrain/cotrain/internal/web/sweeps"
	"github.com/cotrain/cotrain/internal/web/templates"
	"github.com/cotrain/cotrain/static"
)

// Store is what the sections read.
type Store interface {
	compare.Store
	metrics.Store
	runs.Store
	storage.Runs
	admin.Usage
}

// Control is what the sections act with.
type Control interface {
	cluster.Control
	form.Control
	runs.Control
	sweeps.Control
	templates.Control
}

// Feed is the hub that live pages follow.
type Feed interface {
	Seq(topic string) int64
}

// Metrics counts requests and answers scrapes; see package metrics.
type Metrics interface {
	Answer(w http.ResponseWriter, r *http.Request) error
	// Asked counts a request under way, and Answered how it was answered: by the pattern of its route, "" for none. took is negative
	// for what lasts as long as its reader wants.
	Asked()
	Answered(method, pattern string, status int, took time.Duration)
	// AuthFailed counts a log-in that failed, or an invalid token.
	AuthFailed()
}

// Deps is what the pages need. Accounts, Admin, Storage, API, Metrics, Ready, System, Projects, Servers, Distances and Catalog may be nil.
type Deps struct {
	Auth     Auth
	Guard    Guard
	Accounts account.Accounts // nil where there is no log-in
	Admin    admin.Accounts   // nil where nobody manages accounts
	Secrets  admin.Registry
	Causes   admin.CauseRules // nil where Admin is
	Store    Store
	Control  Control
	Survey   cluster.Survey
	Audit    audit.Log
	Storage  storage.Of // nil when off
	Feed     Feed
	Stream   *stream.Server // of the feed, for sockets
	Cache    *chart.Cache   // of answers to charts
	Rounds   *rounds.Cache
	Assets   *static.Assets
	Help     *help.Library
	API      router.Handler // mounted at /api/
	Metrics  Metrics
	Ready    func(ctx context.Context) error // nil when the console can work
	System   func() feed.System              // current state of dependencies
	Logger   *slog.Logger
	Now      func() time.Time
	Dev      bool          // adds the component gallery
	Front    inbound.Front // how the console is published

	Projects func(ctx context.Context) []string // names of all projects; nil where there are none

	Servers   func() []run.Server   // of Nomad; nil for one alone
	Distances func() *run.Distances // nil where nobody estimates them, and before the first
	Catalog   func() *run.Catalog   // of Consul; the same
}

// Server serves browsers.
type Server struct {
	*page.Site
	auth    Auth
	front   inbound.Front
	assets  *static.Assets
	api     router.Handler
	metrics Metrics // or nil
	ready   func(ctx context.Context) error
	servers func() []run.Server // or nil
	live    *live.Server
	stream  *stream.Server
	guard   Guard
	routed  *router.Router
	data    map[string]bool // patterns of what only scripts read
	handler http.Handler
}

// New returns a Server; it panics if a required dependency is missing.
func New(d Deps) *Server {
	if d.Auth == nil || d.Guard == nil || d.Audit == nil || d.Store == nil || d.Control == nil || d.Secrets == nil || d.Survey == nil || d.Feed == nil || d.Stream == nil || d.Cache == nil || d.Rounds == nil || d.Assets == nil || d.Help == nil || d.Logger == nil || d.Now == nil {
		panic("web: a dependency is missing")
	}
	if d.System == nil {
		d.System = func() feed.System { return feed.System{} }
	}
	s := &Server{
		Site: &page.Site{Base: d.Assets.Base(), Dev: d.Dev, Now: d.Now, Seq: d.Feed.Seq, System: d.System, Logger: d.Logger, Projects: d.Projects, Admin: d.Admin != nil},
		auth: d.Auth, front: d.Front, assets: d.Assets, api: d.API, metrics: d.Metrics, ready: d.Ready, servers: d.Servers, stream: d.Stream, live: live.New(live.Options{
			Runs: d.Store, Stream: d.Stream, Base: d.Front.Base(), Now: d.Now, Logger: d.Logger,
		}),
		guard: d.Guard, data: map[string]bool{},
	}
	s.routed = router.New(s.authorize)
	s.handler = s.routes(s.sections(d))
	return s
}

// sections are the handlers by section.
type sections struct {
	account   *account.Pages // nil where there is no log-in
	audit     *audit.Pages
	admin     *admin.Pages // nil where nobody manages accounts
	cluster   *cluster.Pages
	compare   *compare.Pages
	diff      *diff.Pages
	form      *form.Pages
	help      *help.Pages
	metrics   *metrics.Pages
	runs      *runs.Pages
	search    *search.Pages
	storage   *storage.Pages
	sweeps    *sweeps.Pages
	templates *templates.Pages
}

func (s *Server) sections(d Deps) sections {
	f := &form.Pages{Site: s.Site, References: form.References{Runs: d.Store, Templates: d.Control}, Control: d.Control, Secrets: d.Secrets, Survey: d.Survey}
	ofRuns := &runs.Pages{Site: s.Site, Store: d.Store, Control: d.Control, Rounds: d.Rounds, Survey: d.Survey, Files: d.Storage != nil}
	all := sections{
		audit:     &audit.Pages{Site: s.Site, Log: d.Audit},
		cluster:   &cluster.Pages{Site: s.Site, Runs: d.Store, Control: d.Control, Servers: d.Servers, Distances: d.Distances, Catalog: d.Catalog, Survey: d.Survey},
		compare:   &compare.Pages{Site: s.Site, Store: d.Store, Sweeps: d.Control, Cache: d.Cache},
		diff:      &diff.Pages{Site: s.Site, References: f.References},
		form:      f,
		help:      &help.Pages{Site: s.Site, Library: d.Help},
		metrics:   &metrics.Pages{Site: s.Site, Store: d.Store, Runs: ofRuns, Cache: d.Cache},
		runs:      ofRuns,
		search:    &search.Pages{Site: s.Site, Runs: d.Store, Control: d.Control, Documents: d.Help},
		storage:   &storage.Pages{Site: s.Site, Runs: d.Store, Storage: d.Storage},
		sweeps:    &sweeps.Pages{Site: s.Site, Form: f, Store: d.Store, Control: d.Control},
		templates: &templates.Pages{Site: s.Site, Form: f, Control: d.Control},
	}
	if d.Admin != nil {
		all.admin = &admin.Pages{Site: s.Site, Accounts: d.Admin, Registry: d.Secrets, Causes: d.Causes, Usage: d.Store}
		all.search.Accounts = d.Admin
	}
	if d.Accounts != nil {
		all.account = account.New(s.Site, d.Accounts)
	}
	return all
}

// Handler serves all paths. It needs an [http.Server], for the local address.
func (s *Server) Handler() http.Handler { return s.handler }

// Rights is the right that each route needs, by its pattern, with those of the API.
func (s *Server) Rights() map[string]access.Right { return s.routed.Rights() }

// Close ends all live connections and waits for their end, or ctx's.
func (s *Server) Close(ctx context.Context) error { return s.stream.Close(ctx) }
