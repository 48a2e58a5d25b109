package templates

import (
	"net/http"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/templates"
)

// List shows templates and presets.
func (p *Pages) List(w http.ResponseWriter, r *http.Request) error {
	return p.renderTemplateList(w, r, http.StatusOK, view.Import{})
}

func (p *Pages) renderTemplateList(w http.ResponseWriter, r *http.Request, status int, form view.Import) error {
	project, err := page.SelectedProject(r)
	if err != nil {
		return err
	}
	own, err := p.Control.Templates(r.Context(), page.Projects(project))
	if err != nil {
		return err
	}
	list := view.List{Import: form, Now: p.Now()}
	for _, t := range own {
		list.Own = append(list.Own, entryOfTemplate(t))
	}
	for _, p := range trainconf.Presets() {
		list.Builtin = append(list.Builtin, entryOfPreset(p))
	}
	return p.Render(w, r, status, view.ListPage(p.Frame(r, "Templates", "templates"), list))
}

func entryOfTemplate(t run.Template) view.Entry {
	req, _ := trainconf.RequestOfTemplate(t) // as far as understood
	return view.Entry{
		Project: t.Project, Name: t.Name, Version: t.Version, Description: t.Description, Model: modelOf(req), DiLoCo: req.Config.DiLoCo(), Shape: t.Shape,
		Note: t.Note, Actor: t.Actor, ChangedAt: t.CreatedAt,
	}
}

func entryOfPreset(p trainconf.Preset) view.Entry {
	req := trainconf.RequestOfPreset(p)
	return view.Entry{
		Name: p.Name, Title: p.Title, Description: p.Description, Model: modelOf(req), DiLoCo: p.Config.DiLoCo(), Shape: p.Shape,
	}
}

func modelOf(req trainconf.Request) string { return req.Value("name_model") }
