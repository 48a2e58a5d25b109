package web

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// sweepValues is a form of a sweep, as a browser sends it.
func sweepValues(t *testing.T, s *site, from string, more ...string) url.Values {
	t.Helper()
	form := hiddenInputs(s.get("/sweeps/new?from="+from, 200), "#sweep-form")
	form.Set("name", "rates")
	form.Set("parallel", "2")
	for i := 0; i+1 < len(more); i += 2 {
		form.Add(more[i], more[i+1])
	}
	return form
}

func TestTheFormOfASweepShowsItsRunsBeforeTheyAreMade(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	form := sweepValues(t, s, "preset:debug-diloco", "field", "optim.optim.lr", "values", "1e-4, 3e-4", "field", "nodes", "values", "1, 2, x")
	a := s.do("POST", "/sweeps/preview", form)
	if a.status != 200 || !strings.Contains(a.text(t, "#axis-2-message"), "whole number") {
		t.Errorf("%d %q", a.status, a.text(t, "#axis-2-message"))
	}
	form["values"][1] = "1, 2"
	a = s.do("POST", "/sweeps/preview", form, "HX-Request", "true")
	if a.count("[data-points='4'][data-broken='0']") != 1 || a.count("[data-point]") != 4 || a.count("#sweep-form") != 0 {
		t.Errorf("%d runs", a.count("[data-point]"))
	}
	if got := a.text(t, "[data-point='2']"); got != "2 0.0001 2 valid" {
		t.Errorf("run 2: %q", got)
	}
	if got := a.text(t, "[data-plan=cost]"); !strings.HasPrefix(got, "6 ") {
		t.Errorf("cost %q", got)
	}
	if got := a.text(t, "#sweep-submit"); got != "Start 4 runs" {
		t.Errorf("button %q", got)
	}
	form["field"][0], form["values"][0] = "train.micro_bs", "8, 7"
	a = s.do("POST", "/sweeps/preview", form)
	if a.count("[data-point][data-valid=false]") != 2 || a.count(".check-bad") != 2 {
		t.Errorf("%d runs are not valid", a.count("[data-point][data-valid=false]"))
	}
	if a.count("#sweep-fields option[value='optim.optim.lr']") != 1 || a.count("#sweep-fields option[value='monitor.auth_token']") != 0 {
		t.Error("the fields that can vary are not offered, or a secret is")
	}
	form.Set("more", "1")
	if n := s.do("POST", "/sweeps/preview", form).count("[data-axis]"); n != 3 {
		t.Errorf("%d rows after another was asked for", n)
	}
}

func TestASweepIsSubmittedAsTyped(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fake.templates = []run.Template{testTemplate("mine", 1, "ckpt.path", "/out/", "ckpt.interval", "5")}
	form := sweepValues(t, s, "template:mine", "mode", "grid", "field", "optim.optim.lr", "values", "1e-4..1e-2 log 3", "field", "", "values", "")
	if got := form.Get("folders"); got != "" {
		t.Fatalf("a check box is sent hidden: %q", got)
	}
	form.Set("folders", "own")
	a := s.do("POST", "/sweeps", form)
	if a.status != http.StatusSeeOther || !strings.HasPrefix(a.header.Get("Location"), "/sweeps/s-") {
		t.Fatalf("%d", a.status)
	}
	got := s.fake.specs[0]
	if got.Name != "rates" || got.Parallel != 2 || got.Origin.Template != "mine@1" || len(got.Grid) != 1 || len(got.Grid[0].Values) != 3 || got.Key == "" {
		t.Errorf("spec %+v", got)
	}
	if !strings.Contains(got.Config, `path = "/out/{run}"`) {
		t.Errorf("its runs share a folder: %s", got.Config)
	}
	form.Set("mode", "list")
	form["field"], form["values"] = []string{"nodes", "gpus"}, []string{"1,2", "4\n8"}
	if a := s.do("POST", "/sweeps", form); a.status != http.StatusSeeOther {
		t.Fatalf("list: %d", a.status)
	}
	if list := s.fake.specs[1].List; len(list) != 2 || list[1]["nodes"] != "2" || list[1]["gpus"] != "8" || s.fake.specs[1].Grid != nil {
		t.Errorf("list %v", list)
	}
}

func TestWhatASweepCannotBeIsToldWhereItWasTyped(t *testing.T) {
	t.Parallel()
	s := newSite(t)
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
		a := s.do("POST", "/sweeps", form)
		if a.status != 422 || !strings.Contains(a.text(t, c.selector), c.want) {
			t.Errorf("%s: %d %q", name, a.status, a.text(t, c.selector))
		}
		assertNoInlineCode(t, a)
	}
	form := sweepValues(t, s, "preset:debug", "mode", "list", "field", "nodes", "values", "1,2", "field", "gpus", "values", "1")
	if a := s.do("POST", "/sweeps", form); a.status != 422 || !strings.Contains(a.text(t, "#axis-2-message"), "as 1 values") {
		t.Errorf("uneven list: %d", a.status)
	}
	form = sweepValues(t, s, "preset:debug", "field", "nodes", "values", "1,2")
	form.Set("parallel", "-1")
	form.Set("name", "")
	if a := s.do("POST", "/sweeps", form); a.status != 422 || a.text(t, "#f-name-message") == "" || a.text(t, "#f-parallel-message") == "" {
		t.Errorf("name and limit: %d", a.status)
	}
	if len(s.fake.specs) != 0 {
		t.Errorf("submitted %v", s.fake.specs)
	}
	s.get("/sweeps/new?from=preset:nobody", 422)
}

// sweepSite has a sweep of four runs, of which one has no loss.
func sweepSite(t *testing.T) (*site, run.Sweep) {
	s := newSite(t)
	sweep := run.Sweep{
		ID: run.NewSweepID(testNow), Name: `rates <script>"`, Fields: []string{"optim.optim.lr"}, CreatedAt: testNow, Actor: "ann",
		Spec: run.SweepSpec{Parallel: 2}, Counts: map[run.State]int{run.Running: 2, run.Succeeded: 1, run.Queued: 1},
	}
	s.fake.sweeps = []run.Sweep{sweep}
	for i, state := range []run.State{run.Succeeded, run.Running, run.Running, run.Queued} {
		r := testRun(state)
		r.ID = run.NewID(testNow.Add(time.Duration(i) * time.Second))
		r.Name = fmt.Sprintf("%s #%d", sweep.Name, i+1)
		r.Origin = run.Origin{Sweep: sweep.ID, Point: map[string]string{"optim.optim.lr": []string{"0.1", "0.02", "0.003", "1e-4"}[i]}}
		if r.Progress.HasLoss {
			r.Progress.Loss, r.Progress.TokensPerSec = []float64{3, math.NaN(), 2.5}[i], []float64{10, 30, 20}[i]
		}
		s.fake.runs = append([]run.Run{r}, s.fake.runs...)
	}
	s.fake.runs = append(s.fake.runs, testRun(run.Failed)) // of no sweep
	return s, sweep
}

// numbers are the runs' numbers in the order of the table.
func numbers(a answer) string {
	var out []string
	a.doc.Find(".table-sweep tbody th a").Each(func(_ int, el *goquery.Selection) { out = append(out, words(el)) })
	return strings.Join(out, " ")
}

func TestASweepsPageShowsItsRunsWithWhatVariesAndTheBest(t *testing.T) {
	t.Parallel()
	s, sweep := sweepSite(t)
	path := "/sweeps/" + string(sweep.ID)
	a := s.get(path, 200)
	assertNoInlineCode(t, a)
	if got := a.text(t, "h1"); got != sweep.Name {
		t.Errorf("name %q", got)
	}
	if numbers(a) != "1 2 3 4" {
		t.Errorf("order %q", numbers(a))
	}
	if got := a.text(t, `[data-best=true] [data-field-value="optim.optim.lr"]`); got != "0.003" {
		t.Errorf("best %q", got)
	}
	if got := a.text(t, "#sweep-rows [data-best-mark]"); got != "best" {
		t.Errorf("mark %q", got)
	}
	if got := a.text(t, "[data-metric=ended]"); got != "1 of 4 runs ended" {
		t.Errorf("progress %q", got)
	}
	if a.count("[data-count-state]") != 3 || a.count("#sweep-page[data-topic='sweep:"+string(sweep.ID)+"']") != 1 {
		t.Error("no counts, or no topic")
	}
	fast := s.get(path+"?metric=throughput", 200)
	if mark, got := fast.text(t, `[data-best=true] th`), fast.text(t, `[data-best=true] [data-metric=throughput]`); mark != "best 2" || got != "30.0" {
		t.Errorf("fastest %q with %q", mark, got)
	}
	if fast.count(`[data-tab=throughput][aria-current]`) != 1 || fast.count(`[data-sort=loss][href$="metric=throughput&sort=loss"]`) != 1 {
		t.Error("the metric is lost when sorting")
	}
}

func TestOfEqualRunsOneIsBest(t *testing.T) {
	t.Parallel()
	s, sweep := sweepSite(t)
	for i := range s.fake.runs {
		s.fake.runs[i].Progress.Loss, s.fake.runs[i].Progress.HasLoss = 2.5, true
	}
	a := s.get("/sweeps/"+string(sweep.ID)+"?sort=loss&desc=1", 200)
	if got := a.text(t, "[data-best=true] th"); got != "best 1" {
		t.Errorf("best %q, want the first", got)
	}
}

func TestTheChartOfASweepIsAboveItsRunsAndHasRoomForItsLegend(t *testing.T) {
	t.Parallel()
	s, sweep := sweepSite(t)
	a := s.get("/sweeps/"+string(sweep.ID), 200)
	if a.count("#sweep-headline + #sweep-chart + section #sweep-rows") != 1 || a.count("#sweep-chart [data-chart-legend]") != 1 {
		t.Error("no chart between headline and runs")
	}
	for _, cell := range []string{"loss", "throughput", "step", "duration"} {
		if a.count(`#sweep-rows td[data-label][data-metric="`+cell+`"]`) != 4 {
			t.Errorf("%s has no label where rows are cards", cell)
		}
	}
	if a.count("#sweep-rows .cell-state [data-badge]") != 4 || a.count("#badges [data-badge]") != len(run.States())+1 {
		t.Errorf("%d states, %d badges", a.count("#sweep-rows .cell-state [data-badge]"), a.count("#badges [data-badge]"))
	}
}

func TestWhatOfASweepChangesCanBeReadAlone(t *testing.T) {
	t.Parallel()
	s, sweep := sweepSite(t)
	path := "/sweeps/" + string(sweep.ID)
	head := s.get(path+"/head", 200)
	if head.count("#sweep-headline [data-count-state=running]") != 1 || head.count("dialog") != 2 || head.count("main") != 0 || head.count("table") != 0 {
		t.Error("the head is not alone, or not all")
	}
	var got struct {
		Seq  int64
		Rows []runRow
	}
	if err := json.Unmarshal([]byte(s.get(path+"/rows", 200).body), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Rows) != 4 || got.Seq != s.hub.Seq("sweep:"+string(sweep.ID)) || got.Rows[0].Badge != "queued" {
		t.Errorf("%+v", got)
	}
	for _, rest := range []string{"/head", "/rows", "/points"} {
		s.get("/sweeps/s-0000000000"+rest, 404)
	}
}

func TestANewSweepAsksWhatToStartFrom(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fake.templates = []run.Template{testTemplate("mine", 1)}
	if s.get("/sweeps", 200).count(`a[data-action=new-sweep][href="/sweeps/new"]`) != 1 {
		t.Error("no button for a new sweep")
	}
	a := s.get("/sweeps/new", 200)
	if a.count(`form[method=get][action="/sweeps/new"] select[name=from] option[value="template:mine@1"]`) != 1 || a.count("optgroup") != 2 || a.count(`option[value="preset:7B"]`) != 1 {
		t.Error("presets and templates are not offered")
	}
	assertNoInlineCode(t, a)
}

func TestASweepsRunsAreSortedByAnyColumn(t *testing.T) {
	t.Parallel()
	s, sweep := sweepSite(t)
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
		a := s.get("/sweeps/"+string(sweep.ID)+query, 200)
		if got := numbers(a); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
		if a.count("th[aria-sort=ascending], th[aria-sort=descending]") != 1 {
			t.Errorf("%s: no column says that it sorts", query)
		}
	}
}

func TestTheCurvesOfASweepNameTheirRuns(t *testing.T) {
	t.Parallel()
	s, sweep := sweepSite(t)
	s.fake.curves = map[string][]run.CurvePoint{"loss": {{Step: 1, Mean: 4}, {Step: 2, Mean: math.NaN()}}}
	a := s.get("/sweeps/"+string(sweep.ID)+"/points", 200)
	for _, want := range []string{`"number":1`, `"number":3`, `"label":"lr 0.003"`, `"steps":[1,2]`, `"loss":[4,"NaN"]`, `"best":true`, `"more":0`} {
		if !strings.Contains(a.body, want) {
			t.Errorf("no %s in %s", want, a.body)
		}
	}
	if strings.Contains(a.body, `"number":4`) {
		t.Error("a run without measurements has a curve")
	}
}

func TestASweepIsStoppedAndDeletedAfterAQuestion(t *testing.T) {
	t.Parallel()
	s, sweep := sweepSite(t)
	path := "/sweeps/" + string(sweep.ID)
	if a := s.get(path, 200); a.count(`[data-action=ask-stop][href="`+path+`/stop"]`) != 1 || a.count("[data-action=ask-delete]") != 0 {
		t.Error("it cannot be stopped, or can be deleted")
	}
	if got := s.get(path+"/stop", 200).text(t, ".page-narrow p:first-of-type"); !strings.Contains(got, "Of its 4 runs, 3 have not ended") {
		t.Errorf("asks %q", got)
	}
	if a := s.do("POST", path+"/stop", url.Values{}); a.status != http.StatusSeeOther || s.fake.did[0] != "stop sweep "+string(sweep.ID) {
		t.Errorf("stop: %d %v", a.status, s.fake.did)
	}
	s.fake.sweeps[0].Counts = map[run.State]int{run.Succeeded: 4}
	if a := s.get(path, 200); a.count("[data-action=ask-delete]") != 1 || a.count("[data-action=ask-stop]") != 0 {
		t.Error("an ended sweep cannot be deleted, or can be stopped")
	}
	if a := s.do("POST", path+"/delete", url.Values{}); a.header.Get("Location") != "/sweeps" || s.fake.did[1] != "delete sweep "+string(sweep.ID) {
		t.Errorf("delete: %d %v", a.status, s.fake.did)
	}
	s.fake.err = fault.ErrConflict
	if a := s.do("POST", path+"/delete", url.Values{}); a.status != 409 {
		t.Errorf("a refused deletion: %d", a.status)
	}
	s.get("/sweeps/s-0000000000", 404)
	s.get("/sweeps/etc", 404)
}

func TestSweepsAreListedPageByPage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if got := s.get("/sweeps", 200).text(t, "[data-empty] h2"); got != "No sweeps yet" {
		t.Errorf("empty: %q", got)
	}
	for i := range sweepsShown + 1 {
		s.fake.sweeps = append(s.fake.sweeps, run.Sweep{ID: run.NewSweepID(testNow.Add(-time.Duration(i) * time.Minute)), Name: "s", Fields: []string{"nodes"}})
	}
	a := s.get("/sweeps", 200)
	next, _ := a.doc.Find("a[rel=next]").Attr("href")
	if a.count("tr[data-sweep-id]") != sweepsShown || next == "" {
		t.Fatalf("%d rows, next %q", a.count("tr[data-sweep-id]"), next)
	}
	if b := s.get(next, 200); b.count("tr[data-sweep-id]") != 1 || b.count("a[rel=first]") != 1 {
		t.Errorf("%d rows on the second page", b.count("tr[data-sweep-id]"))
	}
	s.get("/sweeps?before=x", 422)
}

func TestTheTopicOfASweepCanBeFollowed(t *testing.T) {
	t.Parallel()
	for topic, want := range map[string]bool{
		"sweep:s-0123456789": true, "sweep:r-0123456789": false, "sweep:": false, "run:r-0123456789": true, "run:s-0123456789": false, "node:x": false, "": false,
	} {
		if topicExists(topic) != want {
			t.Errorf("%q: %v", topic, !want)
		}
	}
}
