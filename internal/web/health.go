package web

import (
	"errors"
	"net/http"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views"
)

// handleHealth says that the process answers.
func (s *Server) handleHealth(w http.ResponseWriter, _ *http.Request) error {
	return renderJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// handleReady says whether the console can do its work.
func (s *Server) handleReady(w http.ResponseWriter, r *http.Request) error {
	if s.Ready != nil {
		if err := s.Ready(r.Context()); err != nil {
			s.Logger.WarnContext(r.Context(), "not ready", "err", err)
			return renderJSON(w, http.StatusServiceUnavailable, map[string]string{"status": "not ready", "reason": fault.Of(err).Text()})
		}
	}
	return renderJSON(w, http.StatusOK, map[string]string{"status": "ready"})
}

// handleSystem is the snapshot of the topic "system".
func (s *Server) handleSystem(w http.ResponseWriter, _ *http.Request) error {
	answer := struct {
		Seq int64 `json:"seq"`
		feed.System
	}{Seq: s.Feed.Seq(feed.SystemTopic)}
	if s.System != nil {
		answer.System = s.System()
	}
	return renderJSON(w, http.StatusOK, answer)
}

// handleNodes lists the cluster's nodes, and who has their GPUs.
func (s *Server) handleNodes(w http.ResponseWriter, r *http.Request) error {
	nodes, err := s.Actions.Nodes(r.Context())
	if err != nil {
		return err
	}
	s.Actions.MeasureGPUs(r.Context(), nodes)
	list := views.NodeList{Nodes: nodes, Names: map[run.ID]string{}}
	for _, n := range nodes {
		for _, u := range n.Uses {
			if _, known := list.Names[u.Run]; known || u.Run == "" {
				continue
			}
			found, err := s.Runs.Run(r.Context(), u.Run)
			if err != nil && !errors.Is(err, fault.ErrNotFound) { // a run that was deleted meanwhile has its ID alone
				return err
			}
			list.Names[u.Run] = found.Name
		}
	}
	return s.render(w, r, http.StatusOK, views.NodesPage(s.page(r, "Nodes", "nodes"), list))
}

// handleComponents shows every component, for development.
func (s *Server) handleComponents(w http.ResponseWriter, r *http.Request) error {
	return s.render(w, r, http.StatusOK, views.ComponentsPage(s.page(r, "Components", "components"), views.Gallery{Now: s.Now()}))
}
