package web

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/views"
)

// templateName reads the name from the path. One of the wrong form names no template.
func templateName(r *http.Request) (string, error) {
	name := r.PathValue("name")
	if run.CheckTemplateName(name) != nil {
		return "", run.NoTemplate(name, 0)
	}
	return name, nil
}

// handleTemplateShow shows a version of a template, by default the newest, or a preset.
func (s *Server) handleTemplateShow(w http.ResponseWriter, r *http.Request) error {
	name, err := templateName(r)
	if err != nil {
		return err
	}
	d := views.TemplateDetail{Now: s.Now()}
	var req trainconf.Request
	if p, ok := trainconf.PresetByName(name); ok {
		req = trainconf.RequestOfPreset(p)
		d.Entry, d.Config = entryOfPreset(p), string(req.Config.TOML())
	} else {
		if d.Versions, err = s.Templates.TemplateVersions(r.Context(), name); err != nil {
			return err
		}
		shown, err := versionOf(r, d.Versions)
		if err != nil {
			return err
		}
		req, _ = trainconf.RequestOfTemplate(shown) // as far as it is understood
		d.Entry, d.Config, d.Newest = entryOfTemplate(shown), shown.Config, d.Versions[0].Version
		d.Saved = savedText(r, shown)
	}
	d.Facts = factsOf(req)
	return s.render(w, r, http.StatusOK, views.TemplatePage(s.page(r, d.Entry.Name, "templates"), d))
}

// versionOf is the version that the query asks for, of those there are.
func versionOf(r *http.Request, versions []run.Template) (run.Template, error) {
	if len(versions) == 0 {
		return run.Template{}, run.NoTemplate(r.PathValue("name"), 0)
	}
	n, err := number(r, "version", int64(versions[0].Version), 1, 1<<31)
	if err != nil {
		return run.Template{}, err
	}
	i := slices.IndexFunc(versions, func(t run.Template) bool { return int64(t.Version) == n })
	if i < 0 {
		return run.Template{}, run.NoTemplate(r.PathValue("name"), int(n))
	}
	return versions[i], nil
}

// savedText says what saving did, to somebody who just has.
func savedText(r *http.Request, t run.Template) string {
	switch r.URL.Query().Get("saved") {
	case "new":
		return fmt.Sprintf("Saved as version %d.", t.Version)
	case "same":
		return fmt.Sprintf("Version %d holds exactly this already, so no new version was made.", t.Version)
	}
	return ""
}

// handleTemplateExport downloads a version of a template, or a preset, as a file that the core can read too.
func (s *Server) handleTemplateExport(w http.ResponseWriter, r *http.Request) error {
	name, err := templateName(r)
	if err != nil {
		return err
	}
	version, err := number(r, "version", 0, 0, 1<<31)
	if err != nil {
		return err
	}
	var t run.Template
	if p, ok := trainconf.PresetByName(name); ok {
		sub := trainconf.RequestOfPreset(p).Submission()
		t = run.Template{Name: p.Name, Description: p.Description, Config: sub.Config, Shape: sub.Shape, Options: sub.Options}
	} else if t, err = s.Templates.Template(r.Context(), name, int(version)); err != nil {
		return err
	}
	file := t.Name
	if t.Version > 0 {
		file += "-v" + strconv.Itoa(t.Version)
	}
	attachment(w, file+".toml", "application/toml")
	_, _ = w.Write(trainconf.EncodeTemplate(t)) // the reader has gone: nobody is left to tell
	return nil
}

// handleTemplateDeleteAsk asks before a template is deleted.
func (s *Server) handleTemplateDeleteAsk(w http.ResponseWriter, r *http.Request) error {
	name, err := templateName(r)
	if err != nil {
		return err
	}
	versions, err := s.Templates.TemplateVersions(r.Context(), name)
	if err != nil {
		return err
	}
	c := views.TemplateDeleteConfirm(name, len(versions))
	return s.render(w, r, http.StatusOK, views.ConfirmPage(s.page(r, c.Title, "templates"), c))
}

// handleTemplateDelete deletes a template with all its versions.
func (s *Server) handleTemplateDelete(w http.ResponseWriter, r *http.Request) error {
	name, err := templateName(r)
	if err != nil {
		return err
	}
	if err := s.Templates.DeleteTemplate(r.Context(), actor, name); err != nil {
		return err
	}
	http.Redirect(w, r, "/templates", http.StatusSeeOther)
	return nil
}

// templateHref is the address of a version's page.
func templateHref(t run.Template, saved string) string {
	q := url.Values{"version": {strconv.Itoa(t.Version)}}
	if saved != "" {
		q.Set("saved", saved)
	}
	return "/templates/" + url.PathEscape(t.Name) + "?" + q.Encode()
}
