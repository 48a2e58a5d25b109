package search

import (
	"net/url"

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
	{title: "Account and tokens", href: "/account", words: "api token password passkey second factor sessions profile", right: access.Account, admin: true},
	{title: "Change password", href: "/account/password", words: "account", right: access.Password, admin: true},
	{title: "Users", href: "/admin/users", words: "administration accounts people", right: access.UsersManage, admin: true},
	{title: "Audit log", href: "/admin/audit", words: "administration changes refusals history", right: access.AuditRead, admin: true},
	{title: "Secrets", href: "/admin/secrets", words: "administration tokens keys passwords vault nomad variables", right: access.SecretsManage, admin: true},
	{title: "Causes of failures", href: "/admin/causes", words: "administration rules diagnosis categories errors", right: access.CausesManage, admin: true},
	{title: "Projects", href: "/admin/projects", words: "administration members roles", right: access.ProjectsManage, admin: true},
	{title: "Help", href: "/help", words: "documents documentation manual", right: access.SignedIn},
	{title: "Keyboard shortcuts", href: "/help/shortcuts", words: "keys help", key: "?", right: access.SignedIn},
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

// accounts finds projects, and users for who manages them.
func (p *Pages) accounts(q query) (projects, users []view.Hit, err error) {
	if q.text == "" || p.Accounts == nil {
		return nil, nil, nil
	}
	if q.may(access.ProjectRead) {
		all, err := p.Accounts.Projects(q.ctx)
		if err != nil {
			return nil, nil, err
		}
		for _, x := range all {
			if len(projects) < each && q.matches(x.Name, x.Description) {
				projects = append(projects, view.Hit{Title: x.Name, Detail: x.Description, Href: "/projects/" + x.Name})
			}
		}
	}
	if q.may(access.UsersManage) {
		all, err := p.Accounts.Users(q.ctx)
		if err != nil {
			return nil, nil, err
		}
		for _, u := range all {
			if len(users) < each && q.matches(u.Name, u.DisplayName, u.Email) {
				users = append(users, view.Hit{Title: u.Name, Detail: u.DisplayName, Href: "/admin/users/" + url.PathEscape(u.Name)})
			}
		}
	}
	return projects, users, nil
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
