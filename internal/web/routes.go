package web

import (
	"net/http"
	"time"

	"github.com/cotrain/cotrain/internal/web/form"
	"github.com/cotrain/cotrain/internal/web/page"
	"github.com/cotrain/cotrain/static"
	runviews "github.com/cotrain/cotrain/views/runs"
)

// Time limits of answers; see [Server.bound].
const (
	downloadTimeout = 10 * time.Minute
	anyTimeout      = 30 * time.Second // the default
)

func (s *Server) routes(t sections) http.Handler {
	mux := http.NewServeMux()
	paged := func(pattern string, h page.Handler) { mux.Handle(pattern, s.wrap(h, page.Timeout)) }
	large := func(pattern string, h page.Handler, body int64) {
		mux.Handle(pattern, s.wrapBody(h, page.Timeout, body))
	}

	paged("GET /{$}", t.runs.List)
	paged("GET /runs", redirectTo("/"))
	paged("GET /runs/new", t.form.New)
	large("POST /runs", t.form.Create, form.MaxBody)
	large("POST /runs/validate", t.form.Validate, form.MaxBody)
	large("POST /runs/dryrun", t.form.DryRun, form.MaxBody)
	paged("GET /runs/import", t.form.ImportAsk)
	large("POST /runs/import", t.form.Import, form.MaxImport)
	paged("POST /runs/sample", t.runs.Sample)
	paged("GET /runs/{id}", t.runs.Show)
	paged("GET /runs/{id}/live", t.runs.Live)
	paged("GET /runs/{id}/events", t.runs.Events)
	paged("GET /runs/{id}/points", t.runs.Points)
	paged("GET /runs/{id}/logs", t.runs.Logs)
	mux.Handle("GET /runs/{id}/log.txt", s.wrap(t.runs.LogDownload, downloadTimeout))
	paged("GET /runs/{id}/config.toml", t.runs.Config)
	paged("GET /runs/{id}/launch", t.runs.Launch)
	paged("GET /runs/{id}/launch.sh", t.runs.Script)
	paged("GET /runs/{id}/job.json", t.runs.Job)
	paged("GET /runs/{id}/template", t.templates.SaveRun)
	for _, file := range []string{"launch.sh", "job.json", "config.toml"} {
		large("POST "+runviews.FormFiles+file, t.form.File(file), form.MaxBody)
	}
	paged("GET /runs/{id}/stop", t.runs.StopAsk)
	paged("POST /runs/{id}/stop", t.runs.Stop)
	paged("GET /runs/{id}/delete", t.runs.DeleteAsk)
	paged("POST /runs/{id}/delete", t.runs.Delete)
	paged("GET /templates", t.templates.List)
	large("POST /templates/save", t.templates.Save, form.MaxBody)
	paged("POST /templates/check", t.templates.Check)
	large("POST /templates/import", t.templates.Import, form.MaxImport)
	paged("GET /templates/{name}", t.templates.Show)
	paged("GET /templates/{name}/export", t.templates.Export)
	paged("GET /templates/{name}/delete", t.templates.DeleteAsk)
	paged("POST /templates/{name}/delete", t.templates.Delete)
	paged("GET /diff", t.diff.Show)
	paged("GET /sweeps", t.sweeps.List)
	paged("GET /sweeps/new", t.sweeps.New)
	large("POST /sweeps/new", t.sweeps.FromForm, form.MaxBody)
	large("POST /sweeps/preview", t.sweeps.Preview, form.MaxBody)
	large("POST /sweeps", t.sweeps.Create, form.MaxBody)
	paged("GET /sweeps/{id}", t.sweeps.Show)
	paged("GET /sweeps/{id}/head", t.sweeps.Head)
	paged("GET /sweeps/{id}/rows", t.sweeps.Rows)
	paged("GET /sweeps/{id}/points", t.sweeps.Points)
	paged("GET /sweeps/{id}/stop", t.sweeps.StopAsk)
	paged("POST /sweeps/{id}/stop", t.sweeps.Stop)
	paged("GET /sweeps/{id}/delete", t.sweeps.DeleteAsk)
	paged("POST /sweeps/{id}/delete", t.sweeps.Delete)
	paged("GET /storage", t.storage.Folder)
	paged("GET /storage/file", t.storage.Needed(t.storage.File))
	paged("GET /storage/complete", t.storage.Complete)
	paged("GET /storage/delete", t.storage.Needed(t.storage.DeleteAsk))
	paged("POST /storage/delete", t.storage.Needed(t.storage.Delete))
	paged("POST /storage/layout", t.storage.Needed(t.storage.Layout))
	paged("GET /cluster", t.cluster.Nodes)
	paged("GET /nodes", redirectTo("/cluster"))
	paged("GET /search", t.search.Search)
	paged("GET /help", t.help.Index)
	paged("GET /help/{doc}", t.help.Document)
	paged("GET /system", s.handleSystem)
	paged("POST /theme", s.handleTheme)
	paged("POST /project", s.handleProject)
	if t.account != nil {
		paged("GET /login", t.account.LogIn)
		paged("POST /login", t.account.DoLogIn)
		paged("POST /logout", t.account.LogOut)
		paged("GET /setup", t.account.SetUp)
		paged("POST /setup", t.account.DoSetUp)
		paged("GET /account", t.account.Show)
		paged("POST /account/password", t.account.ChangePassword)
		paged("POST /account/sessions/{id}/end", t.account.EndSession)
		paged("POST /account/sessions/end-others", t.account.EndOtherSessions)
		paged("POST /account/tokens", t.account.CreateToken)
		paged("GET /account/tokens/{id}/revoke", t.account.RevokeTokenAsk)
		paged("POST /account/tokens/{id}/revoke", t.account.RevokeToken)
	}
	if s.Dev {
		paged("GET /dev/components", s.handleComponents)
	}
	mux.Handle("GET /ws", s.wrap(s.live.Connect, 0))
	mux.Handle("GET "+static.Prefix, s.assets)
	paged("GET /healthz", s.handleHealth)
	paged("GET /readyz", s.handleReady)
	if s.api != nil {
		mux.Handle("/api/", s.api)
	}

	return s.boundAll(s.front.Resolve(compress(rebased(s.front.Base(),
		s.logRequests(s.recoverPanics(s.securityHeaders(s.checkOrigin(s.authenticate(s.orNotFound(mux))))))))))
}
