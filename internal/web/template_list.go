package web

import (
	"net/http"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/views"
)

// handleTemplateList shows people's own templates and the built-in presets.
func (s *Server) handleTemplateList(w http.ResponseWriter, r *http.Request) error {
	return s.renderTemplateList(w, r, http.StatusOK, views.TemplateImport{})
}

func (s *Server) renderTemplateList(w http.ResponseWriter, r *http.Request, status int, form views.TemplateImport) error {
	own, err := s.Templates.Templates(r.Context())
	if err != nil {
		return err
	}
	list := views.TemplateList{Import: form, Now: s.Now()}
	for _, t := range own {
		list.Own = append(list.Own, entryOfTemplate(t))
	}
	for _, p := range trainconf.Presets() {
		list.Builtin = append(list.Builtin, entryOfPreset(p))
	}
	return s.render(w, r, status, views.TemplateListPage(s.page(r, "Templates", "templates"), list))
}

func entryOfTemplate(t run.Template) views.TemplateEntry {
	req, _ := trainconf.RequestOfTemplate(t) // as far as it is understood
	return views.TemplateEntry{
		Name: t.Name, Version: t.Version, Description: t.Description, Model: modelOf(req), DiLoCo: req.Config.DiLoCo(), Shape: t.Shape,
		Note: t.Note, Actor: t.Actor, ChangedAt: t.CreatedAt,
	}
}

func entryOfPreset(p trainconf.Preset) views.TemplateEntry {
	req := trainconf.RequestOfPreset(p)
	return views.TemplateEntry{
		Name: p.Name, Title: p.Title, Description: p.Description, Model: modelOf(req), DiLoCo: p.Config.DiLoCo(), Shape: p.Shape,
	}
}

func modelOf(req trainconf.Request) string { return req.Value("name_model") }
