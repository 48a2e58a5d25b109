package web

import (
	"bytes"
	"errors"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// testTemplate is a version of a template.
func testTemplate(name string, version int, set ...string) run.Template {
	p, _ := trainconf.PresetByName("debug-diloco")
	req := trainconf.RequestOfPreset(p)
	for i := 0; i+1 < len(set); i += 2 {
		if err := req.Set(set[i], set[i+1]); err != nil {
			panic(err)
		}
	}
	sub := req.Submission()
	return run.Template{
		Name: name, Version: version, Description: "what for", Config: sub.Config, Shape: sub.Shape, Options: sub.Options, Note: "first",
		Actor: "ann", CreatedAt: testNow.Add(-time.Hour),
	}
}

// hiddenInputs is what a form sends without anybody typing.
func hiddenInputs(a answer, form string) url.Values {
	out := url.Values{}
	a.doc.Find(form + " input[type=hidden]").Each(func(_ int, el *goquery.Selection) {
		name, _ := el.Attr("name")
		value, _ := el.Attr("value")
		out.Add(name, value)
	})
	return out
}

func TestTemplatesAreListedInTwoGroupsWithWhatTheyAreFor(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	empty := s.get("/templates", 200)
	if got := empty.text(t, "[data-templates=own] [data-empty] h2"); got != "No templates of your own yet" {
		t.Errorf("empty: %q", got)
	}
	if got := empty.count("[data-templates=builtin] tr[data-template]"); got != len(trainconf.Presets()) {
		t.Errorf("%d presets", got)
	}
	s.fake.templates = []run.Template{testTemplate("mine", 2), testTemplate("mine", 1)}
	a := s.get("/templates", 200)
	row := "[data-templates=own] tr[data-template=mine] "
	for selector, want := range map[string]string{
		row + "th a": "mine", row + ".cell-detail": "what for", row + ".cell-shape": "2 nodes with 1 x any GPU", row + "time": "1 h ago", row + "td .tag": "DiLoCo",
	} {
		if got := a.text(t, selector); got != want {
			t.Errorf("%s: %q, want %q", selector, got, want)
		}
	}
	if a.count(row+`a[data-action=use][href="/runs/new?template=mine%402"]`) != 1 || a.count(row+`a[data-action=export][href="/templates/mine/export?version=2"]`) != 1 {
		t.Error("no way to use or to export it")
	}
	if a.count(`[data-nav=templates][aria-current=page]`) != 1 {
		t.Error("the navigation does not say where this is")
	}
}

func TestATemplatesPageShowsTheVersionAskedForAndTheHistory(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fake.templates = []run.Template{testTemplate("mine", 2, "optim.total_steps", "50", "tags", "a,b"), testTemplate("mine", 1)}
	a := s.get("/templates/mine", 200)
	if got := a.text(t, "[data-version-shown]"); got != "version 2" {
		t.Errorf("shown %q", got)
	}
	if got := a.text(t, "[data-fact=tags]"); got != "a,b" {
		t.Errorf("tags %q", got)
	}
	if a.count("[data-template-version]") != 2 || a.count(`[data-action=changes][href="/diff?a=template%3Amine%401&b=template%3Amine%402"]`) != 1 {
		t.Error("the history does not lead to what changed")
	}
	old := s.get("/templates/mine?version=1", 200)
	if got := old.text(t, ".note-info a"); got != "Show version 2, the newest" {
		t.Errorf("old version says %q", got)
	}
	s.get("/templates/mine?version=3", 404)
	s.get("/templates/mine?version=x", 422)
	s.get("/templates/nobody", 404)
	s.get("/templates/%2e%2e%2fetc", 404)
	preset := s.get("/templates/7B-diloco", 200)
	if preset.count(`[data-action=ask-delete]`) != 0 || preset.count(`[data-action=use][href="/runs/new?preset=7B-diloco"]`) != 1 {
		t.Error("a preset can be deleted, or not be used")
	}
}

func TestSavingUnderATakenNameSaysSoBeforeItDoes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := testRun(run.Succeeded)
	p, _ := trainconf.PresetByName("debug")
	r.Config = string(p.Config.TOML())
	r.Origin.Template = "mine@1"
	s.fake.runs, s.fake.templates = []run.Run{r}, []run.Template{testTemplate("mine", 1)}
	a := s.get("/runs/"+string(r.ID)+"/template", 200)
	if got, _ := a.doc.Find("#f-template").Attr("value"); got != "mine" {
		t.Errorf("proposed %q", got)
	}
	if got := a.text(t, "#f-template-message"); !strings.Contains(got, "version 2") {
		t.Errorf("told %q", got)
	}
	form := hiddenInputs(a, "#save-form")
	form.Set("template", "mine")
	form.Del("confirmed") // as a browser that was told nothing
	again := s.do("POST", "/templates/save", form)
	if again.status != 200 || len(s.fake.templates) != 1 || again.text(t, "[data-action=save-template]") != "Save as version 2" {
		t.Fatalf("%d, %d versions", again.status, len(s.fake.templates))
	}
	form.Set("confirmed", "mine")
	saved := s.do("POST", "/templates/save", form)
	if saved.status != http.StatusSeeOther || saved.header.Get("Location") != "/templates/mine?saved=new&version=2" {
		t.Fatalf("%d to %q", saved.status, saved.header.Get("Location"))
	}
	if got := s.fake.templates[0]; got.Config != r.Config || got.Shape != r.Shape {
		t.Errorf("saved %+v", got)
	}
	if got := s.get("/templates/mine?saved=new&version=2", 200).text(t, "[data-saved]"); got != "Saved as version 2." {
		t.Errorf("told %q", got)
	}
}

// TestSomebodyElsesVersionIsNotSavedOverUnknowingly has another save come between a page and its button.
func TestSomebodyElsesVersionIsNotSavedOverUnknowingly(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fake.templates = []run.Template{testTemplate("mine", 1)}
	upload := s.upload("/templates/import", testTemplate("x", 1, "optim.total_steps", "70").Config)
	form := hiddenInputs(upload, "#save-form")
	form.Set("template", "mine")
	form.Set("note", "my change")
	told := s.do("POST", "/templates/save", form)
	form.Set("confirmed", hiddenInputs(told, "#save-form").Get("confirmed"))
	form.Set("follows", hiddenInputs(told, "#save-form").Get("follows"))
	if form.Get("confirmed") != "mine" || form.Get("follows") != "1" {
		t.Fatalf("told of %q, version %q", form.Get("confirmed"), form.Get("follows"))
	}
	s.fake.templates = append([]run.Template{testTemplate("mine", 2, "optim.total_steps", "60")}, s.fake.templates...)

	a := s.do("POST", "/templates/save", form)
	if a.status != http.StatusConflict || len(s.fake.templates) != 2 {
		t.Fatalf("%d, %d versions", a.status, len(s.fake.templates))
	}
	if got := a.text(t, "[data-conflict]"); !strings.Contains(got, "Version 2 of mine was saved by ann 1 h ago") || !strings.Contains(got, "as version 3") {
		t.Errorf("told %q", got)
	}
	if a.count(`[data-conflict] a[href="/templates/mine?version=2"]`) != 1 || a.count(`[data-conflict] a[href="/diff?a=template%3Amine%401&b=template%3Amine%402"]`) != 1 {
		t.Error("it does not lead to the version that came between")
	}
	if got, _ := a.doc.Find("#f-note").Attr("value"); got != "my change" || hiddenInputs(a, "#save-form").Get("base") != form.Get("base") {
		t.Error("what was typed is lost")
	}
	if got := a.text(t, "[data-action=save-template]"); got != "Save as version 3" {
		t.Errorf("the button says %q", got)
	}
	assertNoInlineCode(t, a)

	again := hiddenInputs(a, "#save-form")
	again.Set("template", "mine")
	again.Set("note", "my change")
	if saved := s.do("POST", "/templates/save", again); saved.status != http.StatusSeeOther || saved.header.Get("Location") != "/templates/mine?saved=new&version=3" {
		t.Errorf("saving on purpose: %d to %q", saved.status, saved.header.Get("Location"))
	}

	s.fake.templates = nil
	gone := s.do("POST", "/templates/save", again)
	if gone.status != http.StatusConflict || !strings.Contains(gone.text(t, "[data-conflict]"), "was deleted") || gone.text(t, "[data-action=save-template]") != "Save the template" {
		t.Errorf("after it was deleted: %d %q", gone.status, gone.text(t, "[data-conflict]"))
	}
	last := hiddenInputs(gone, "#save-form")
	last.Set("template", "mine")
	if saved := s.do("POST", "/templates/save", last); saved.status != http.StatusSeeOther || saved.header.Get("Location") != "/templates/mine?saved=new&version=1" {
		t.Errorf("saving anew: %d to %q", saved.status, saved.header.Get("Location"))
	}
	last.Set("confirmed", "mine")
	for _, follows := range []string{"", "0", "-1", "x"} {
		last.Set("follows", follows)
		if a := s.do("POST", "/templates/save", last); a.status != http.StatusBadRequest {
			t.Errorf("following version %q: %d", follows, a.status)
		}
	}
}

func TestANameIsCheckedWhileItIsTyped(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fake.templates = []run.Template{testTemplate("mine", 4)}
	for name, want := range map[string]string{"mine": "version 5", "7b": "built-in preset", "a b": "1 to 63", "new": ""} {
		a := s.do("POST", "/templates/check", url.Values{"template": {name}})
		got := a.text(t, "#f-template-message[hx-swap-oob]")
		if !strings.Contains(got, want) || (want == "" && got != "") {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestTheFormForANewRunBecomesATemplate(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	form := url.Values{"origin": {"preset:debug"}}
	p, _ := trainconf.PresetByName("debug")
	for _, path := range p.Config.Paths() {
		v, _ := p.Config.Get(path)
		form.Set(path, v)
	}
	form.Set("nodes", "1")
	a := s.do("POST", "/templates/save", form)
	if a.status != 200 || a.text(t, "[data-from]") != "from the form for a new run" {
		t.Fatalf("%d %q", a.status, a.text(t, "h1"))
	}
	form.Set("optim.batch_size", "many")
	if a := s.do("POST", "/templates/save", form); a.status != 422 || a.count("#run-form") != 1 {
		t.Errorf("a form with a mistake: %d", a.status)
	}
}

func TestWhatControlRefusesStaysOnTheForm(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fake.submitErr = run.FieldErrors{{Field: "note", Rule: "is too long", Fix: "shorten it"}, {Field: "optim.batch_size", Value: "7", Rule: "must be even", Fix: "use 8"}}
	form := url.Values{"base": {baseText(run.Submission{Config: testTemplate("x", 1).Config})}, "from": {"file"}, "template": {"mine"}, "note": {`"><script>x`}}
	a := s.do("POST", "/templates/save", form)
	if a.status != 422 || !strings.Contains(a.text(t, "#f-note-message"), "Is too long") || a.count("[data-form-summary] li") != 2 {
		t.Errorf("%d, %d mistakes", a.status, a.count("[data-form-summary] li"))
	}
	if got, _ := a.doc.Find("#f-note").Attr("value"); got != `"><script>x` {
		t.Errorf("note %q", got)
	}
	assertNoInlineCode(t, a)
	if a := s.do("POST", "/templates/save", url.Values{"base": {"no JSON"}}); a.status != 400 {
		t.Errorf("a base that is none: %d", a.status)
	}
}

// upload sends a file as a browser does.
func (s *site) upload(path, content string) answer {
	s.t.Helper()
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	w, err := m.CreateFormFile("file", "x.toml")
	if err == nil {
		_, err = w.Write([]byte(content))
	}
	if err = errors.Join(err, m.Close()); err != nil {
		s.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.http.URL+path, &b)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", m.FormDataContentType())
	return s.send(r)
}

func TestAnExportImportsAsItWas(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	want := testTemplate("mine", 2, "tags", "a,b", "env", "X=<b>&\"", "retries", "3")
	s.fake.templates = []run.Template{want}
	file := s.get("/templates/mine/export?version=2", 200)
	if got := file.header.Get("Content-Disposition"); got != `attachment; filename="mine-v2.toml"` {
		t.Errorf("file %q", got)
	}
	a := s.upload("/templates/import", file.body)
	if a.status != 200 || a.count("[data-findings]") != 0 || a.text(t, "[data-from]") != "from a file" {
		t.Fatalf("%d", a.status)
	}
	form := hiddenInputs(a, "#save-form")
	form.Set("template", "copy")
	if got := s.do("POST", "/templates/save", form); got.status != http.StatusSeeOther {
		t.Fatalf("save: %d", got.status)
	}
	got := s.fake.templates[0]
	if got.Name != "copy" || got.Config != want.Config || got.Shape != want.Shape || got.Options.Env["X"] != `<b>&"` || len(got.Options.Tags) != 2 || got.Options.Retries != 3 {
		t.Errorf("imported %+v", got)
	}
	s.get("/templates/7B/export", 200)
	s.get("/templates/nobody/export", 404)
}

func TestAFileThatCannotBeImportedIsToldByLine(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	a := s.upload("/templates/import", "name_model = \"150M\"\n[optim]\nbatch_size = \"</textarea><script>\"\n")
	if a.status != 422 || !strings.Contains(a.text(t, "[data-import-errors]"), "ine 3") {
		t.Errorf("%d %q", a.status, a.text(t, "[data-import-errors]"))
	}
	assertNoInlineCode(t, a)
	for name, content := range map[string]string{"nothing": "", "too large": strings.Repeat("#\n", 33<<10), "not text": "\xff\xfe"} {
		if a := s.upload("/templates/import", content); a.status != 422 || a.count("details#import[open] [data-import-errors] li") == 0 {
			t.Errorf("%s: %d", name, a.status)
		}
	}
	if a := s.do("POST", "/templates/import", url.Values{"text": {testTemplate("x", 1).Config}}); a.status != 200 || a.count("#save-form") != 1 {
		t.Errorf("pasted: %d", a.status)
	}
}

func TestDeletingATemplateAsksOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fake.templates = []run.Template{testTemplate("mine", 1)}
	if got := s.get("/templates/mine/delete", 200).text(t, "h1"); got != "Delete the template “mine”?" {
		t.Errorf("asks %q", got)
	}
	a := s.do("POST", "/templates/mine/delete", url.Values{})
	if a.status != http.StatusSeeOther || len(s.fake.did) != 1 || s.fake.did[0] != "delete template mine" {
		t.Errorf("%d %v", a.status, s.fake.did)
	}
	s.get("/templates/nobody/delete", 404)
}
