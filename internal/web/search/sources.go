package search

import (
	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	view "github.com/cotrain/cotrain/views/search"
	"github.com/cotrain/cotrain/views/ui"
)

// place is a page without a subject.
type place struct {
	title, href string
	words       string // other words to find it by
	key         string // see topbar.templ
	right       access.Right
	admin       bool // only where accounts are managed
}

// places are the pages beside those of the navigation.
var places = [...]place{
	{title: "New run", href: "/runs/new", words: "submit start launch train", key: "n", right: access.RunsSubmit},
	{title: "Import a configuration", href: "/runs/import", words: "toml script upload", right: access.RunsSubmit},
	{title: "New sweep", href: "/sweeps/new", words: "grid search hyperparameters", right: access.RunsSubmit},
	{title: "Compare configurations", href: "/diff", words: "diff difference", right: access.RunsRead},
	{title: "Users", href: "/admin/users", words: "administration accounts people", right: access.UsersManage, admin: true},
	{title: "Audit log", href: "/admin/audit", words: "administration changes refusals history", right: access.AuditRead, admin: true},
	{title: "Projects", href: "/admin/projects", words: "administration members roles", right: access.ProjectsManage, admin: true},
	{title: "Help", href: "/help", words: "documents documentation manual", right: access.SignedIn},
}

// pages finds pages by their titles.
func (p *Pages) pages(q query) (out []view.Hit) {
	for _, e := range ui.Navigation() {
		if q.may(e.Right) && q.matches(e.Label) {
			out = append(out, view.Hit{Title: e.Label, Href: e.Href})
		}
	}
	for _, x := range places {
		if q.may(x.right) && (p.Admin || !x.admin) && q.matches(x.title, x.words) {
			out = append(out, view.Hit{Title: x.title, Href: x.href, Key: x.key})
		}
	}
	return out
}

// settings finds fields of the form for a new run as its own search does, those first that are called so.
func settings(q query) (out []view.Hit) {
	if !q.may(access.RunsSubmit) {
		return nil
	}
	var others []view.Hit
	for _, f := range trainconf.AllFields() {
		if !f.Matches(q.text) {
			continue
		}
		id := ui.Field{Name: f.Path}.ID()
		hit := view.Hit{Title: f.Label, Detail: f.Path, Href: "/runs/new#" + id, Field: id}
		if q.matches(f.Label, f.Path) {
			out = append(out, hit)
		} else {
			others = append(others, hit)
		}
	}
	out = append(out, others...)
	return out[:min(len(out), each)]
}

// help finds sections of the documents.
func (p *Pages) help(q query) (out []view.Hit) {
	for _, h := range p.Documents.Find(q.text, each) {
		out = append(out, view.Hit{Title: h.Title, Detail: h.Document, Href: h.Href})
	}
	return out
}

// templates finds templates and presets.
func (p *Pages) templates(q query) (out []view.Hit, err error) {
	if q.text == "" || !q.may(access.TemplatesRead) {
		return nil, nil
	}
	own, err := p.Control.Templates(q.ctx, run.AllProjects())
	if err != nil {
		return nil, err
	}
	add := func(name, title string) {
		if len(out) < each && q.matches(name, title) {
			out = append(out, view.Hit{Title: name, Detail: title, Href: ui.TemplatePath(name)})
		}
	}
	for _, t := range own {
		add(t.Name, t.Description)
	}
	for _, t := range trainconf.Presets() {
		add(t.Name, t.Title)
	}
	return out, nil
}
