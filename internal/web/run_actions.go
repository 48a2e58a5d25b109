package web

import (
	"net/http"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/views"
)

// handleRunSample starts the sample run.
func (s *Server) handleRunSample(w http.ResponseWriter, r *http.Request) error {
	name, cfg, shape := trainconf.Sample()
	made, err := s.Actions.Submit(r.Context(), actor, run.Submission{Name: name, Preset: "sample", Config: string(cfg.TOML()), Shape: shape})
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/runs/"+string(made.ID), http.StatusSeeOther)
	return nil
}

// handleStopAsk asks before a run is stopped.
func (s *Server) handleStopAsk(w http.ResponseWriter, r *http.Request) error {
	return s.ask(w, r, views.StopConfirm)
}

// handleDeleteAsk asks before a run is deleted.
func (s *Server) handleDeleteAsk(w http.ResponseWriter, r *http.Request) error {
	return s.ask(w, r, views.DeleteConfirm)
}

func (s *Server) ask(w http.ResponseWriter, r *http.Request, question func(run.Run) views.Confirm) error {
	id, err := runID(r)
	if err != nil {
		return err
	}
	found, err := s.Runs.Run(r.Context(), id)
	if err != nil {
		return err
	}
	c := question(found)
	return s.render(w, r, http.StatusOK, views.ConfirmPage(s.page(r, c.Title, "runs"), c))
}

// handleStop asks a run's workers to end.
func (s *Server) handleStop(w http.ResponseWriter, r *http.Request) error {
	id, err := runID(r)
	if err != nil {
		return err
	}
	if err := s.Actions.Stop(r.Context(), actor, id); err != nil {
		return err
	}
	http.Redirect(w, r, "/runs/"+string(id), http.StatusSeeOther)
	return nil
}

// handleDelete deletes a run that has ended.
func (s *Server) handleDelete(w http.ResponseWriter, r *http.Request) error {
	id, err := runID(r)
	if err != nil {
		return err
	}
	if err := s.Actions.Delete(r.Context(), actor, id); err != nil {
		return err
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}
