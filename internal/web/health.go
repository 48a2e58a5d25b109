package web

import (
	"fmt"
	"net/http"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/page"
	"github.com/cotrain/cotrain/views/gallery"
)

// handleHealth reports that the process answers.
func (s *Server) handleHealth(w http.ResponseWriter, _ *http.Request) error {
	return page.JSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// handleReady reports whether the console can work. Anybody may ask: addresses, and what is wrong at them, are for the log and the
// cluster's page.
func (s *Server) handleReady(w http.ResponseWriter, r *http.Request) error {
	answer := map[string]string{"status": "ready"}
	if s.servers != nil {
		answer["nomad"] = servers(s.servers())
	}
	if s.ready != nil {
		if err := s.ready(r.Context()); err != nil {
			s.Logger.WarnContext(r.Context(), "not ready", "err", err)
			answer["status"], answer["reason"] = "not ready", fault.Of(err).Kind.Fault().Text()
			return page.JSON(w, http.StatusServiceUnavailable, answer)
		}
	}
	return page.JSON(w, http.StatusOK, answer)
}

// servers is how many of Nomad's servers work: "2 of 3 servers work".
func servers(all []run.Server) string {
	works := 0
	for _, s := range all {
		if s.Problem == "" {
			works++
		}
	}
	return fmt.Sprintf("%d of %d servers work", works, len(all))
}

// handleSystem is the snapshot of the "system" topic.
func (s *Server) handleSystem(w http.ResponseWriter, _ *http.Request) error {
	answer := struct {
		Seq int64 `json:"seq"`
		feed.System
	}{s.Seq(feed.SystemTopic), s.System()}
	return page.JSON(w, http.StatusOK, answer)
}

func (s *Server) handleComponents(w http.ResponseWriter, r *http.Request) error {
	return s.Render(w, r, http.StatusOK, gallery.Page(s.Frame(r, "Components", "components"), gallery.Gallery{Now: s.Now()}))
}
