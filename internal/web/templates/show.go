package templates

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/internal/web/form"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/templates"
)

// templateName reads the name from the path and its project from the query. A malformed name is a missing template.
func templateName(r *http.Request) (project, name string, err error) {
	name = r.PathValue("name")
	if run.CheckTemplateName(name) != nil {
		return "", "", run.NoTemplate(name, 0)
	}
	project, err = page.Project(r)
	return project, name, err
}

// Show shows a version of a template, by default the newest, or a preset.
func (p *Pages) Show(w http.ResponseWriter, r *http.Request) error {
	project, name, err := templateName(r)
	if err != nil {
		return err
	}
	d := view.Detail{Now: p.Now()}
	var req trainconf.Request
	if preset, ok := trainconf.PresetByName(name); ok {
		req = trainconf.RequestOfPreset(preset)
		d.Entry, d.Config = entryOfPreset(preset), string(req.Config.TOML())
	} else {
		if d.Versions, err = p.Control.TemplateVersions(r.Context(), project, name); err != nil {
			return err
		}
		shown, err := versionOf(r, d.Versions)
		if err != nil {
			return err
		}
		req, _ = trainconf.RequestOfTemplate(shown) // as far as understood
		d.Entry, d.Config, d.Newest = entryOfTemplate(shown), shown.Config, d.Versions[0].Version
		d.Saved = savedText(r, shown)
	}
	d.Facts = form.Facts(req)
	return p.Render(w, r, http.StatusOK, view.Page(p.Frame(r, d.Entry.Name, "templates"), d))
}

// versionOf is the query's version.
func versionOf(r *http.Request, versions []run.Template) (run.Template, error) {
	if len(versions) == 0 {
		return run.Template{}, run.NoTemplate(r.PathValue("name"), 0)
	}
	n, err := page.Number(r, "version", int64(versions[0].Version), 1, 1<<31)
	if err != nil {
		return run.Template{}, err
	}
	i := slices.IndexFunc(versions, func(t run.Template) bool { return int64(t.Version) == n })
	if i < 0 {
		return run.Template{}, run.NoTemplate(r.PathValue("name"), int(n))
	}
	return versions[i], nil
}

// savedText says what saving did.
func savedText(r *http.Request, t run.Template) string {
	switch r.URL.Query().Get("saved") {
	case "new":
		return fmt.Sprintf("Saved as version %d.", t.Version)
	case "same":
		return fmt.Sprintf("Version %d already holds exactly this: no new version.", t.Version)
	}
	return ""
}

// Export downloads a template's version or a preset, readable by the core too.
func (p *Pages) Export(w http.ResponseWriter, r *http.Request) error {
	project, name, err := templateName(r)
	if err != nil {
		return err
	}
	version, err := page.Number(r, "version", 0, 0, 1<<31)
	if err != nil {
		return err
	}
	var t run.Template
	if preset, ok := trainconf.PresetByName(name); ok {
		sub := trainconf.RequestOfPreset(preset).Submission()
		t = run.Template{Name: preset.Name, Description: preset.Description, Config: sub.Config, Shape: sub.Shape, Options: sub.Options}
	} else if t, err = p.Control.Template(r.Context(), project, name, int(version)); err != nil {
		return err
	}
	file := t.Name
	if t.Version > 0 {
		file += "-v" + strconv.Itoa(t.Version)
	}
	page.Attach(w, file+".toml", "application/toml")
	_, _ = w.Write(trainconf.EncodeTemplate(t)) // the client has gone
	return nil
}

// DeleteAsk confirms deleting a template.
func (p *Pages) DeleteAsk(w http.ResponseWriter, r *http.Request) error {
	project, name, err := templateName(r)
	if err != nil {
		return err
	}
	versions, err := p.Control.TemplateVersions(r.Context(), project, name)
	if err != nil {
		return err
	}
	return p.Ask(w, r, "templates", view.DeleteConfirm(project, name, len(versions)))
}

// Delete deletes all versions of a template.
func (p *Pages) Delete(w http.ResponseWriter, r *http.Request) error {
	project, name, err := templateName(r)
	if err != nil {
		return err
	}
	if err := p.Control.DeleteTemplate(r.Context(), project, name); err != nil {
		return err
	}
	return page.Redirect(w, r, "/templates")
}
