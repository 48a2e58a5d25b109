package sweeps_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/live"
	"github.com/cotrain/cotrain/internal/web/sweeps"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

// sweepValues is a form of a sweep, as a browser sends it.
func sweepValues(t *testing.T, s *webtest.Site, from string, more ...string) url.Values {
	t.Helper()
	form := webtest.HiddenInputs(s.Get("/sweeps/new?from="+from, 200), "#sweep-form")
	form.Set("name", "rates")
	form.Set("parallel", "2")
	for i := 0; i+1 < len(more); i += 2 {
		form.Add(more[i], more[i+1])
	}
	return form
}

func TestTheFormOfASweepShowsItsRunsBeforeTheyAreMade(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	form := sweepValues(t, s, "preset:debug-diloco", "field", "optim.optim.lr", "values", "1e-4, 3e-4", "field", "nodes", "values", "1, 2, x")
	a := s.Do("POST", "/sweeps/preview", form)
	if a.Status != 200 || !strings.Contains(a.Text(t, "#axis-2-message"), "whole number") {
		t.Errorf("%d %q", a.Status, a.Text(t, "#axis-2-message"))
	}
	form["values"][1] = "1, 2"
	a = s.Do("POST", "/sweeps/preview", form, "HX-Request", "true")
	if a.Count("[data-points='4'][data-broken='0']") != 1 || a.Count("[data-point]") != 4 || a.Count("#sweep-form") != 0 {
		t.Errorf("%d runs", a.Count("[data-point]"))
	}
	if got := a.Text(t, "[data-point='2']"); got != "2 0.0001 2 valid" {
		t.Errorf("run 2: %q", got)
	}
	if got := a.Text(t, "[data-plan=cost]"); !strings.HasPrefix(got, "6 ") {
		t.Errorf("cost %q", got)
	}
	if got := a.Text(t, "#sweep-submit"); got != "Start 4 runs" {
		t.Errorf("button %q", got)
	}
	form["field"][0], form["values"][0] = "train.micro_bs", "8, 7"
	a = s.Do("POST", "/sweeps/preview", form)
	if a.Count("[data-point][data-valid=false]") != 2 || a.Count(".check-bad") != 2 {
		t.Errorf("%d runs are not valid", a.Count("[data-point][data-valid=false]"))
	}
	if a.Count("#sweep-fields option[value='optim.optim.lr']") != 1 || a.Count("#sweep-fields option[value='monitor.auth_token']") != 0 {
		t.Error("the fields that can vary are not offered, or a secret is")
	}
	form.Set("more", "1")
	if n := s.Do("POST", "/sweeps/preview", form).Count("[data-axis]"); n != 3 {
		t.Errorf("%d rows after another was asked for", n)
	}
}

func TestThePreviewOfASweepTellsWhatTheProjectDoesNotAllow(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	s.Fake.Judge = func(_ context.Context, sub run.Submission) (errs, warns run.FieldErrors) {
		if sub.Shape.Nodes > 2 {
			errs = run.FieldErrors{{Field: "nodes", Value: "3", Rule: "is more than project " + sub.Project + " allows", Fix: "use at most 2"}}
		}
		return errs, nil
	}
	form := sweepValues(t, s, "preset:debug", "field", "nodes", "values", "2,3")
	form.Set("in_project", "vision")
	text := s.Do("POST", "/sweeps/preview", form).Text(t, "main")
	if strings.Count(text, "Is more than project vision allows") != 1 {
		t.Errorf("%s", text)
	}
}

func TestASweepIsSubmittedAsTyped(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	s.Fake.AllTemplates = []run.Template{webtest.Template("mine", 1, "ckpt.path", "/out/", "ckpt.interval", "5")}
	form := sweepValues(t, s, "template:mine", "mode", "grid", "field", "optim.optim.lr", "values", "1e-4..1e-2 log 3", "field", "", "values", "")
	if got := form.Get("folders"); got != "" {
		t.Fatalf("a check box is sent hidden: %q", got)
	}
	form.Set("folders", "own")
	a := s.Do("POST", "/sweeps", form)
	if a.Status != http.StatusSeeOther || !strings.HasPrefix(a.Header.Get("Location"), "/sweeps/s-") {
		t.Fatalf("%d", a.Status)
	}
	got := s.Fake.Specs[0]
	if got.Name != "rates" || got.Parallel != 2 || got.Origin.Template != "default/mine@1" || len(got.Grid) != 1 || len(got.Grid[0].Values) != 3 || got.Key == "" {
		t.Errorf("spec %+v", got)
	}
	if !strings.Contains(got.Config, `path = "/out/{run}"`) {
		t.Errorf("its runs share a folder: %s", got.Config)
	}
	form.Set("mode", "list")
	form["field"], form["values"] = []string{"nodes", "gpus"}, []string{"1,2", "4\n8"}
	if a := s.Do("POST", "/sweeps", form); a.Status != http.StatusSeeOther {
		t.Fatalf("list: %d", a.Status)
	}
	if list := s.Fake.Specs[1].List; len(list) != 2 || list[1]["nodes"] != "2" || list[1]["gpus"] != "8" || s.Fake.Specs[1].Grid != nil {
		t.Errorf("list %v", list)
	}
}

func TestWhatASweepCannotBeIsToldWhereItWasTyped(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	for name, c := range map[string]struct{ field, values, selector, want string }{
		"no such field": {"optim.learning", "1", "#axis-1-message", "not a setting"},
		"its name":      {"name", "a,b", "#axis-1-message", "annot be varied"},
		"a secret":      {"monitor.auth_token", "a,b", "#axis-1-message", "secret"},
		"no values":     {"nodes", "", "#axis-1-message", "no values yet"},
		"no field":      {"", "1,2", "#axis-1-message", "without a field"},
		"no number":     {"nodes", "<script>", "#axis-1-message", "whole number"},
		"nothing":       {"", "", "[data-form-summary]", "least one field"},
		"too many":      {"nodes", strings.Repeat("1,", 600), "#axis-1-message", "at most 500"},
	} {
		form := sweepValues(t, s, "preset:debug", "field", c.field, "values", c.values)
		a := s.Do("POST", "/sweeps", form)
		if a.Status != 422 || !strings.Contains(a.Text(t, c.selector), c.want) {
			t.Errorf("%s: %d %q", name, a.Status, a.Text(t, c.selector))
		}
		webtest.AssertNoInlineCode(t, a)
	}
	form := sweepValues(t, s, "preset:debug", "mode", "list", "field", "nodes", "values", "1,2", "field", "gpus", "values", "1")
	if a := s.Do("POST", "/sweeps", form); a.Status != 422 || !strings.Contains(a.Text(t, "#axis-2-message"), "as 1 values") {
		t.Errorf("uneven list: %d", a.Status)
	}
	form = sweepValues(t, s, "preset:debug", "field", "nodes", "values", "1,2")
	form.Set("parallel", "-1")
	form.Set("name", "")
	if a := s.Do("POST", "/sweeps", form); a.Status != 422 || a.Text(t, "#f-name-message") == "" || a.Text(t, "#f-parallel-message") == "" {
		t.Errorf("name and limit: %d", a.Status)
	}
	if len(s.Fake.Specs) != 0 {
		t.Errorf("submitted %v", s.Fake.Specs)
	}
	s.Get("/sweeps/new?from=preset:nobody", 404)
}

// numbers are the runs' numbers in the order of the table.
func numbers(a webtest.Answer) string {
	var out []string
	a.Doc.Find(".table-sweep tbody th a").Each(func(_ int, el *goquery.Selection) { out = append(out, webtest.Words(el)) })
	return strings.Join(out, " ")
}

func TestASweepsPageShowsItsRunsWithWhatVariesAndTheBest(t *testing.T) {
	t.Parallel()
	s, sweep := webtest.WithSweep(t)
	path := "/sweeps/" + string(sweep.ID)
	a := s.Get(path, 200)
	webtest.AssertNoInlineCode(t, a)
	if got := a.Text(t, "h1"); got != sweep.Name {
		t.Errorf("name %q", got)
	}
	if numbers(a) != "1 2 3 4" {
		t.Errorf("order %q", numbers(a))
	}
	if got := a.Text(t, `[data-best=true] [data-field-value="optim.optim.lr"]`); got != "0.003" {
		t.Errorf("best %q", got)
	}
	if got := a.Text(t, "#sweep-rows [data-best-mark]"); got != "best" {
		t.Errorf("mark %q", got)
	}
	if got := a.Text(t, "[data-metric=ended]"); got != "1 of 4 runs ended" {
		t.Errorf("progress %q", got)
	}
	if a.Count("[data-count-state]") != 3 || a.Count("#sweep-page[data-topic='sweep:"+string(sweep.ID)+"']") != 1 {
		t.Error("no counts, or no topic")
	}
	fast := s.Get(path+"?metric=throughput", 200)
	if mark, got := fast.Text(t, `[data-best=true] th`), fast.Text(t, `[data-best=true] [data-metric=throughput]`); mark != "best 2" || got != "30.0" {
		t.Errorf("fastest %q with %q", mark, got)
	}
	if fast.Count(`[data-tab=throughput][aria-current]`) != 1 || fast.Count(`[data-sort=loss][href$="metric=throughput&sort=loss"]`) != 1 {
		t.Error("the metric is lost when sorting")
	}
}

func TestOfEqualRunsOneIsBest(t *testing.T) {
	t.Parallel()
	s, sweep := webtest.WithSweep(t)
	for i := range s.Fake.AllRuns {
		s.Fake.AllRuns[i].Progress.Loss, s.Fake.AllRuns[i].Progress.HasLoss = 2.5, true
	}
	a := s.Get("/sweeps/"+string(sweep.ID)+"?sort=loss&desc=1", 200)
	if got := a.Text(t, "[data-best=true] th"); got != "best 1" {
		t.Errorf("best %q, want the first", got)
	}
}

func TestTheChartOfASweepIsAboveItsRuns(t *testing.T) {
	t.Parallel()
	s, sweep := webtest.WithSweep(t)
	a := s.Get("/sweeps/"+string(sweep.ID), 200)
	if a.Count("#sweep-headline + #sweep-chart + section #sweep-rows") != 1 || a.Count("#sweep-chart[data-curves]") != 1 {
		t.Error("no chart between headline and runs")
	}
	for _, cell := range []string{"loss", "throughput", "step", "duration"} {
		if a.Count(`#sweep-rows td[data-label][data-metric="`+cell+`"]`) != 4 {
			t.Errorf("%s has no label where rows are cards", cell)
		}
	}
	if a.Count("#sweep-rows .cell-state [data-badge]") != 4 || a.Count("#badges [data-badge]") != len(run.States())+1 {
		t.Errorf("%d states, %d badges", a.Count("#sweep-rows .cell-state [data-badge]"), a.Count("#badges [data-badge]"))
	}
}

func TestWhatOfASweepChangesCanBeReadAlone(t *testing.T) {
	t.Parallel()
	s, sweep := webtest.WithSweep(t)
	path := "/sweeps/" + string(sweep.ID)
	head := s.Get(path+"/head", 200)
	if head.Count("#sweep-headline [data-count-state=running]") != 1 || head.Count("dialog") != 2 || head.Count("main") != 0 || head.Count("table") != 0 {
		t.Error("the head is not alone, or not all")
	}
	var got struct {
		Seq  int64
		Rows []live.Row
	}
	if err := json.Unmarshal([]byte(s.Get(path+"/rows", 200).Body), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Rows) != 4 || got.Seq != s.Hub.Seq("sweep:"+string(sweep.ID)) || got.Rows[0].Badge != "queued" {
		t.Errorf("%+v", got)
	}
	for _, rest := range []string{"/head", "/rows"} {
		s.Get("/sweeps/s-0000000000"+rest, 404)
	}
}

func TestANewSweepAsksWhatToStartFrom(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	s.Fake.AllTemplates = []run.Template{webtest.Template("mine", 1)}
	if s.Get("/sweeps", 200).Count(`a[data-action=new-sweep][href="/sweeps/new"]`) != 1 {
		t.Error("no button for a new sweep")
	}
	a := s.Get("/sweeps/new", 200)
	if a.Count(`form[method=get][action="/sweeps/new"] select[name=from] option[value="template:default/mine@1"]`) != 1 || a.Count("optgroup") != 2 || a.Count(`option[value="preset:7B"]`) != 1 {
		t.Error("presets and templates are not offered")
	}
	webtest.AssertNoInlineCode(t, a)
}

func TestASweepsRunsAreSortedByAnyColumn(t *testing.T) {
	t.Parallel()
	s, sweep := webtest.WithSweep(t)
	for query, want := range map[string]string{
		"":                                  "1 2 3 4",
		"?desc=1":                           "4 3 2 1",
		"?sort=field:optim.optim.lr":        "4 3 2 1", // by value, not as text
		"?sort=field:optim.optim.lr&desc=1": "1 2 3 4",
		"?sort=loss":                        "3 1 2 4", // what has none is last
		"?sort=loss&desc=1":                 "1 3 2 4",
		"?sort=throughput&desc=1":           "2 3 1 4",
		"?sort=state":                       "4 2 3 1",
		"?sort=duration":                    "1 2 3 4",
		"?sort=step":                        "4 1 2 3",
		"?sort=nothing":                     "1 2 3 4",
		"?sort=field:nothing":               "1 2 3 4",
	} {
		a := s.Get("/sweeps/"+string(sweep.ID)+query, 200)
		if got := numbers(a); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
		if a.Count("th[aria-sort=ascending], th[aria-sort=descending]") != 1 {
			t.Errorf("%s: no column says that it sorts", query)
		}
	}
}

func TestTheCurvesOfASweepNameTheirRuns(t *testing.T) {
	t.Parallel()
	s, sweep := webtest.WithSweep(t)
	a := s.Get("/sweeps/"+string(sweep.ID), 200)
	if got := a.Doc.Find("#sweep-rows > tr").First().AttrOr("data-name", ""); got != "#1 lr 0.1" {
		t.Errorf("the first curve is named %q", got)
	}
	if a.Count("#sweep-rows > tr[data-line]") != 4 || a.Doc.Find("#sweep-page").AttrOr("data-series-url", "") != "/compare/series?runs=" {
		t.Error("the curves are not those of a comparison")
	}
}

func TestASweepIsStoppedAndDeletedAfterAQuestion(t *testing.T) {
	t.Parallel()
	s, sweep := webtest.WithSweep(t)
	path := "/sweeps/" + string(sweep.ID)
	if a := s.Get(path, 200); a.Count(`[data-action=ask-stop][href="`+path+`/stop"]`) != 1 || a.Count("[data-action=ask-delete]") != 0 {
		t.Error("it cannot be stopped, or can be deleted")
	}
	if got := s.Get(path+"/stop", 200).Text(t, ".page-narrow p:first-of-type"); !strings.Contains(got, "3 of 4 runs have not ended") {
		t.Errorf("asks %q", got)
	}
	if a := s.Do("POST", path+"/stop", url.Values{}); a.Status != http.StatusSeeOther || s.Fake.Did[0] != "stop sweep "+string(sweep.ID) {
		t.Errorf("stop: %d %v", a.Status, s.Fake.Did)
	}
	s.Fake.AllSweeps[0].Counts = map[run.State]int{run.Succeeded: 4}
	if a := s.Get(path, 200); a.Count("[data-action=ask-delete]") != 1 || a.Count("[data-action=ask-stop]") != 0 {
		t.Error("an ended sweep cannot be deleted, or can be stopped")
	}
	if a := s.Do("POST", path+"/delete", url.Values{}); a.Header.Get("Location") != "/sweeps" || s.Fake.Did[1] != "delete sweep "+string(sweep.ID) {
		t.Errorf("delete: %d %v", a.Status, s.Fake.Did)
	}
	s.Fake.Err = fault.ErrConflict
	if a := s.Do("POST", path+"/delete", url.Values{}); a.Status != 409 {
		t.Errorf("a refused deletion: %d", a.Status)
	}
	s.Get("/sweeps/s-0000000000", 404)
	s.Get("/sweeps/etc", 404)
}

func TestTheProjectOfSweepsIsShownWhereThereAreSeveral(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	one, other := run.Sweep{ID: "s-0000000001", Project: "text", Name: "x"}, run.Sweep{ID: "s-0000000002", Project: "vision", Name: "y"}
	s.Fake.AllSweeps = []run.Sweep{one}
	if s.Get("/sweeps", 200).Count("[data-cell=project]") != 0 {
		t.Error("a column that always says the same")
	}
	s.Fake.AllSweeps = []run.Sweep{other, one}
	a := s.Get("/sweeps", 200)
	if got := a.Text(t, "[data-sweep-id=s-0000000002] [data-cell=project]"); got != "vision" {
		t.Errorf("project %q", got)
	}
	if got := s.Get("/sweeps/s-0000000002", 200).Doc.Find("[data-fact=project]").AttrOr("href", ""); got != "/?project=vision" {
		t.Errorf("the sweep's page leads to %q", got)
	}
}

func TestSweepsAreListedPageByPage(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	if got := s.Get("/sweeps", 200).Text(t, "[data-empty] h2"); got != "No sweeps yet" {
		t.Errorf("empty: %q", got)
	}
	for i := range sweeps.SweepsShown + 1 {
		s.Fake.AllSweeps = append(s.Fake.AllSweeps, run.Sweep{ID: run.NewSweepID(webtest.Now.Add(-time.Duration(i) * time.Minute)), Name: "s", Fields: []string{"nodes"}})
	}
	a := s.Get("/sweeps", 200)
	next, _ := a.Doc.Find("a[rel=next]").Attr("href")
	if a.Count("tr[data-sweep-id]") != sweeps.SweepsShown || next == "" {
		t.Fatalf("%d rows, next %q", a.Count("tr[data-sweep-id]"), next)
	}
	if b := s.Get(next, 200); b.Count("tr[data-sweep-id]") != 1 || b.Count("a[rel=first]") != 1 {
		t.Errorf("%d rows on the second page", b.Count("tr[data-sweep-id]"))
	}
	s.Get("/sweeps?before=x", 422)
}
