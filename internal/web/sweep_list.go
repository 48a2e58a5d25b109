package web

import (
	"net/http"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views"
)

// sweepsShown is how many sweeps a page of the list has.
const sweepsShown = 30

// handleSweepList shows sweeps, newest first, from the query's before on.
func (s *Server) handleSweepList(w http.ResponseWriter, r *http.Request) error {
	list := views.SweepList{Now: s.Now()}
	if v := r.URL.Query().Get("before"); v != "" {
		id, err := run.ParseSweepID(v)
		if err != nil {
			return badCursor("before", v, "the ID of a sweep")
		}
		list.Before = id
	}
	var err error
	if list.Sweeps, err = s.Sweeps.Sweeps(r.Context(), list.Before, sweepsShown+1); err != nil {
		return err
	}
	if len(list.Sweeps) > sweepsShown {
		list.Sweeps = list.Sweeps[:sweepsShown]
		list.Older = list.Sweeps[sweepsShown-1].ID
	}
	return s.render(w, r, http.StatusOK, views.SweepListPage(s.page(r, "Sweeps", "sweeps"), list))
}

// sweepID reads the sweep's ID from the path. An ID of the wrong form names no sweep.
func sweepID(r *http.Request) (run.SweepID, error) {
	id, err := run.ParseSweepID(r.PathValue("id"))
	if err != nil {
		return "", run.NoSweep(r.PathValue("id"))
	}
	return id, nil
}

// handleSweepStopAsk asks before a sweep's runs are stopped.
func (s *Server) handleSweepStopAsk(w http.ResponseWriter, r *http.Request) error {
	return s.askSweep(w, r, views.SweepStopConfirm)
}

// handleSweepDeleteAsk asks before a sweep is deleted.
func (s *Server) handleSweepDeleteAsk(w http.ResponseWriter, r *http.Request) error {
	return s.askSweep(w, r, views.SweepDeleteConfirm)
}

func (s *Server) askSweep(w http.ResponseWriter, r *http.Request, question func(run.Sweep) views.Confirm) error {
	id, err := sweepID(r)
	if err != nil {
		return err
	}
	found, err := s.Sweeps.Sweep(r.Context(), id)
	if err != nil {
		return err
	}
	c := question(found)
	return s.render(w, r, http.StatusOK, views.ConfirmPage(s.page(r, c.Title, "sweeps"), c))
}

// handleSweepStop asks every run of a sweep to end.
func (s *Server) handleSweepStop(w http.ResponseWriter, r *http.Request) error {
	id, err := sweepID(r)
	if err != nil {
		return err
	}
	if err := s.Sweeps.StopSweep(r.Context(), actor, id); err != nil {
		return err
	}
	http.Redirect(w, r, "/sweeps/"+string(id), http.StatusSeeOther)
	return nil
}

// handleSweepDelete deletes a sweep that has ended, with its runs.
func (s *Server) handleSweepDelete(w http.ResponseWriter, r *http.Request) error {
	id, err := sweepID(r)
	if err != nil {
		return err
	}
	if err := s.Sweeps.DeleteSweep(r.Context(), actor, id); err != nil {
		return err
	}
	http.Redirect(w, r, "/sweeps", http.StatusSeeOther)
	return nil
}
