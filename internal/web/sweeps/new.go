package sweeps

import (
	"crypto/rand"
	"net/http"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/internal/web/form"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/sweeps"
)

// New asks what to vary of the query's from: a run, template or preset. Without it, it asks for that first.
func (p *Pages) New(w http.ResponseWriter, r *http.Request) error {
	from := page.Text(r.URL.Query().Get(form.InputFrom), 200)
	if from == "" {
		choices, err := p.Form.Choices(r.Context())
		if err != nil {
			return err
		}
		return p.Render(w, r, http.StatusOK, view.ChoosePage(p.Frame(r, "New sweep", "sweeps"), choices))
	}
	sub, err := p.Form.Find(r.Context(), form.InputFrom, from)
	if err != nil {
		return err
	}
	base := sub.Submission()
	if base.Project, err = page.TargetProject(r, access.RunsSubmit, base.Project); err != nil {
		return err
	}
	return p.renderSweepForm(w, r, http.StatusOK, newSweepForm(sub.Ref, rand.Text(), base, sub.Request))
}

// FromForm takes the form for a new run. Unreadable values are reported there; missing ones may be what varies.
func (p *Pages) FromForm(w http.ResponseWriter, r *http.Request) error {
	if err := page.ReadForm(r); err != nil {
		return err
	}
	d := form.Read(r.PostForm)
	if d.Broken {
		return p.Form.Refuse(w, r, d)
	}
	return p.renderSweepForm(w, r, http.StatusOK, newSweepForm(form.FromForm, rand.Text(), d.Submission(""), d.Request))
}

func postedSweep(r *http.Request) (*sweepForm, error) {
	if err := page.ReadForm(r); err != nil {
		return nil, err
	}
	sub, req, err := form.ReadCarried(r)
	if err != nil {
		return nil, err
	}
	sub.Project = page.Text(r.PostForm.Get(page.InputProject), 64)
	return readSweepForm(r.PostForm, sub, req), nil
}

// Preview shows the runs that the form would make.
func (p *Pages) Preview(w http.ResponseWriter, r *http.Request) error {
	f, err := postedSweep(r)
	if err != nil {
		return err
	}
	if page.IsFragment(r) {
		return p.Render(w, r, http.StatusOK, view.Checks(f.view(p.judge(r.Context(), f))))
	}
	return p.renderSweepForm(w, r, http.StatusOK, f)
}

// Create submits the form, or shows it again with its errors.
func (p *Pages) Create(w http.ResponseWriter, r *http.Request) error {
	f, err := postedSweep(r)
	if err != nil {
		return err
	}
	f.submitted = true
	switch {
	case len(f.used()) == 0 && !f.rowsWrong():
		f.errs = append(f.errs, run.FieldError{Field: "grid", Rule: "at least one field must vary", Fix: "name a field and give it values"})
	case len(f.errs) == 0 && !f.rowsWrong():
		made, err := p.Control.SubmitSweep(r.Context(), f.spec())
		bad := trainconf.AsFieldErrors(err)
		if err == nil {
			return page.Redirect(w, r, "/sweeps/"+string(made.ID))
		}
		if bad == nil {
			return err
		}
		f.errs = append(f.errs, bad...)
	}
	return p.renderSweepForm(w, r, http.StatusUnprocessableEntity, f)
}

func (p *Pages) renderSweepForm(w http.ResponseWriter, r *http.Request, status int, f *sweepForm) error {
	v := f.view(p.judge(r.Context(), f))
	v.Project = p.ProjectField(r, access.RunsSubmit, f.sub.Project)
	for _, e := range f.errs {
		if e.Field == page.ParamProject {
			v.Project.Error = form.Sentence(e)
		}
	}
	return p.Render(w, r, status, view.NewPage(p.Frame(r, "New sweep", "sweeps"), v))
}
