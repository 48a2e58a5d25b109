package web_test

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/web"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

// as is a site that one person uses.
func as(t *testing.T, who access.Identity, projects ...string) *webtest.Site {
	t.Helper()
	return webtest.New(t, func(d *web.Deps) {
		d.Projects = func(context.Context) []string { return projects }
		d.Auth = webtest.As(who)
	})
}

func texts(a webtest.Answer, selector string) string {
	return strings.Join(a.Doc.Find(selector).Map(func(_ int, el *goquery.Selection) string { return webtest.Words(el) }), ", ")
}

func TestTheNavigationLeadsOnlyToWhatOneMaySee(t *testing.T) {
	t.Parallel()
	ann := access.Identity{User: "u-1", Name: "ann"}
	with := func(roles map[string]access.Role) access.Identity {
		who := ann
		who.Roles = roles
		return who
	}
	const all = "Runs, Sweeps, Cluster, Storage, Templates"
	for name, c := range map[string]struct {
		who                   access.Identity
		nav, newRun, standing string
	}{
		"nobody":                   {},
		"a member of nothing":      {who: ann, standing: "Member of no project"},
		"a viewer":                 {who: with(map[string]access.Role{"llm": access.Viewer}), nav: all, standing: "viewer in llm"},
		"an operator":              {who: with(map[string]access.Role{"llm": access.Operator}), nav: all, newRun: "New run", standing: "operator in llm"},
		"a member of two projects": {who: with(map[string]access.Role{"llm": access.Viewer, "vision": access.Admin}), nav: all, newRun: "New run", standing: "Member of 2 projects"},
		"an administrator":         {who: access.Identity{User: "u-2", Name: "bob", Administrator: true}, nav: all, newRun: "New run", standing: "Administrator"},
		"everybody, locally":       {who: access.Local(), nav: all, newRun: "New run", standing: "No log-in on this console"},
		"a token that only reads runs": {
			who: access.Identity{User: "u-1", Name: "ann", Roles: map[string]access.Role{"llm": access.Admin}, Limit: &access.Limit{Scopes: []access.Scope{"runs.read"}}},
			nav: "Runs, Sweeps", standing: "Member of no project",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := as(t, c.who, "llm", "vision").Get("/nothing", 404)
			if nav, newRun, standing := texts(a, ".topnav-link"), texts(a, ".topbar-new"), texts(a, "#account .panel-who .muted"); nav != c.nav || newRun != c.newRun || standing != c.standing {
				t.Errorf("%q, %q, %q; want %q, %q, %q", nav, newRun, standing, c.nav, c.newRun, c.standing)
			}
			signOut := a.Count(`#account form[method=post][action="/logout"] button`)
			if want := c.who.Known() && c.who.User != access.Local().User; (signOut == 1) != want || (a.Count(`#account [href="/account"]`) == 1) != want {
				t.Errorf("sign out %d", signOut)
			}
			if a.Count(".theme-switch") != 1 {
				t.Error("no theme to choose")
			}
		})
	}
}

func TestTheProjectSwitcherShowsWhatOneMaySeeAndRemembersTheChoice(t *testing.T) {
	t.Parallel()
	two := as(t, access.Identity{User: "u-1", Name: "ann", Roles: map[string]access.Role{"llm": access.Viewer, "vision": access.Operator}}, "llm", "secret", "vision")
	for _, c := range []struct{ query, cookie, selected string }{
		{"", "", "All projects"}, {"", "vision", "vision"}, {"?project=llm", "vision", "llm"}, {"", "secret", "All projects"},
		{"?project=secret", "vision", "vision"}, {"", "<script>", "All projects"},
	} {
		a := two.Do("GET", "/"+c.query, nil, "Cookie", "project="+c.cookie)
		if got := texts(a, "#projects [aria-pressed=true]"); got != c.selected || texts(a, ".topbar-project") != c.selected {
			t.Errorf("query %q, cookie %q: %q, want %q", c.query, c.cookie, got, c.selected)
		}
		if got := texts(a, "#projects-list button"); got != "All projects, llm, vision" {
			t.Errorf("choices %q", got)
		}
	}
	if a := as(t, access.Identity{User: "u-1", Name: "ann", Roles: map[string]access.Role{"llm": access.Viewer}}, "llm", "secret").Get("/", 200); a.Count("#projects") != 0 {
		t.Error("there is a choice of one")
	}
	if a := as(t, access.Local(), "a", "b", "c", "d", "e", "f", "g", "h").Get("/", 200); a.Count("#projects-filter") != 1 || two.Get("/", 200).Count("#projects-filter") != 0 {
		t.Error("many projects have no filter, or few have one")
	}

	for _, c := range []struct{ project, next, cookie, to string }{
		{"vision", "/sweeps?state=x&project=llm", "project=vision;", "/sweeps?state=x"}, {"", "/?project=llm", "project=;", "/"},
		{"x y", "https://evil.example/", "project=;", "/"}, {"llm", "/runs/new?preset=1B", "project=llm;", "/runs/new?preset=1B"},
	} {
		a := two.Do("POST", "/project", url.Values{"project": {c.project}, "next": {c.next}})
		if got := a.Header.Get("Set-Cookie"); a.Status != 303 || a.Header.Get("Location") != c.to || !strings.HasPrefix(got, c.cookie) || !strings.Contains(got, "HttpOnly; SameSite=Lax") {
			t.Errorf("%+v: %d to %q with %q", c, a.Status, a.Header.Get("Location"), got)
		}
	}
}
