package search_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web"
	"github.com/cotrain/cotrain/internal/web/admin"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

// hits are the addresses that a group of results leads to.
func hits(a webtest.Answer, group string) (out []string) {
	a.Doc.Find(".search-group").Each(func(_ int, el *goquery.Selection) {
		if el.Find("h2").Text() == group {
			out = el.Find("a").Map(func(_ int, a *goquery.Selection) string { return a.AttrOr("href", "") })
		}
	})
	return out
}

func filled(t *testing.T, who access.Identity) *webtest.Site {
	t.Helper()
	s := webtest.New(t, func(d *web.Deps) {
		d.Auth = webtest.As(who)
	})
	alone, ofSweep := webtest.Run(run.Running), webtest.Run(run.Failed)
	sweep := run.Sweep{ID: run.NewSweepID(webtest.Now), Name: "zebrafish", Fields: []string{"nodes"}, Counts: map[run.State]int{run.Failed: 2, run.Running: 1}}
	alone.Name, ofSweep.Name, ofSweep.Origin.Sweep = "zebrafish <b>alone</b>", "zebrafish #7", sweep.ID
	s.Fake.AllRuns, s.Fake.AllSweeps = []run.Run{alone, ofSweep}, []run.Sweep{sweep}
	s.Fake.AllTemplates = []run.Template{webtest.Template("my-zebrafish", 1)}
	s.Fake.AllNodes = []run.Node{{ID: "n-1", Name: "zebrafish-node"}, {ID: "n-2", Name: "other"}}
	return s
}

func TestASearchFindsWhateverHasThatName(t *testing.T) {
	t.Parallel()
	s := filled(t, access.Local())
	runs := []string{"/runs/" + string(s.Fake.AllRuns[0].ID), "/runs/" + string(s.Fake.AllRuns[1].ID)}
	sweep := "/sweeps/" + string(s.Fake.AllSweeps[0].ID)
	for _, c := range []struct {
		text string
		want map[string][]string
	}{
		{"zebrafish", map[string][]string{"Runs": runs, "Sweeps": {sweep}, "Templates": {"/templates/my-zebrafish"}, "Nodes": {"/cluster#node-n-1"}}},
		{string(s.Fake.AllSweeps[0].ID), map[string][]string{"Runs": nil, "Sweeps": {sweep}}},
		{"", map[string][]string{"Runs": runs, "Pages": {"/", "/sweeps", "/cluster", "/storage", "/templates", "/runs/new", "/runs/import", "/sweeps/new", "/diff", "/help", "/help/shortcuts"}}},
		{"CLUSTER", map[string][]string{"Pages": {"/cluster"}, "Runs": nil}},
		{"batch size", map[string][]string{"Settings of a run": {"/runs/new#f-optim-batch_size"}}},
		{"hyperparameters", map[string][]string{"Pages": {"/sweeps/new"}}},
		{"7b-diloco", map[string][]string{"Templates": {"/templates/7B-diloco"}}},
		{"fill factor", map[string][]string{"Help": {"/help/development#what-grows"}}},
	} {
		a := s.Get("/search?q="+strings.ReplaceAll(c.text, " ", "+"), 200)
		for group, want := range c.want {
			if got := hits(a, group); !slices.Equal(got, want) && (len(want) != 1 || !slices.Contains(got, want[0])) {
				t.Errorf("%q: %s are %q, want %q", c.text, group, got, want)
			}
		}
		if got := a.Doc.Find("#search-text").AttrOr("value", ""); got != c.text {
			t.Errorf("the field holds %q", got)
		}
	}
	a := s.Get("/search?q=nothing+is+called+qxzv", 200)
	if a.Text(t, ".search-none") != "Nothing matches “nothing is called qxzv”" || a.Text(t, "[role=status][data-found-text]") != "0 results" {
		t.Errorf("%s", a.Body)
	}
	if got := s.Get("/search?q=alone", 200).Text(t, "[data-run-id] .search-title"); got != "zebrafish <b>alone</b>" {
		t.Errorf("name %q", got)
	}
}

// people are the accounts of a console.
type people struct{ admin.Accounts }

// Projects is for [search.Accounts].
func (people) Projects(context.Context) ([]access.Project, error) {
	return []access.Project{{Name: "vision", Description: "pictures"}, {Name: "speech"}}, nil
}

// Users is for [search.Accounts].
func (people) Users(context.Context) ([]access.User, error) {
	return []access.User{{Name: "ben", DisplayName: "Ben Vision"}, {Name: "cyd"}}, nil
}

func TestASearchFindsProjectsUsersAndTheirPages(t *testing.T) {
	t.Parallel()
	member := access.Identity{User: "u-1", Name: "ben", Roles: map[string]access.Role{"vision": access.Operator}}
	for who, want := range map[*access.Identity]string{ptr(access.Local()): "/admin/users/ben", &member: ""} {
		s := webtest.New(t, func(d *web.Deps) { d.Auth, d.Admin = webtest.As(*who), people{} })
		a := s.Get("/search?q=vision", 200)
		if got := strings.Join(hits(a, "Users"), " "); got != want || !slices.Equal(hits(a, "Projects"), []string{"/projects/vision"}) {
			t.Errorf("%s finds the users %q and projects %q", who.Name, got, hits(a, "Projects"))
		}
	}
}

func ptr[T any](v T) *T { return &v }

func TestTheDialogGetsTheResultsAlone(t *testing.T) {
	t.Parallel()
	s := filled(t, access.Local())
	a := s.Do("GET", "/search?q=zebrafish", nil, "HX-Request", "true")
	if a.Status != 200 || a.Count(".search-group") < 4 || a.Count("main, .topbar, #search-form") != 0 {
		t.Errorf("%d: %s", a.Status, a.Body)
	}
	page := s.Get("/storage", 200)
	if page.Count(`dialog#search form#search-form[action="/search"][hx-get="/search"]`) != 1 || page.Count(`.topbar > a[href="/search"][aria-keyshortcuts="/ Control+K"]`) != 1 {
		t.Error("a page has no search")
	}
	if s.Get("/search", 200).Count("#search-form") != 1 {
		t.Error("the page of the search has a second one")
	}
}

func TestASearchFindsOnlyWhatOneMaySee(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		scope access.Scope
		text  string
		want  string
	}{
		{"templates.read", "zebrafish", "Templates"}, {"runs.read", "zebrafish", "Runs Sweeps"}, {"cluster.read", "zebrafish", "Nodes"}, {"runs.submit", "batch size", "Settings of a run Help"},
		{"runs.read", "batch size", "Help"}, {"runs.read", "", "Pages Runs"},
	} {
		who := access.Identity{User: "u-1", Name: "ann", Roles: map[string]access.Role{"llm": access.Admin}, Limit: &access.Limit{Scopes: []access.Scope{c.scope}}}
		a := filled(t, who).Get("/search?q="+strings.ReplaceAll(c.text, " ", "+"), 200)
		got := strings.Join(a.Doc.Find(".search-group h2").Map(func(_ int, el *goquery.Selection) string { return el.Text() }), " ")
		if got != c.want {
			t.Errorf("%s finds %q by %q, want %q", c.scope, got, c.text, c.want)
		}
		if c.text == "" && !slices.Equal(hits(a, "Pages"), []string{"/", "/sweeps", "/diff", "/help", "/help/shortcuts"}) {
			t.Errorf("pages %q", hits(a, "Pages"))
		}
	}
}

func TestASearchWorksWithoutNomadButNotWithoutTheStore(t *testing.T) {
	t.Parallel()
	s := filled(t, access.Local())
	s.Fake.NodesErr = errors.New("no route")
	if a := s.Get("/search?q=zebrafish", 200); len(hits(a, "Runs")) != 2 || hits(a, "Nodes") != nil {
		t.Errorf("runs %q, nodes %q", hits(a, "Runs"), hits(a, "Nodes"))
	}
	s.Fake.Err = fault.ErrUnavailable
	s.Get("/search?q=zebrafish", 503)
}
