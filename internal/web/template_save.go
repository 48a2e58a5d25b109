package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/views"
)

// Names of the inputs of the form that saves a template; errors name the same.
const (
	inputTemplate    = "template"
	inputDescription = "description"
	inputNote        = "note"
)

// What the form tells of the page that it stands on: the name of which the reader was told that there is a template, and
// the version of that which was the newest then.
const (
	inputConfirmed = "confirmed"
	inputFollows   = "follows"
)

// saveForm is the form that saves a template, as typed.
type saveForm struct {
	name, description, note string
	from                    string
	sub                     run.Submission
	request                 trainconf.Request
	findings                []string
	errs                    run.FieldErrors
	submitted               bool
	outdated                *run.OutdatedError // why it was not saved, or nil
}

// handleRunTemplate asks for the name under which a run's settings are kept.
func (s *Server) handleRunTemplate(w http.ResponseWriter, r *http.Request) error {
	id, err := runID(r)
	if err != nil {
		return err
	}
	found, err := s.Runs.Run(r.Context(), id)
	if err != nil {
		return err
	}
	sub, err := subjectOfRun(found)
	if err != nil {
		return err
	}
	f := newSaveForm(sub.ref, sub.sub, sub.request, found.Origin.Template)
	return s.renderSave(w, r, http.StatusOK, f)
}

// newSaveForm proposes a name: that of the template that it was made from, or else one made of the run's.
func newSaveForm(from string, sub run.Submission, req trainconf.Request, origin string) *saveForm {
	f := &saveForm{from: from, sub: sub, request: req, description: oneLine(req.Options.Description)}
	name, _, _ := run.ParseTemplateRef(origin)
	if _, preset := trainconf.PresetByName(name); name != "" && !preset && run.CheckTemplateName(name) == nil {
		f.name = name
	} else {
		f.name = templateNameFrom(sub.Name)
	}
	return f
}

// templateNameFrom makes a template's name of a run's: what is not allowed becomes a hyphen.
func templateNameFrom(name string) string {
	var b strings.Builder
	for _, r := range name {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '_':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	out := strings.Trim(b.String(), "-._")
	out = strings.TrimRight(out[:min(len(out), 60)], "-._")
	if _, preset := trainconf.PresetByName(out); preset {
		return "my-" + out
	}
	return out
}

// handleTemplateSave saves what its own form carries. What the form for a new run sends opens that form first.
func (s *Server) handleTemplateSave(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	if !r.PostForm.Has(inputBase) {
		return s.saveFromForm(w, r)
	}
	sub, req, err := readBase(r)
	if err != nil {
		return err
	}
	f := &saveForm{
		name: text(r.PostForm.Get(inputTemplate), 200), description: text(r.PostForm.Get(inputDescription), maxBaseForm),
		note: text(r.PostForm.Get(inputNote), maxBaseForm), from: text(r.PostForm.Get(inputFrom), 200), sub: sub, request: req, submitted: true,
	}
	follows, told, err := readFollows(r.PostForm, f.name)
	if err != nil {
		return err
	}
	if _, exists, err := s.newestTemplate(r.Context(), f.name); err != nil {
		return err
	} else if exists && !told {
		f.submitted = false // the page says what saving would do, and the next click does it
		return s.renderSave(w, r, http.StatusOK, f)
	}
	saved, err := s.Templates.SaveTemplate(r.Context(), actor, run.Template{
		Name: f.name, Description: f.description, Note: f.note, Config: sub.Config, Shape: sub.Shape, Options: sub.Options,
	}, follows)
	if bad := trainconf.AsFieldErrors(err); bad != nil {
		f.errs = bad
		return s.renderSave(w, r, http.StatusUnprocessableEntity, f)
	}
	if errors.As(err, &f.outdated) {
		return s.renderSave(w, r, http.StatusConflict, f) // it follows what is the newest now: the next click saves
	}
	if err != nil {
		return err
	}
	did := "new"
	if saved.Version == follows {
		did = "same"
	}
	http.Redirect(w, r, templateHref(saved, did), http.StatusSeeOther)
	return nil
}

// readFollows is the version that a template of this name had when the page was made, and whether the reader was told
// that there is one. Of another name the page said nothing, so none was expected.
func readFollows(form url.Values, name string) (follows int, told bool, err error) {
	if name == "" || form.Get(inputConfirmed) != name {
		return 0, false, nil
	}
	follows, err = strconv.Atoi(form.Get(inputFollows))
	if err != nil || follows < 1 {
		return 0, false, errBadForm
	}
	return follows, true, nil
}

// saveFromForm takes the form for a new run; what is wrong with it, apart from its name, is told there.
func (s *Server) saveFromForm(w http.ResponseWriter, r *http.Request) error {
	d := readRequest(r.PostForm)
	if d.wrongBut(inputName) {
		return s.refuseRun(w, r, d)
	}
	sub := d.submission("")
	return s.renderSave(w, r, http.StatusOK, newSaveForm(fromForm, sub, d.request, sub.Origin.Template))
}

// newestTemplate is the newest version of a template, and whether there is one.
func (s *Server) newestTemplate(ctx context.Context, name string) (run.Template, bool, error) {
	if run.CheckTemplateName(name) != nil {
		return run.Template{}, false, nil
	}
	t, err := s.Templates.Template(ctx, name, 0)
	if errors.Is(err, fault.ErrNotFound) {
		return run.Template{}, false, nil
	}
	return t, err == nil, err
}

// handleTemplateCheck says, while a name is typed, what saving under it would do.
func (s *Server) handleTemplateCheck(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	f := &saveForm{name: text(r.PostForm.Get(inputTemplate), 200)}
	v, err := s.saveView(r.Context(), f)
	if err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, views.TemplateNameCheck(v))
}

func (s *Server) renderSave(w http.ResponseWriter, r *http.Request, status int, f *saveForm) error {
	v, err := s.saveView(r.Context(), f)
	if err != nil {
		return err
	}
	own, err := s.Templates.Templates(r.Context())
	if err != nil {
		return err
	}
	for _, t := range own {
		v.Name.Suggest = append(v.Name.Suggest, t.Name)
	}
	return s.render(w, r, status, views.TemplateSavePage(s.page(r, "Save as template", "templates"), v))
}

// saveView makes the form's model, with what its name means.
func (s *Server) saveView(ctx context.Context, f *saveForm) (views.TemplateSave, error) {
	v := views.TemplateSave{
		Name: views.Field{
			Name: inputTemplate, Label: "Name", Kind: "text", Value: f.name, Required: true, MaxBytes: 63, Hint: "my-7B-diloco",
			Help: "Letters, digits and . _ -. The name of one of your templates makes a new version of it; earlier versions stay.",
		},
		Description: views.Field{
			Name: inputDescription, Label: "What for", Kind: "text", Value: f.description, MaxBytes: trainconf.MaxDescription,
			Help: "A sentence for whoever looks for a template to begin from.",
		},
		Note: views.Field{Name: inputNote, Label: "What this version changes", Kind: "text", Value: f.note, Help: "One line, for the list of versions."},
		Base: baseText(f.sub), Source: f.from, Config: f.sub.Config, Facts: factsOf(f.request), Findings: f.findings, Next: 1, Submitted: f.submitted,
	}
	v.From, v.FromHref = sourceOf(f.from, f.sub)
	newest, exists, err := s.newestTemplate(ctx, f.name)
	if err != nil {
		return v, err
	}
	bad := run.CheckTemplateName(f.name)
	preset, taken := trainconf.PresetByName(f.name)
	switch {
	case exists:
		v.Exists, v.Next = true, newest.Version+1
		v.Name.Warning = "There is a template of this name: saving makes version " + views.Integer(v.Next) + " of it."
	case taken:
		v.Name.Error = "This is the name of a built-in preset. Use another one, such as my-" + preset.Name + "."
	case bad != nil && f.name != "":
		v.Name.Error = sentences(*bad)
	}
	if f.outdated != nil {
		v.Conflict = conflictOf(f.outdated, newest, s.Now())
	}
	fields := map[string]*views.Field{inputTemplate: &v.Name, inputDescription: &v.Description, inputNote: &v.Note}
	for _, e := range f.errs {
		if field, ok := fields[e.Field]; ok {
			field.Error = sentences(e)
		} else {
			v.General = append(v.General, labelled(e))
		}
	}
	return v, nil
}

// conflictOf says what happened to a template while the page that was to save it was open; newest is what there is now.
func conflictOf(e *run.OutdatedError, newest run.Template, now time.Time) *views.TemplateConflict {
	if newest.Version == 0 {
		return &views.TemplateConflict{Text: fmt.Sprintf("The template %s was deleted while this page was open. Save it again to make it anew, as version 1.", e.Template)}
	}
	return &views.TemplateConflict{
		Text: fmt.Sprintf("Version %d of %s was saved by %s %s, while this page was open. Look at it, and save again if yours is to follow it, as version %d.",
			newest.Version, newest.Name, newest.Actor, views.Ago(newest.CreatedAt, now), newest.Version+1),
		Newest: newest, Expected: e.Expected,
	}
}

// oneLine is a text without line breaks.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
