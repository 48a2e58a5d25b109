package templates_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/internal/web/form"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

func TestTemplatesAreListedInTwoGroupsWithWhatTheyAreFor(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	empty := s.Get("/templates", 200)
	if got := empty.Text(t, "[data-templates=own] [data-empty] h2"); got != "No templates yet" {
		t.Errorf("empty: %q", got)
	}
	if got := empty.Count("[data-templates=builtin] tr[data-template]"); got != len(trainconf.Presets()) {
		t.Errorf("%d presets", got)
	}
	s.Fake.AllTemplates = []run.Template{webtest.Template("mine", 2), webtest.Template("mine", 1)}
	a := s.Get("/templates", 200)
	row := "[data-templates=own] tr[data-template=mine] "
	for selector, want := range map[string]string{
		row + "th a": "mine", row + ".cell-detail": "what for", row + ".cell-shape": "2 nodes with 1 x any GPU", row + "time": "1 h ago", row + "td .tag": "DiLoCo",
	} {
		if got := a.Text(t, selector); got != want {
			t.Errorf("%s: %q, want %q", selector, got, want)
		}
	}
	if a.Count(row+`a[data-action=use][href="/runs/new?template=default%2Fmine%402"]`) != 1 || a.Count(row+`a[data-action=export][href="/templates/mine/export?version=2"]`) != 1 {
		t.Error("no way to use or to export it")
	}
	if a.Count(`[data-nav=templates][aria-current=page]`) != 1 {
		t.Error("the navigation does not say where this is")
	}
}

func TestTemplatesOfSeveralProjectsAreToldApart(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	save := func(project, name string) {
		if _, err := s.Fake.SaveTemplate(t.Context(), run.Template{Project: project, Name: name, Config: "[ckpt]", Shape: run.Shape{Nodes: 1}}, run.AnyVersion); err != nil {
			t.Fatal(err)
		}
	}
	save("default", "one")
	if s.Get("/templates", 200).Count("[data-cell=project]") != 0 {
		t.Error("the only project is named")
	}
	save("vision", "two")
	a := s.Get("/templates", 200)
	if got := a.Text(t, "[data-template=two] [data-cell=project]"); got != "vision" {
		t.Errorf("the project is %q", got)
	}
	for _, group := range []string{"own", "builtin"} { // as many cells as headings
		if heads, cells := a.Count("[data-templates="+group+"] thead th"), a.Doc.Find("[data-templates="+group+"] tbody tr").First().Children().Length(); heads != cells {
			t.Errorf("%s: %d headings, %d cells", group, heads, cells)
		}
	}
	if a.Count("[data-templates=builtin] .cell-changed") != 0 {
		t.Error("presets, which never change, say when they did")
	}
}

func TestATemplatesPageShowsTheVersionAskedForAndTheHistory(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	s.Fake.AllTemplates = []run.Template{webtest.Template("mine", 2, "optim.total_steps", "50", "tags", "a,b"), webtest.Template("mine", 1)}
	a := s.Get("/templates/mine", 200)
	if got := a.Text(t, "[data-version-shown]"); got != "version 2" {
		t.Errorf("shown %q", got)
	}
	if got := a.Text(t, "[data-fact=tags]"); got != "a,b" {
		t.Errorf("tags %q", got)
	}
	if a.Count("[data-template-version]") != 2 || a.Count(`[data-action=changes][href="/diff?a=template%3Adefault%2Fmine%401&b=template%3Adefault%2Fmine%402"]`) != 1 {
		t.Error("the history does not lead to what changed")
	}
	old := s.Get("/templates/mine?version=1", 200)
	if got := old.Text(t, ".note-info a"); got != "Show version 2, the newest" {
		t.Errorf("old version says %q", got)
	}
	s.Get("/templates/mine?version=3", 404)
	s.Get("/templates/mine?version=x", 422)
	s.Get("/templates/nobody", 404)
	s.Get("/templates/%2e%2e%2fetc", 404)
	preset := s.Get("/templates/7B-diloco", 200)
	if preset.Count(`[data-action=ask-delete]`) != 0 || preset.Count(`[data-action=use][href="/runs/new?preset=7B-diloco"]`) != 1 {
		t.Error("a preset can be deleted, or not be used")
	}
}

func TestSavingUnderATakenNameSaysSoBeforeItDoes(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Succeeded)
	p, _ := trainconf.PresetByName("debug")
	r.Config = string(p.Config.TOML())
	r.Origin.Template = "mine@1"
	s.Fake.AllRuns, s.Fake.AllTemplates = []run.Run{r}, []run.Template{webtest.Template("mine", 1)}
	a := s.Get("/runs/"+string(r.ID)+"/template", 200)
	if got, _ := a.Doc.Find("#f-template").Attr("value"); got != "mine" {
		t.Errorf("proposed %q", got)
	}
	if got := a.Text(t, "#f-template-message"); !strings.Contains(got, "version 2") {
		t.Errorf("told %q", got)
	}
	form := webtest.HiddenInputs(a, "#save-form")
	form.Set("template", "mine")
	form.Del("confirmed") // as a browser that was told nothing
	again := s.Do("POST", "/templates/save", form)
	if again.Status != 200 || len(s.Fake.AllTemplates) != 1 || again.Text(t, "[data-action=save-template]") != "Save as version 2" {
		t.Fatalf("%d, %d versions", again.Status, len(s.Fake.AllTemplates))
	}
	form.Set("confirmed", "mine")
	saved := s.Do("POST", "/templates/save", form)
	if saved.Status != http.StatusSeeOther || saved.Header.Get("Location") != "/templates/mine?version=2&saved=new" {
		t.Fatalf("%d to %q", saved.Status, saved.Header.Get("Location"))
	}
	if got := s.Fake.AllTemplates[0]; got.Config != r.Config || got.Shape != r.Shape {
		t.Errorf("saved %+v", got)
	}
	if got := s.Get("/templates/mine?version=2&saved=new", 200).Text(t, "[data-saved]"); got != "Saved as version 2." {
		t.Errorf("told %q", got)
	}
}

// TestSomebodyElsesVersionIsNotSavedOverUnknowingly has another save come between a page and its button.
func TestSomebodyElsesVersionIsNotSavedOverUnknowingly(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	s.Fake.AllTemplates = []run.Template{webtest.Template("mine", 1)}
	upload := s.Upload("/templates/import", webtest.Template("x", 1, "optim.total_steps", "70").Config)
	form := webtest.HiddenInputs(upload, "#save-form")
	form.Set("template", "mine")
	form.Set("note", "my change")
	told := s.Do("POST", "/templates/save", form)
	form.Set("confirmed", webtest.HiddenInputs(told, "#save-form").Get("confirmed"))
	form.Set("follows", webtest.HiddenInputs(told, "#save-form").Get("follows"))
	if form.Get("confirmed") != "mine" || form.Get("follows") != "1" {
		t.Fatalf("told of %q, version %q", form.Get("confirmed"), form.Get("follows"))
	}
	s.Fake.AllTemplates = append([]run.Template{webtest.Template("mine", 2, "optim.total_steps", "60")}, s.Fake.AllTemplates...)

	a := s.Do("POST", "/templates/save", form)
	if a.Status != http.StatusConflict || len(s.Fake.AllTemplates) != 2 {
		t.Fatalf("%d, %d versions", a.Status, len(s.Fake.AllTemplates))
	}
	if got := a.Text(t, "[data-conflict]"); !strings.Contains(got, "ann saved version 2 of mine 1 h ago") || !strings.Contains(got, "as version 3") {
		t.Errorf("told %q", got)
	}
	if a.Count(`[data-conflict] a[href="/templates/mine?version=2"]`) != 1 || a.Count(`[data-conflict] a[href="/diff?a=template%3Adefault%2Fmine%401&b=template%3Adefault%2Fmine%402"]`) != 1 {
		t.Error("it does not lead to the version that came between")
	}
	if got, _ := a.Doc.Find("#f-note").Attr("value"); got != "my change" || webtest.HiddenInputs(a, "#save-form").Get("base") != form.Get("base") {
		t.Error("what was typed is lost")
	}
	if got := a.Text(t, "[data-action=save-template]"); got != "Save as version 3" {
		t.Errorf("the button says %q", got)
	}
	webtest.AssertNoInlineCode(t, a)

	again := webtest.HiddenInputs(a, "#save-form")
	again.Set("template", "mine")
	again.Set("note", "my change")
	if saved := s.Do("POST", "/templates/save", again); saved.Status != http.StatusSeeOther || saved.Header.Get("Location") != "/templates/mine?version=3&saved=new" {
		t.Errorf("saving on purpose: %d to %q", saved.Status, saved.Header.Get("Location"))
	}

	s.Fake.AllTemplates = nil
	gone := s.Do("POST", "/templates/save", again)
	if gone.Status != http.StatusConflict || !strings.Contains(gone.Text(t, "[data-conflict]"), "was deleted") || gone.Text(t, "[data-action=save-template]") != "Save template" {
		t.Errorf("after it was deleted: %d %q", gone.Status, gone.Text(t, "[data-conflict]"))
	}
	last := webtest.HiddenInputs(gone, "#save-form")
	last.Set("template", "mine")
	if saved := s.Do("POST", "/templates/save", last); saved.Status != http.StatusSeeOther || saved.Header.Get("Location") != "/templates/mine?version=1&saved=new" {
		t.Errorf("saving anew: %d to %q", saved.Status, saved.Header.Get("Location"))
	}
	last.Set("confirmed", "mine")
	for _, follows := range []string{"", "0", "-1", "x"} {
		last.Set("follows", follows)
		if a := s.Do("POST", "/templates/save", last); a.Status != http.StatusBadRequest {
			t.Errorf("following version %q: %d", follows, a.Status)
		}
	}
}

func TestANameIsCheckedWhileItIsTyped(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	s.Fake.AllTemplates = []run.Template{webtest.Template("mine", 4)}
	for name, want := range map[string]string{"mine": "version 5", "7b": "built-in preset", "a b": "1 to 63", "new": ""} {
		a := s.Do("POST", "/templates/check", url.Values{"template": {name}})
		got := a.Text(t, "#f-template-message[hx-swap-oob]")
		if !strings.Contains(got, want) || (want == "" && got != "") {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestTheFormForANewRunBecomesATemplate(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	form := url.Values{"origin": {"preset:debug"}}
	p, _ := trainconf.PresetByName("debug")
	for _, path := range p.Config.Paths() {
		v, _ := p.Config.Get(path)
		form.Set(path, v)
	}
	form.Set("nodes", "1")
	a := s.Do("POST", "/templates/save", form)
	if a.Status != 200 || a.Text(t, "[data-from]") != "from the new-run form" {
		t.Fatalf("%d %q", a.Status, a.Text(t, "h1"))
	}
	form.Set("optim.batch_size", "many")
	if a := s.Do("POST", "/templates/save", form); a.Status != 422 || a.Count("#run-form") != 1 {
		t.Errorf("a form with a mistake: %d", a.Status)
	}
}

func TestWhatControlRefusesStaysOnTheForm(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	s.Fake.SubmitErr = run.FieldErrors{{Field: "note", Rule: "is too long", Fix: "shorten it"}, {Field: "optim.batch_size", Value: "7", Rule: "must be even", Fix: "use 8"}}
	form := url.Values{"base": {form.Carry(run.Submission{Config: webtest.Template("x", 1).Config})}, "from": {"file"}, "template": {"mine"}, "note": {`"><script>x`}}
	a := s.Do("POST", "/templates/save", form)
	if a.Status != 422 || !strings.Contains(a.Text(t, "#f-note-message"), "Is too long") || a.Count("[data-form-summary] li") != 2 {
		t.Errorf("%d, %d mistakes", a.Status, a.Count("[data-form-summary] li"))
	}
	if got, _ := a.Doc.Find("#f-note").Attr("value"); got != `"><script>x` {
		t.Errorf("note %q", got)
	}
	webtest.AssertNoInlineCode(t, a)
	if a := s.Do("POST", "/templates/save", url.Values{"base": {"no JSON"}}); a.Status != 400 {
		t.Errorf("a base that is none: %d", a.Status)
	}
}

func TestAnExportImportsAsItWas(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	want := webtest.Template("mine", 2, "tags", "a,b", "env", "X=<b>&\"", "retries", "3")
	s.Fake.AllTemplates = []run.Template{want}
	file := s.Get("/templates/mine/export?version=2", 200)
	if got := file.Header.Get("Content-Disposition"); got != `attachment; filename="mine-v2.toml"` {
		t.Errorf("file %q", got)
	}
	a := s.Upload("/templates/import", file.Body)
	if a.Status != 200 || a.Count("[data-findings]") != 0 || a.Text(t, "[data-from]") != "from a file" {
		t.Fatalf("%d", a.Status)
	}
	form := webtest.HiddenInputs(a, "#save-form")
	form.Set("template", "copy")
	if got := s.Do("POST", "/templates/save", form); got.Status != http.StatusSeeOther {
		t.Fatalf("save: %d", got.Status)
	}
	got := s.Fake.AllTemplates[0]
	if got.Name != "copy" || got.Config != want.Config || got.Shape != want.Shape || got.Options.Env["X"] != `<b>&"` || len(got.Options.Tags) != 2 || got.Options.Retries != 3 {
		t.Errorf("imported %+v", got)
	}
	s.Get("/templates/7B/export", 200)
	s.Get("/templates/nobody/export", 404)
}

func TestAFileThatCannotBeImportedIsToldByLine(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	a := s.Upload("/templates/import", "name_model = \"150M\"\n[optim]\nbatch_size = \"</textarea><script>\"\n")
	if a.Status != 422 || !strings.Contains(a.Text(t, "[data-import-errors]"), "ine 3") {
		t.Errorf("%d %q", a.Status, a.Text(t, "[data-import-errors]"))
	}
	webtest.AssertNoInlineCode(t, a)
	for name, content := range map[string]string{"nothing": "", "too large": strings.Repeat("#\n", 33<<10), "not text": "\xff\xfe"} {
		if a := s.Upload("/templates/import", content); a.Status != 422 || a.Count("details#import[open] [data-import-errors] li") == 0 {
			t.Errorf("%s: %d", name, a.Status)
		}
	}
	if a := s.Do("POST", "/templates/import", url.Values{"text": {webtest.Template("x", 1).Config}}); a.Status != 200 || a.Count("#save-form") != 1 {
		t.Errorf("pasted: %d", a.Status)
	}
}

func TestDeletingATemplateAsksOnce(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	s.Fake.AllTemplates = []run.Template{webtest.Template("mine", 1)}
	if got := s.Get("/templates/mine/delete", 200).Text(t, "h1"); got != "Delete template “mine”?" {
		t.Errorf("asks %q", got)
	}
	a := s.Do("POST", "/templates/mine/delete", url.Values{})
	if a.Status != http.StatusSeeOther || len(s.Fake.Did) != 1 || s.Fake.Did[0] != "delete template mine" {
		t.Errorf("%d %v", a.Status, s.Fake.Did)
	}
	s.Get("/templates/nobody/delete", 404)
}
