package web

import (
	"net/http"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/web/page"
	"github.com/cotrain/cotrain/views/gallery"
)

// handleHealth reports that the process answers.
func (s *Server) handleHealth(w http.ResponseWriter, _ *http.Request) error {
	return page.JSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// handleReady reports whether the console can work.
func (s *Server) handleReady(w http.ResponseWriter, r *http.Request) error {
	if s.ready != nil {
		if err := s.ready(r.Context()); err != nil {
			s.Logger.WarnContext(r.Context(), "not ready", "err", err)
			return page.JSON(w, http.StatusServiceUnavailable, map[string]string{"status": "not ready", "reason": fault.Of(err).Text()})
		}
	}
	return page.JSON(w, http.StatusOK, map[string]string{"status": "ready"})
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
