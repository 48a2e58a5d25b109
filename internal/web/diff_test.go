package web

import (
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/run"
)

func TestTwoVersionsAreComparedByField(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fake.templates = []run.Template{
		testTemplate("mine", 2, "optim.batch_size", "64", "ckpt.path", "/x", "nodes", "3"), testTemplate("mine", 1, "tags", "<b>old</b>"),
	}
	a := s.get("/diff?a=template:mine@1&b=template:mine@2", 200)
	assertNoInlineCode(t, a)
	for field, want := range map[string][3]string{
		"optim.batch_size": {"16", "64", "changed"}, "ckpt.path": {"not set", "/x", "added"}, "nodes": {"2", "3", "changed"}, "tags": {"<b>old</b>", "not set", "removed"},
	} {
		row := `[data-diff-field="` + field + `"] `
		got := [3]string{a.text(t, row+"[data-side=before]"), a.text(t, row+"[data-side=after]"), a.text(t, row+".diff-kind")}
		if got != want {
			t.Errorf("%s: %q, want %q", field, got, want)
		}
	}
	if n := a.count("[data-diff-field]"); n != 4 {
		t.Errorf("%d rows", n)
	}
	if a.count(`[data-diff-section=optim] [data-diff-field="optim.batch_size"]`) != 1 || a.count(`[data-diff-section=placement] [data-diff-field=nodes]`) != 1 {
		t.Error("fields are not in their sections")
	}
	if a.count(`[data-diff-unified] [data-op="+"]`) == 0 || a.count(`[data-diff-unified] [data-op="-"]`) == 0 {
		t.Error("no unified view")
	}
	if a.count(`[data-action=swap][href="/diff?a=template%3Amine%402&b=template%3Amine%401"]`) != 1 {
		t.Error("no way to swap")
	}
}

func TestARunIsComparedWithAPresetAndItselfIsTheSame(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := testRun(run.Running)
	r.Config = testTemplate("x", 1).Config
	s.fake.runs = []run.Run{r}
	ref := "run:" + string(r.ID)
	a := s.get("/diff?a="+ref+"&b=preset:debug-diloco", 200)
	if a.count("[data-diff-field=name]") != 0 || a.count("[data-diff-field=gpus]") != 1 {
		t.Error("a name counts against a preset, or the shape does not")
	}
	same := s.get("/diff?a="+ref+"&b="+ref, 200)
	if got := same.text(t, ".diff-summary strong"); got != "no difference." || same.count("[data-diff-unified], [data-diff-field]") != 0 {
		t.Errorf("the same: %q", got)
	}
	if same.count(`#diff-choices option[value="`+ref+`"]`) != 1 || same.count(`#diff-choices option[value="preset:7B"]`) != 1 {
		t.Error("the choices are not offered")
	}
}

func TestWhatCannotBeComparedIsToldBesideItsInput(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if got := s.get("/diff", 200).text(t, "[data-empty] h2"); got != "Choose two" {
		t.Errorf("empty: %q", got)
	}
	for _, ref := range []string{"nothing", "run:r-0000000000", "run:../etc", "template:nobody@2", "template:x@0", "preset:nobody", "sweep:x", `"><script>`, "template:../../x"} {
		a := s.do("GET", "/diff?a="+strings.NewReplacer(`"`, "%22", "<", "%3C", ">", "%3E").Replace(ref)+"&b=preset:7B", nil)
		if a.status != 404 || a.text(t, "#f-a-message") == "" || a.count("#f-a[aria-invalid=true]") != 1 || a.text(t, "#f-b-message") != "" {
			t.Errorf("%s: %d", ref, a.status)
		}
		assertNoInlineCode(t, a)
	}
}

func TestLinesThatStayAreKeptNearChangesOnly(t *testing.T) {
	t.Parallel()
	var a []string
	for i := range 20 {
		a = append(a, strings.Repeat("x", i+1))
	}
	b := append([]string{}, a...)
	b[10] = "new"
	var ops strings.Builder
	for _, l := range diffLines(a, b) {
		ops.WriteByte(l.Op)
	}
	if got := ops.String(); got != "@   -+   @" {
		t.Errorf("ops %q", got)
	}
	if diffLines(a, a) != nil || len(diffLines(nil, []string{"x"})) != 1 {
		t.Error("the same differs, or nothing and something do not")
	}
	long := strings.Split(strings.Repeat("a\nb\n", 3000), "\n")
	if got := diffLines(long, strings.Split(strings.Repeat("c\nd\n", 3000), "\n")); len(got) < 12000 {
		t.Errorf("%d lines of two long texts", len(got))
	}
}
