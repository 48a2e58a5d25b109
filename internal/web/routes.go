package web

import (
	"net/http"
	"time"

	"github.com/cotrain/cotrain/static"
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

	page("GET /{$}", s.handleRunList)
	page("GET /runs", redirectTo("/"))
	page("GET /runs/new", s.handleRunNew)
	page("POST /runs", s.handleRunCreate)
	page("POST /runs/validate", s.handleRunValidate)
	page("POST /runs/sample", s.handleRunSample)
	page("GET /runs/{id}", s.handleRunShow)
	page("GET /runs/{id}/live", s.handleRunLive)
	page("GET /runs/{id}/points", s.handleRunPoints)
	page("GET /runs/{id}/logs", s.handleRunLogs)
	mux.Handle("GET /runs/{id}/log.txt", s.wrap(s.handleRunLogDownload, downloadTimeout))
	page("GET /runs/{id}/config.toml", s.handleRunConfig)
	page("GET /runs/{id}/stop", s.handleStopAsk)
	page("POST /runs/{id}/stop", s.handleStop)
	page("GET /runs/{id}/delete", s.handleDeleteAsk)
	page("POST /runs/{id}/delete", s.handleDelete)
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

	return s.boundAll(s.logRequests(s.recoverPanics(securityHeaders(s.checkOrigin(s.orNotFound(mux))))))
}
