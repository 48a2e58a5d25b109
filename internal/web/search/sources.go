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
}

// places are the pages beside those of the navigation.
var places = [...]place{
	{"New run", "/runs/new", "submit start launch train", "n", access.RunsSubmit},
	{"Import a configuration", "/runs/import", "toml script upload", "", access.RunsSubmit},
	{"New sweep", "/sweeps/new", "grid search hyperparameters", "", access.RunsSubmit},
	{"Compare configurations", "/diff", "diff difference", "", access.RunsRead},
	{"Help", "/help", "documents documentation manual", "", access.SignedIn},
}

// pages finds pages by their titles.
func pages(q query) (out []view.Hit) {
	for _, e := range ui.Navigation() {
		if q.may(e.Right) && q.matches(e.Label) {
			out = append(out, view.Hit{Title: e.Label, Href: e.Href})
		}
	}
	for _, x := range places {
		if q.may(x.right) && q.matches(x.title, x.words) {
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
