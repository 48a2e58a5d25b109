package web

import (
	"net/http"
	"time"

	"github.com/cotrain/cotrain/static"
	"github.com/cotrain/cotrain/views"
)

// Time limits of answers; see [Server.bound] for what they mean to slow clients.
const (
	pageTimeout     = 10 * time.Second
	downloadTimeout = 10 * time.Minute
	anyTimeout      = 30 * time.Second // for what sets no limit of its own; as long as the API's for a body
)

// routes lists every route with its method.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	page := func(pattern string, h handler) { mux.Handle(pattern, s.wrap(h, pageTimeout)) }
	large := func(pattern string, h handler, body int64) { mux.Handle(pattern, s.wrapBody(h, pageTimeout, body)) }

	page("GET /{$}", s.handleRunList)
	page("GET /runs", redirectTo("/"))
	page("GET /runs/new", s.handleRunNew)
	large("POST /runs", s.handleRunCreate, maxBaseForm)
	large("POST /runs/validate", s.handleRunValidate, maxBaseForm)
	large("POST /runs/dryrun", s.handleDryRun, maxBaseForm)
	page("GET /runs/import", s.handleRunImportAsk)
	large("POST /runs/import", s.handleRunImport, maxImportForm)
	page("POST /runs/sample", s.handleRunSample)
	page("GET /runs/{id}", s.handleRunShow)
	page("GET /runs/{id}/live", s.handleRunLive)
	page("GET /runs/{id}/events", s.handleRunEvents)
	page("GET /runs/{id}/points", s.handleRunPoints)
	page("GET /runs/{id}/logs", s.handleRunLogs)
	mux.Handle("GET /runs/{id}/log.txt", s.wrap(s.handleRunLogDownload, downloadTimeout))
	page("GET /runs/{id}/config.toml", s.handleRunConfig)
	page("GET /runs/{id}/launch", s.handleRunLaunch)
	page("GET /runs/{id}/launch.sh", s.handleRunScript)
	page("GET /runs/{id}/job.json", s.handleRunJob)
	page("GET /runs/{id}/template", s.handleRunTemplate)
	for _, file := range []string{"launch.sh", "job.json", "config.toml"} {
		large("POST "+views.FormFiles+file, s.handleFormFile(file), maxBaseForm)
	}
	page("GET /runs/{id}/stop", s.handleStopAsk)
	page("POST /runs/{id}/stop", s.handleStop)
	page("GET /runs/{id}/delete", s.handleDeleteAsk)
	page("POST /runs/{id}/delete", s.handleDelete)
	page("GET /templates", s.handleTemplateList)
	large("POST /templates/save", s.handleTemplateSave, maxBaseForm)
	page("POST /templates/check", s.handleTemplateCheck)
	large("POST /templates/import", s.handleTemplateImport, maxImportForm)
	page("GET /templates/{name}", s.handleTemplateShow)
	page("GET /templates/{name}/export", s.handleTemplateExport)
	page("GET /templates/{name}/delete", s.handleTemplateDeleteAsk)
	page("POST /templates/{name}/delete", s.handleTemplateDelete)
	page("GET /diff", s.handleDiff)
	page("GET /sweeps", s.handleSweepList)
	page("GET /sweeps/new", s.handleSweepNew)
	large("POST /sweeps/new", s.handleSweepFromForm, maxBaseForm)
	large("POST /sweeps/preview", s.handleSweepPreview, maxBaseForm)
	large("POST /sweeps", s.handleSweepCreate, maxBaseForm)
	page("GET /sweeps/{id}", s.handleSweepShow)
	page("GET /sweeps/{id}/head", s.handleSweepHead)
	page("GET /sweeps/{id}/rows", s.handleSweepRows)
	page("GET /sweeps/{id}/points", s.handleSweepPoints)
	page("GET /sweeps/{id}/stop", s.handleSweepStopAsk)
	page("POST /sweeps/{id}/stop", s.handleSweepStop)
	page("GET /sweeps/{id}/delete", s.handleSweepDeleteAsk)
	page("POST /sweeps/{id}/delete", s.handleSweepDelete)
	page("GET /storage", s.handleStorage)
	page("GET /storage/file", s.handleStorageFile)
	page("GET /storage/complete", s.handleStorageComplete)
	page("GET /storage/delete", s.handleStorageDeleteAsk)
	page("POST /storage/delete", s.handleStorageDelete)
	page("POST /storage/layout", s.handleStorageLayout)
	page("GET /nodes", s.handleNodes)
	page("GET /system", s.handleSystem)
	page("POST /theme", s.handleTheme)
	if s.Dev {
		page("GET /dev/components", s.handleComponents)
	}
	mux.Handle("GET /ws", s.wrap(s.handleSocket, 0))
	mux.Handle("GET "+static.Prefix, s.Assets)
	page("GET /healthz", s.handleHealth)
	page("GET /readyz", s.handleReady)
	if s.API != nil {
		mux.Handle("/api/", s.API)
	}

	return s.boundAll(compress(s.logRequests(s.recoverPanics(securityHeaders(s.checkOrigin(s.orNotFound(mux)))))))
}
