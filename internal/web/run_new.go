package web

import (
	"crypto/rand"
	"errors"
	"net/http"
	"strings"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views"
)

// firstPreset is what the form begins with: small enough to end in minutes anywhere.
const firstPreset = "debug-diloco"

// handleRunNew shows the form, filled from the query's preset; the name that was typed stays.
func (s *Server) handleRunNew(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	name := firstPreset
	if q.Has(inputPreset) {
		name = q.Get(inputPreset)
	}
	d, err := draftOfPreset(name)
	if err != nil {
		return err
	}
	d.typed[inputName] = text(q.Get(inputName), maxInput)
	d.check()
	if r.Header.Get("HX-Request") == "true" { // the name is not the address's business
		w.Header().Set("HX-Replace-Url", "/runs/new?preset="+d.preset.Name)
	}
	form := d.view(d.quietAbout(map[string]bool{}))
	form.Key = rand.Text()
	return s.render(w, r, http.StatusOK, views.RunNewPage(s.page(r, "New run", "runs"), form))
}

// handleRunValidate checks the form while it is being filled in: messages for what has been touched, and the preview.
func (s *Server) handleRunValidate(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	d := draftOfForm(r.PostForm)
	d.check()
	hidden := map[string]bool{}
	if r.PostForm.Get("submitted") != "1" {
		touched := map[string]bool{}
		for name := range strings.SplitSeq(r.PostForm.Get("touched"), ",") {
			touched[name] = true
		}
		hidden = d.quietAbout(touched)
	}
	return s.render(w, r, http.StatusOK, views.RunChecks(d.view(hidden)))
}

// quietAbout lists the inputs whose mistakes are not shown yet: those that are empty and have not been touched. A value
// that stands in the form and is wrong, because another one changed, is shown.
func (d *draft) quietAbout(touched map[string]bool) map[string]bool {
	hidden := map[string]bool{}
	for _, e := range d.errs {
		if d.typed[e.Field] == "" && !touched[e.Field] {
			hidden[e.Field] = true
		}
	}
	if touched[inputDiLoCo] {
		delete(hidden, innerSteps)
	}
	return hidden
}

// handleRunCreate submits the form. When it is refused the page comes back with everything as typed.
func (s *Server) handleRunCreate(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	d := draftOfForm(r.PostForm)
	d.check()
	key := text(r.PostForm.Get("key"), 64)
	if len(d.errs) == 0 {
		made, err := s.Actions.Submit(r.Context(), actor, d.submission(key))
		var fields run.FieldErrors
		switch {
		case err == nil:
			http.Redirect(w, r, "/runs/"+string(made.ID), http.StatusSeeOther)
			return nil
		case errors.As(err, &fields):
			d.errs = append(d.errs, fields...)
		default:
			return err
		}
	}
	form := d.view(nil)
	form.Key, form.Submitted = key, true
	return s.render(w, r, http.StatusUnprocessableEntity, views.RunNewPage(s.page(r, "New run", "runs"), form))
}

// readForm parses the body, and tells too much from what is no form.
func readForm(r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return errTooLarge
		}
		return errBadForm
	}
	return nil
}
