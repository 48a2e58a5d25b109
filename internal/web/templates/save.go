package templates

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/internal/web/form"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/templates"
	"github.com/cotrain/cotrain/views/ui"
)

// Inputs of the form, as in errors.
const (
	inputTemplate    = "template"
	inputDescription = "description"
	inputNote        = "note"
)

// What the page said: the name of an existing template, and its newest version then.
const (
	inputConfirmed = "confirmed"
	inputFollows   = "follows"
)

// saveForm is the form as typed.
type saveForm struct {
	name, description, note string
	from                    string
	sub                     run.Submission
	request                 trainconf.Request
	findings                []string
	errs                    run.FieldErrors
	submitted               bool
	outdated                *run.OutdatedError // or nil
}

// SaveRun asks for a template's name for a run's settings.
func (p *Pages) SaveRun(w http.ResponseWriter, r *http.Request) error {
	id, err := page.RunID(r)
	if err != nil {
		return err
	}
	found, err := p.Form.Runs.Run(r.Context(), id)
	if err != nil {
		return err
	}
	sub, err := form.SubjectOfRun(found)
	if err != nil {
		return err
	}
	base := sub.Submission()
	if base.Project, err = page.TargetProject(r, access.TemplatesSave, found.Project); err != nil {
		return err
	}
	return p.renderSave(w, r, http.StatusOK, newSaveForm(sub.Ref, base, sub.Request, found.Origin.Template))
}

// newSaveForm proposes the source template's name, or one made of the run's.
func newSaveForm(from string, sub run.Submission, req trainconf.Request, origin string) *saveForm {
	f := &saveForm{from: from, sub: sub, request: req, description: oneLine(req.Options.Description)}
	ref, ok := run.ParseTemplateRef(origin)
	if _, preset := trainconf.PresetByName(ref.Name); ok && !preset {
		f.name = ref.Name
	} else {
		f.name = templateNameFrom(sub.Name)
	}
	return f
}

// templateNameFrom replaces what a template's name does not allow by hyphens.
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

// Save saves the form. The form for a new run opens it first.
func (p *Pages) Save(w http.ResponseWriter, r *http.Request) error {
	if err := page.ReadForm(r); err != nil {
		return err
	}
	if !r.PostForm.Has(form.InputBase) {
		return p.saveFromForm(w, r)
	}
	sub, req, err := form.ReadCarried(r)
	if err != nil {
		return err
	}
	sub.Project = page.Text(r.PostForm.Get(page.InputProject), 64)
	f := &saveForm{
		name: page.Text(r.PostForm.Get(inputTemplate), 200), description: page.Text(r.PostForm.Get(inputDescription), form.MaxBody),
		note: page.Text(r.PostForm.Get(inputNote), form.MaxBody), from: page.Text(r.PostForm.Get(form.InputFrom), 200), sub: sub, request: req, submitted: true,
	}
	follows, told, err := readFollows(r.PostForm, f.name)
	if err != nil {
		return err
	}
	if _, exists, err := p.newestTemplate(r.Context(), f.sub.Project, f.name); err != nil {
		return err
	} else if exists && !told {
		f.submitted = false // show what saving would do first
		return p.renderSave(w, r, http.StatusOK, f)
	}
	saved, err := p.Control.SaveTemplate(r.Context(), run.Template{
		Project: sub.Project, Name: f.name, Description: f.description, Note: f.note, Config: sub.Config, Shape: sub.Shape, Options: sub.Options,
	}, follows)
	if bad := trainconf.AsFieldErrors(err); bad != nil {
		f.errs = bad
		return p.renderSave(w, r, http.StatusUnprocessableEntity, f)
	}
	if errors.As(err, &f.outdated) {
		return p.renderSave(w, r, http.StatusConflict, f) // follows the newest version now: the next click saves
	}
	if err != nil {
		return err
	}
	did := "new"
	if saved.Version == follows {
		did = "same"
	}
	return page.Redirect(w, r, ui.VersionPath(saved.Where())+"&saved="+did)
}

// readFollows returns a template's version when the page was made, and whether the page mentioned it. Of another name it
// said nothing, so none is expected.
func readFollows(form url.Values, name string) (follows int, told bool, err error) {
	if name == "" || form.Get(inputConfirmed) != name {
		return 0, false, nil
	}
	follows, err = strconv.Atoi(form.Get(inputFollows))
	if err != nil || follows < 1 {
		return 0, false, page.ErrBadForm
	}
	return follows, true, nil
}

// saveFromForm takes the form for a new run; errors beside the name are reported there.
func (p *Pages) saveFromForm(w http.ResponseWriter, r *http.Request) error {
	d := form.Read(r.PostForm)
	if d.InvalidExcept(form.InputName) {
		return p.Form.Refuse(w, r, d)
	}
	sub := d.Submission("")
	return p.renderSave(w, r, http.StatusOK, newSaveForm(form.FromForm, sub, d.Request, sub.Origin.Template))
}

// newestTemplate looks among those that who asks may see: saving is what is refused elsewhere.
func (p *Pages) newestTemplate(ctx context.Context, project, name string) (run.Template, bool, error) {
	if run.CheckTemplateName(name) != nil {
		return run.Template{}, false, nil
	}
	all, err := p.Control.Templates(ctx, run.InProjects(cmp.Or(project, access.DefaultProject)))
	i := slices.IndexFunc(all, func(t run.Template) bool { return t.Name == name })
	if i < 0 {
		return run.Template{}, false, err
	}
	return all[i], true, nil
}

// Check says what saving under a typed name would do.
func (p *Pages) Check(w http.ResponseWriter, r *http.Request) error {
	if err := page.ReadForm(r); err != nil {
		return err
	}
	f := &saveForm{name: page.Text(r.PostForm.Get(inputTemplate), 200)}
	f.sub.Project = page.Text(r.PostForm.Get(page.InputProject), 64)
	v, err := p.saveView(r.Context(), f)
	if err != nil {
		return err
	}
	return p.Render(w, r, http.StatusOK, view.NameCheck(v))
}

func (p *Pages) renderSave(w http.ResponseWriter, r *http.Request, status int, f *saveForm) error {
	v, err := p.saveView(r.Context(), f)
	if err != nil {
		return err
	}
	own, err := p.Control.Templates(r.Context(), run.InProjects(cmp.Or(f.sub.Project, access.DefaultProject)))
	if err != nil {
		return err
	}
	v.Project = p.ProjectField(r, access.TemplatesSave, f.sub.Project)
	for _, e := range f.errs {
		if e.Field == page.ParamProject {
			v.Project.Error = form.Sentence(e)
		}
	}
	for _, t := range own {
		v.Name.Suggest = append(v.Name.Suggest, t.Name)
	}
	return p.Render(w, r, status, view.SavePage(p.Frame(r, "Save as template", "templates"), v))
}

// saveView returns the form's model, with what its name means.
func (p *Pages) saveView(ctx context.Context, f *saveForm) (view.Save, error) {
	v := view.Save{
		Name: ui.Field{
			Name: inputTemplate, Label: "Name", Kind: "text", Value: f.name, Required: true, MaxBytes: 63, Hint: "my-7B-diloco",
			Help: "Letters, digits, . _ and -. An existing name gets a new version.",
		},
		Description: ui.Field{
			Name: inputDescription, Label: "Description", Kind: "text", Value: f.description, MaxBytes: trainconf.MaxDescription,
		},
		Note: ui.Field{Name: inputNote, Label: "Version note", Kind: "text", Value: f.note, Help: "What this version changes, in one line."},
		Base: form.Carry(f.sub), Source: f.from, Config: f.sub.Config, Facts: form.Facts(f.request), Findings: f.findings, Next: 1, Submitted: f.submitted,
	}
	v.From, v.FromHref = form.SourceOf(f.from, f.sub)
	newest, exists, err := p.newestTemplate(ctx, f.sub.Project, f.name)
	if err != nil {
		return v, err
	}
	bad := run.CheckTemplateName(f.name)
	preset, taken := trainconf.PresetByName(f.name)
	switch {
	case exists:
		v.Exists, v.Next = true, newest.Version+1
		v.Name.Warning = "This template exists: saving creates version " + ui.Integer(v.Next) + "."
	case taken:
		v.Name.Error = "Name of a built-in preset. Use another, such as my-" + preset.Name + "."
	case bad != nil && f.name != "":
		v.Name.Error = form.Sentence(*bad)
	}
	if f.outdated != nil {
		v.Conflict = conflictOf(f.outdated, newest, p.Now())
	}
	fields := map[string]*ui.Field{inputTemplate: &v.Name, inputDescription: &v.Description, inputNote: &v.Note}
	for _, e := range f.errs {
		if field, ok := fields[e.Field]; ok {
			field.Error = form.Sentence(e)
		} else {
			v.General = append(v.General, form.Labelled(e))
		}
	}
	return v, nil
}

// conflictOf explains a concurrent change of a template; newest is the current version.
func conflictOf(e *run.OutdatedError, newest run.Template, now time.Time) *view.Conflict {
	if newest.Version == 0 {
		return &view.Conflict{Text: fmt.Sprintf("Template %s was deleted while this page was open. Save again to recreate it as version 1.", e.Template)}
	}
	return &view.Conflict{
		Text: fmt.Sprintf("%s saved version %d of %s %s, while this page was open. Review it, then save again to add yours as version %d.",
			newest.Actor, newest.Version, newest.Name, ui.Ago(newest.CreatedAt, now), newest.Version+1),
		Newest: newest, Expected: e.Expected,
	}
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
