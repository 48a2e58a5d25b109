package web

import (
	"crypto/rand"
	"net/http"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/views"
)

// handleSweepNew asks what varies of what the query's from names: a run, a template or a preset. Without it, it asks for that
// first.
func (s *Server) handleSweepNew(w http.ResponseWriter, r *http.Request) error {
	from := text(r.URL.Query().Get(inputFrom), 200)
	if from == "" {
		choices, err := s.diffChoices(r.Context())
		if err != nil {
			return err
		}
		return s.render(w, r, http.StatusOK, views.SweepChoosePage(s.page(r, "New sweep", "sweeps"), choices))
	}
	sub, err := s.subjectOf(r.Context(), inputFrom, from)
	if err != nil {
		return err
	}
	return s.renderSweepForm(w, r, http.StatusOK, newSweepForm(sub.ref, rand.Text(), sub.sub, sub.request))
}

// handleSweepFromForm takes the form for a new run. Values that it cannot read are told there; what is merely missing may
// be what varies.
func (s *Server) handleSweepFromForm(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	d := readRequest(r.PostForm)
	if d.broken {
		return s.refuseRun(w, r, d)
	}
	return s.renderSweepForm(w, r, http.StatusOK, newSweepForm(fromForm, rand.Text(), d.submission(""), d.request))
}

// postedSweep reads the form for a sweep.
func postedSweep(r *http.Request) (*sweepForm, error) {
	if err := readForm(r); err != nil {
		return nil, err
	}
	sub, req, err := readBase(r)
	if err != nil {
		return nil, err
	}
	return readSweepForm(r.PostForm, sub, req), nil
}

// handleSweepPreview shows the runs that the form would make: while it is filled in, or on a click for those without scripts.
func (s *Server) handleSweepPreview(w http.ResponseWriter, r *http.Request) error {
	f, err := postedSweep(r)
	if err != nil {
		return err
	}
	if r.Header.Get("HX-Request") == "true" {
		return s.render(w, r, http.StatusOK, views.SweepChecks(f.view()))
	}
	return s.renderSweepForm(w, r, http.StatusOK, f)
}

// handleSweepCreate submits the form. When it is refused the page comes back with everything as typed.
func (s *Server) handleSweepCreate(w http.ResponseWriter, r *http.Request) error {
	f, err := postedSweep(r)
	if err != nil {
		return err
	}
	f.submitted = true
	switch {
	case len(f.used()) == 0 && !f.rowsWrong():
		f.errs = append(f.errs, run.FieldError{Field: "grid", Rule: "at least one field must vary", Fix: "name a field and give it values"})
	case len(f.errs) == 0 && !f.rowsWrong():
		made, err := s.Sweeps.SubmitSweep(r.Context(), actor, f.spec())
		bad := trainconf.AsFieldErrors(err)
		if err == nil {
			http.Redirect(w, r, "/sweeps/"+string(made.ID), http.StatusSeeOther)
			return nil
		}
		if bad == nil {
			return err
		}
		f.errs = append(f.errs, bad...)
	}
	return s.renderSweepForm(w, r, http.StatusUnprocessableEntity, f)
}

func (s *Server) renderSweepForm(w http.ResponseWriter, r *http.Request, status int, f *sweepForm) error {
	return s.render(w, r, status, views.SweepNewPage(s.page(r, "New sweep", "sweeps"), f.view()))
}
