package diff_test

import (
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

func TestTwoVersionsAreComparedByField(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	s.Fake.AllTemplates = []run.Template{
		webtest.Template("mine", 2, "optim.batch_size", "64", "ckpt.path", "/x", "nodes", "3"), webtest.Template("mine", 1, "tags", "<b>old</b>"),
	}
	a := s.Get("/diff?a=template:mine@1&b=template:mine@2", 200)
	webtest.AssertNoInlineCode(t, a)
	for field, want := range map[string][3]string{
		"optim.batch_size": {"16", "64", "changed"}, "ckpt.path": {"not set", "/x", "added"}, "nodes": {"2", "3", "changed"}, "tags": {"<b>old</b>", "not set", "removed"},
	} {
		row := `[data-diff-field="` + field + `"] `
		got := [3]string{a.Text(t, row+"[data-side=before]"), a.Text(t, row+"[data-side=after]"), a.Text(t, row+".diff-kind")}
		if got != want {
			t.Errorf("%s: %q, want %q", field, got, want)
		}
	}
	if n := a.Count("[data-diff-field]"); n != 4 {
		t.Errorf("%d rows", n)
	}
	if a.Count(`[data-diff-section=optim] [data-diff-field="optim.batch_size"]`) != 1 || a.Count(`[data-diff-section=placement] [data-diff-field=nodes]`) != 1 {
		t.Error("fields are not in their sections")
	}
	if a.Count(`[data-diff-unified] [data-op="+"]`) == 0 || a.Count(`[data-diff-unified] [data-op="-"]`) == 0 {
		t.Error("no unified view")
	}
	if a.Count(`[data-action=swap][href="/diff?a=template%3Adefault%2Fmine%402&b=template%3Adefault%2Fmine%401"]`) != 1 {
		t.Error("no way to swap")
	}
}

func TestARunIsComparedWithAPresetAndItselfIsTheSame(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Running)
	r.Config = webtest.Template("x", 1).Config
	s.Fake.AllRuns = []run.Run{r}
	ref := "run:" + string(r.ID)
	a := s.Get("/diff?a="+ref+"&b=preset:debug-diloco", 200)
	if a.Count("[data-diff-field=name]") != 0 || a.Count("[data-diff-field=gpus]") != 1 {
		t.Error("a name counts against a preset, or the shape does not")
	}
	same := s.Get("/diff?a="+ref+"&b="+ref, 200)
	if got := same.Text(t, ".diff-summary strong"); got != "no differences" || same.Count("[data-diff-unified], [data-diff-field]") != 0 {
		t.Errorf("the same: %q", got)
	}
	if same.Count(`#diff-choices option[value="`+ref+`"]`) != 1 || same.Count(`#diff-choices option[value="preset:7B"]`) != 1 {
		t.Error("the choices are not offered")
	}
}

func TestWhatCannotBeComparedIsToldBesideItsInput(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	if got := s.Get("/diff", 200).Text(t, "[data-empty] h2"); got != "Choose two" {
		t.Errorf("empty: %q", got)
	}
	for _, ref := range []string{"nothing", "run:r-0000000000", "run:../etc", "template:nobody@2", "template:x@0", "preset:nobody", "sweep:x", `"><script>`, "template:../../x"} {
		a := s.Do("GET", "/diff?a="+strings.NewReplacer(`"`, "%22", "<", "%3C", ">", "%3E").Replace(ref)+"&b=preset:7B", nil)
		if a.Status != 404 || a.Text(t, "#f-a-message") == "" || a.Count("#f-a[aria-invalid=true]") != 1 || a.Text(t, "#f-b-message") != "" {
			t.Errorf("%s: %d", ref, a.Status)
		}
		webtest.AssertNoInlineCode(t, a)
	}
}
