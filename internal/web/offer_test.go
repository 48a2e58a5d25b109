package web_test

import (
	"net/url"
	"testing"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

// asMember lets everybody be ann, with these roles.
func asMember(roles map[string]access.Role) func(*web.Deps) {
	return func(d *web.Deps) { d.Auth = webtest.As(access.Identity{User: "u1", Name: "ann", Roles: roles}) }
}

func TestPagesOfferOnlyWhatOneMayDo(t *testing.T) {
	t.Parallel()
	live, ended := webtest.Run(run.Running), webtest.Run(run.Failed)
	ended.ID = "r-0000000002"
	started := run.Sweep{ID: "s-0000000001", Project: access.DefaultProject, Name: "a sweep", Counts: map[run.State]int{run.Running: 2}}
	done := run.Sweep{ID: "s-0000000002", Project: access.DefaultProject, Name: "another", Counts: map[run.State]int{run.Succeeded: 2}}
	pages := map[string][]string{
		"/runs/" + string(live.ID):      {"[data-action=clone]", "[data-action=save-template]", "[data-action=ask-stop]", "[data-action=ask-pause]", "[data-action=ask-kill]"},
		"/runs/" + string(ended.ID):     {"[data-action=ask-retry]", "[data-action=retry-changed]", "[data-action=ask-delete]", "#delete-dialog"},
		"/sweeps":                       {"[data-action=new-sweep]"},
		"/sweeps/" + string(started.ID): {"[data-action=ask-stop]", "#stop-dialog"},
		"/sweeps/" + string(done.ID):    {"[data-action=ask-delete]", "#delete-dialog"},
		"/templates":                    {"[data-action=use]", "#import"},
		"/templates/mine":               {"[data-action=use]", "[data-action=sweep]", "[data-action=ask-delete]", "#delete-template-dialog, #delete-dialog"},
	}
	for role, offered := range map[access.Role]bool{access.Viewer: false, access.Operator: true} {
		s := webtest.New(t, asMember(map[string]access.Role{access.DefaultProject: role}))
		if got := s.Get("/", 200).Count("[data-action=sample-run]") > 0; got != offered {
			t.Errorf("%s: the sample run is offered: %v", role, got)
		}
		s.Fake.AllRuns, s.Fake.AllSweeps = []run.Run{live, ended}, []run.Sweep{started, done}
		s.Fake.AllTemplates = []run.Template{webtest.Template("mine", 1)}
		for path, selectors := range pages {
			a := s.Get(path, 200)
			for _, selector := range selectors {
				if got := a.Count(selector) > 0; got != offered {
					t.Errorf("%s: %s on %s: %v", role, selector, path, got)
				}
			}
		}
	}
}

func TestAViewerOfOneProjectIsNotOfferedWhatAnOperatorOfAnotherIs(t *testing.T) {
	t.Parallel()
	s := webtest.New(t, asMember(map[string]access.Role{access.DefaultProject: access.Viewer, "vision": access.Operator}))
	theirs, own := webtest.Run(run.Running), webtest.Run(run.Running)
	own.ID, own.Project = "r-0000000002", "vision"
	s.Fake.AllRuns = []run.Run{theirs, own}
	for id, want := range map[run.ID]int{theirs.ID: 0, own.ID: 1} {
		page := s.Get("/runs/"+string(id), 200)
		if got := page.Count("[data-action=ask-stop]"); got != want {
			t.Errorf("%s: %d offers to stop", id, got)
		}
		if page.Count("[data-action=clone]") != 1 {
			t.Errorf("%s: a clone in vision is not offered", id)
		}
		if project := s.Get("/runs/new?clone="+string(id), 200).Doc.Find("#run-form [name=in_project]").AttrOr("value", ""); project != "vision" {
			t.Errorf("a clone of %s opens in %q", id, project)
		}
	}
}

func TestWhatIsNewIsForTheSelectedProjectOrOneThatIsAskedFor(t *testing.T) {
	t.Parallel()
	op := access.Operator
	const choose = "?"
	for name, c := range map[string]struct {
		roles    map[string]access.Role
		selected string
		choices  int // 0 without a choice
		want     string
	}{
		"one project":                    {map[string]access.Role{"a": op, "c": access.Viewer}, "", 0, "a"},
		"one of several":                 {map[string]access.Role{"a": op, "b": op, "c": access.Viewer}, "b", 2, "b"},
		"the default one":                {map[string]access.Role{"a": op, "default": op}, "", 2, "default"},
		"several and none selected":      {map[string]access.Role{"a": op, "b": op}, "", 3, choose},
		"where one may only look":        {map[string]access.Role{"a": op, "default": op, "c": access.Viewer}, "c", 2, "default"},
		"where one is not a member":      {map[string]access.Role{"a": op, "default": op}, "other", 2, "default"},
		"in one where one may only look": {map[string]access.Role{"a": op, "c": access.Viewer}, "c", 0, "a"},
	} {
		s := webtest.New(t, asMember(c.roles))
		source := webtest.Run(run.Failed)
		source.Project = "elsewhere"
		s.Fake.AllRuns = []run.Run{source}
		cookie := "project=" + c.selected
		for _, path := range []string{"/runs/new", "/sweeps/new?from=preset:debug-diloco", "/runs/" + string(source.ID) + "/template"} {
			a := s.Do("GET", path, nil, "Cookie", cookie)
			got := a.Doc.Find("input[type=hidden][name=in_project]:not(#projects *)").AttrOr("value", choose)
			if c.choices > 0 {
				got = a.Doc.Find("#f-in_project option[selected]").AttrOr("value", choose)
			}
			if n := a.Count("#f-in_project option"); a.Status != 200 || n != c.choices || got != c.want && (got != "" || c.want != choose) {
				t.Errorf("%s: %s: status %d, %d choices, %q is chosen", name, path, a.Status, n, got)
			}
		}
		a := s.Do("POST", "/runs/sample", url.Values{}, "Cookie", cookie)
		if want := map[bool]string{true: "", false: c.want}[c.want == choose]; a.Status != 303 || s.Fake.Submitted[0].Project != want {
			t.Errorf("%s: the sample run is submitted to %+v", name, s.Fake.Submitted)
		}
	}
}

func TestTheChosenProjectIsThatOfWhatIsSent(t *testing.T) {
	t.Parallel()
	s := webtest.New(t, asMember(map[string]access.Role{"a": access.Operator, "b": access.Operator}))
	form := webtest.FormOf(t, s.Do("GET", "/runs/new", nil, "Cookie", "project=a"))
	form.Set("name", "mine")
	form.Set("in_project", "b")
	form.Set("project", "b") // of the configuration, for its logger
	if a := s.Do("POST", "/runs", form); a.Status != 303 || s.Fake.Submitted[0].Project != "b" {
		t.Errorf("run: %d, %+v", a.Status, s.Fake.Submitted)
	}
	saving := s.Do("POST", "/templates/save", form)
	if got := saving.Doc.Find("#f-in_project option[selected]").AttrOr("value", ""); got != "b" {
		t.Errorf("the template is for %q", got)
	}
	save := webtest.HiddenInputs(saving, "#save-form")
	save.Set("template", "mine")
	save.Set("in_project", "a")
	if a := s.Do("POST", "/templates/save", save); a.Status != 303 || s.Fake.AllTemplates[0].Project != "a" {
		t.Errorf("template: %d, %+v", a.Status, s.Fake.AllTemplates)
	}
	if a := s.Do("POST", "/templates/check", url.Values{"template": {"mine"}, "in_project": {"a"}}, "HX-Request", "true"); a.Count("[name=confirmed][value=mine]") != 1 {
		t.Error("a name that is taken in the chosen project is not told")
	}
	if a := s.Do("POST", "/templates/check", url.Values{"template": {"mine"}, "in_project": {"b"}}, "HX-Request", "true"); a.Count("[name=confirmed][value=mine]") != 0 {
		t.Error("a name that is taken in another project is told")
	}
}
