package compare_test

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/webtest"
	"github.com/cotrain/cotrain/views/ui"
)

// withRuns starts a site with runs of different losses and learning rates, oldest first in what is returned.
func withRuns(t *testing.T, n int) (*webtest.Site, []run.ID) {
	t.Helper()
	s := webtest.New(t)
	var ids []run.ID
	for i := range n {
		r := webtest.Run(run.Succeeded)
		r.ID = run.NewID(webtest.Now.Add(time.Duration(i) * time.Second))
		r.Name = fmt.Sprintf("try %d", i)
		r.Config = fmt.Sprintf("name_model = \"150M\"\n[optim.optim]\nlr = %.4g\n", 1e-4*float64(i/2+1))
		r.Progress.Loss, r.Progress.HasLoss = 4-0.5*float64(i), true
		s.Fake.AllRuns = append([]run.Run{r}, s.Fake.AllRuns...)
		ids = append(ids, r.ID)
	}
	return s, ids
}

func list(ids []run.ID) string {
	parts := make([]string, len(ids))
	for i, id := range ids {
		parts[i] = string(id)
	}
	return strings.Join(parts, ",")
}

func TestRunsAreComparedInTheOrderThatTheAddressNames(t *testing.T) {
	t.Parallel()
	s, ids := withRuns(t, 3)
	a := s.Get("/compare?runs="+string(ids[2])+","+string(ids[0])+"&base="+string(ids[0]), 200)
	if a.Count("#compare-rows > tr") != 2 || a.Count("#compare-rows > tr:first-child[data-run='"+string(ids[2])+"']") != 1 {
		t.Errorf("%d rows", a.Count("#compare-rows > tr"))
	}
	if got := a.Text(t, "[data-run='"+string(ids[2])+"'] [data-value-of='final:loss']"); got != "3.00 −1.00 (−25.0%) , better" {
		t.Errorf("final loss %q", got)
	}
	if a.Count("[data-run='"+string(ids[0])+"'] [data-delta]") != 0 || a.Count(".row-base") != 1 {
		t.Error("the baseline is compared to itself")
	}
	if got := a.Text(t, "[data-setting='optim.optim.lr'] td:last-child"); got != "0.0001" || a.Count("[data-setting]") != 1 {
		t.Errorf("differences: %q of %d", got, a.Count("[data-setting]"))
	}
	if a.Count("a[href^='/diff?a=run']") != 1 || a.Count("[data-analysis]") != 0 {
		t.Error("two runs have no link to their diff, or an analysis")
	}
	if got := a.Doc.Find("#compare-page").AttrOr("data-series-url", ""); got != "/compare/series?runs="+string(ids[2])+","+string(ids[0]) {
		t.Errorf("series from %s", got)
	}
}

func TestWhatIsNotThereIsNamed(t *testing.T) {
	t.Parallel()
	s, ids := withRuns(t, 1)
	a := s.Get("/compare?runs="+string(ids[0])+",r-0000000000,%3Cb%3Ex", 200)
	if got := a.Text(t, "[data-missing]"); !strings.Contains(got, "r-0000000000, <b>x") || a.Count("#compare-rows > tr") != 1 {
		t.Errorf("missing: %q", got)
	}
	if got := a.Doc.Find("[data-missing] + a").AttrOr("href", ""); got != "/compare?runs="+string(ids[0]) {
		t.Errorf("without them: %s", got)
	}
	if a = s.Get("/compare", 200); a.Count("[data-empty]") != 1 || a.Count("#compare-form") != 1 {
		t.Error("nothing to compare has no page")
	}
	s.Get("/compare?sweep=s-0000000000", 404)
	s.Get("/compare?state=asleep", 422)
}

func TestRunsAreComparedByTheFiltersOfTheList(t *testing.T) {
	t.Parallel()
	s, _ := withRuns(t, 4)
	first, last := &s.Fake.AllRuns[3], &s.Fake.AllRuns[0]
	first.Options.Tags = []string{"paper"}
	last.State, last.CreatedAt = run.Failed, webtest.Now.AddDate(0, 0, -40)
	for query, want := range map[string]int{"tag=paper": 1, "model=7B": 0, "state=failed&state=succeeded": 4, "state=failed": 1, "within=30d": 3, "until=2020-01-01": 0, "archived=only": 0} {
		if a := s.Get("/compare?"+query, 200); a.Count("#compare-rows > tr") != want {
			t.Errorf("%s: %d rows, want %d", query, a.Count("#compare-rows > tr"), want)
		} else if want > 0 && !strings.Contains(a.Doc.Find("#compare-page").AttrOr("data-series-url", ""), query[:strings.IndexByte(query, '=')]) {
			t.Errorf("%s: the curves are of other runs", query)
		}
	}
	for query, field := range map[string]string{"tag=a%20b%00": "tag", "since=yesterday": "since", "until=x": "until"} {
		if a := s.Get("/compare/series?metric=loss&"+query, 422); !strings.Contains(a.Body, `"field":"`+field+`"`) {
			t.Errorf("%s: %s", query, a.Body)
		}
	}
}

func TestRunsAndMetricsAreAddedAndRemoved(t *testing.T) {
	t.Parallel()
	s, ids := withRuns(t, 3)
	one, two := string(ids[0]), string(ids[1])
	for from, to := range map[string]string{
		"/compare?runs=" + one + "&add=" + two + "&metric=loss&metric=&x=&at=": "/compare?runs=" + one + "," + two,
		"/compare?runs=" + one + "," + two + "&remove=" + one + "&base=" + one: "/compare?runs=" + two,
		"/compare?q=try+1&add=" + one:                                          "/compare?runs=" + two + "," + one,
		"/compare?runs=" + one + "&metric=loss&metric=lr&without=loss":         "/compare?runs=" + one + "&metric=lr",
		"/compare?runs=" + one + "&base=" + one + "&base=" + two:               "/compare?runs=" + one + "&base=" + two,
	} {
		if a := s.Do("GET", from, nil); a.Status != http.StatusSeeOther || a.Header.Get("Location") != to {
			t.Errorf("%s: %d to %s, want %s", from, a.Status, a.Header.Get("Location"), to)
		}
	}
}

func TestAMistakeInTheQueryIsSaidAndTheRestShown(t *testing.T) {
	t.Parallel()
	s, ids := withRuns(t, 2)
	for _, bad := range []string{"metric=%3Dloss%2B", "smooth=ema:2", "at=x", "metric=a&metric=b&metric=c&metric=d&metric=e&metric=f&metric=g&metric=h&metric=i"} {
		a := s.Get("/compare?runs="+list(ids)+"&"+bad, 422)
		if a.Count("[data-problem]") != 1 || a.Count("#compare-rows > tr") != 2 {
			t.Errorf("%s: %q", bad, a.Text(t, "[data-problem]"))
		}
	}
}

func TestWhatSaysNothingOfTheRunsIsSaid(t *testing.T) {
	t.Parallel()
	s, ids := withRuns(t, 2)
	for query, want := range map[string]string{
		"base=bogus": "The baseline is not among the runs.", "group=bogus": "Nothing groups runs by bogus.", "tag=paper": "The filter tag is ignored: runs names the runs.",
		"since=2026-01-01": "The filter since is ignored", "sweep=s-0000000001": "Sweep is ignored: runs names the runs.",
	} {
		a := s.Get("/compare?runs="+list(ids)+"&"+query, 422)
		if got := a.Text(t, "[data-problem]"); !strings.HasPrefix(got, want) || a.Count("#compare-rows > tr") != 2 {
			t.Errorf("%s: %q", query, got)
		}
		if got := a.Doc.Find("#compare-page").AttrOr("data-series-url", ""); got != "/compare/series?runs="+list(ids) {
			t.Errorf("%s: the curves are of %s", query, got)
		}
	}
	s.Get("/compare?runs="+list(ids)+"&project=default", 200)
	s.Get("/compare?q=try&within=1y", 422)
	s.Get("/compare?q=try&archived=maybe", 422)
}

func TestManyRunsAreBoundedAndColouredByValue(t *testing.T) {
	t.Parallel()
	s, _ := withRuns(t, 205)
	a := s.Get("/compare?q=try", 200)
	if a.Count("#compare-rows > tr") != 200 || a.Text(t, "[data-bounded]") != "The newest 200 of 205 matching runs are compared, 5 older ones are left out." {
		t.Errorf("%d rows", a.Count("#compare-rows > tr"))
	}
	if a.Doc.Find("#compare-page").AttrOr("data-by-value", "") != "true" || a.Count("#compare-rows > tr:first-child .shade-0") != 1 || a.Count("#compare-rows > tr:last-child .shade-7") != 1 {
		t.Error("the lines are not coloured from the best to the worst")
	}
	if a.Count("[data-setting='optim.optim.lr'] .share") != 12 {
		t.Errorf("%d values of the learning rate", a.Count("[data-setting='optim.optim.lr'] .share"))
	}
}

func TestRunsThatAreNotThereTakeNobodysPlace(t *testing.T) {
	t.Parallel()
	s, ids := withRuns(t, 203)
	var gone []run.ID
	for i := range 201 {
		gone = append(gone, run.ID(fmt.Sprintf("r-%010d", i)))
	}
	a := s.Get("/compare?runs="+list(gone)+","+list(ids[:1]), 200)
	if got := a.Text(t, "[data-missing]"); a.Count("#compare-rows > tr") != 1 || a.Count("[data-bounded]") != 0 || !strings.Contains(got, "r-0000000009 and 191 more") || strings.Contains(got, "r-0000000010") {
		t.Errorf("%d rows, and missing: %s", a.Count("#compare-rows > tr"), got)
	}
	if got := a.Doc.Find("[data-missing] + a").AttrOr("href", ""); got != "/compare?runs="+string(ids[0]) {
		t.Errorf("without them: %.100s", got)
	}
	a = s.Get("/compare?runs="+list(gone[:2])+","+list(ids), 200)
	if got := a.Text(t, "[data-bounded]"); got != "Of the runs that the address names, the first 200 are compared, 3 are left out." || a.Count("#compare-rows > tr") != 200 {
		t.Errorf("%d rows: %q", a.Count("#compare-rows > tr"), got)
	}
}

func TestWhyThereIsNothingToCompareIsSaid(t *testing.T) {
	t.Parallel()
	s, _ := withRuns(t, 1)
	for query, want := range map[string]string{
		"": "Tick runs in a list and choose Compare, or add them by ID.", "?tag=none-such": "Nothing matches the filters of the address.", "?runs=r-0000000000": "None of the runs that the address names is there.",
	} {
		if got := s.Get("/compare"+query, 200).Text(t, "[data-empty]"); !strings.Contains(got, want) {
			t.Errorf("%s: %q", query, got)
		}
	}
}

func TestTablesHaveTheValuesOfAFormula(t *testing.T) {
	t.Parallel()
	s, ids := withRuns(t, 3)
	s.Fake.Curves = map[string][]run.CurvePoint{"loss": {{Step: 1, Mean: 5, Sum: 5}, {Step: 3, Mean: 2.5, Sum: 2.5}}, "val_loss": {{Step: 1, Mean: 6, Sum: 6}}}
	if got := s.Get("/compare?runs="+list(ids)+"&metric=%3Dval_loss-loss", 200).Text(t, "tr[data-run='"+string(ids[0])+"'] [data-value-of='final:=val_loss-loss']"); got != "1.00" {
		t.Errorf("at the last step that both have: %q", got)
	}
	for _, query := range []string{"&at=3", "&group=optim.optim.lr", "&sort=final:%3Dloss*2"} {
		a := s.Get("/compare?runs="+list(ids)+"&metric=loss&metric=%3Dloss*2&metric=%3Dloss-none"+query, 200)
		if a.Count("[data-column='final:=loss*2']") != 1 || a.Count("[data-column='best:=loss*2']") != 0 {
			t.Errorf("%s: no final or a best value of the formula", query)
		}
		for _, id := range ids {
			loss, twice := a.Text(t, "tr[data-run='"+string(id)+"'] [data-value-of='final:loss']"), a.Text(t, "tr[data-run='"+string(id)+"'] [data-value-of='final:=loss*2']")
			x, _ := strconv.ParseFloat(strings.Fields(loss)[0], 64)
			if y, err := strconv.ParseFloat(strings.Fields(twice)[0], 64); err != nil || x == 0 || y != 2*x {
				t.Errorf("%s: twice %q is %q", query, loss, twice)
			}
			if got := a.Text(t, "tr[data-run='"+string(id)+"'] [data-value-of='final:=loss-none']"); got != ui.Absent {
				t.Errorf("%s: a formula without one of its metrics is %q", query, got)
			}
		}
		a.Doc.Find(".table-compare").Each(func(_ int, table *goquery.Selection) {
			if head, cells := table.Find("thead th").Length(), table.Find("tbody tr:first-child > *").Length(); head != cells {
				t.Errorf("%s: %d columns and %d cells", query, head, cells)
			}
		})
	}
}

func TestRunsAreGrouped(t *testing.T) {
	t.Parallel()
	s, ids := withRuns(t, 5)
	s.Fake.AllRuns[0].Options.Env = map[string]string{"SEED": "7"}
	s.Fake.AllRuns[1].Options.Args = []string{"--seed", "8"}
	for group, want := range map[string]int{"optim.optim.lr": 3, "settings": 3, "tag": 1, "no.such": 0, "monitor.auth_token": 0} {
		status := 200
		if want == 0 {
			status = 422
		}
		a := s.Get("/compare?runs="+list(ids)+"&group="+group, status)
		if got := a.Count("tr[data-line^='g-']"); got != want {
			t.Errorf("by %s: %d groups, want %d", group, got, want)
		}
	}
	a := s.Get("/compare?runs="+list(ids)+"&group=settings", 200)
	if got := a.Text(t, "tr[data-slot='0']"); !strings.HasPrefix(got, "lr 0.0001 2 3.75 3.50 to 4.00") {
		t.Errorf("first group: %q", got)
	}
	if got := a.Doc.Find("#compare-page").AttrOr("data-series-url", ""); !strings.HasSuffix(got, "&group=settings") {
		t.Errorf("series from %s", got)
	}
}

func TestTheRunsAreSortedByAColumnWithWhatHasNoValueLast(t *testing.T) {
	t.Parallel()
	s, ids := withRuns(t, 3)
	s.Fake.AllRuns[1].Progress.Loss = math.NaN() // of ids[1]
	for sort, want := range map[string][]run.ID{
		"final:loss": {ids[2], ids[0], ids[1]}, "final:loss&desc=1": {ids[0], ids[2], ids[1]}, "name&desc=1": {ids[2], ids[1], ids[0]}, "final:gone": {ids[0], ids[1], ids[2]},
	} {
		a := s.Get("/compare?runs="+list(ids)+"&sort="+sort, 200)
		for i, id := range want {
			if a.Count(fmt.Sprintf("#compare-rows > tr:nth-child(%d)[data-run='%s'][data-slot]", i+1, id)) != 1 {
				t.Errorf("%s: row %d is not %s", sort, i+1, id)
			}
		}
	}
}

func TestTheAnalysisTellsWhatTheMetricDependsOn(t *testing.T) {
	t.Parallel()
	s, ids := withRuns(t, 8)
	s.Fake.AllRuns[0].State = run.Failed
	s.Fake.AllRuns[1].Progress.Loss = math.Inf(1)
	a := s.Get("/compare?runs="+list(ids), 200)
	if got := a.Doc.Find("[data-importance='optim.optim.lr'] [data-rho]").AttrOr("data-rho", ""); got != "−0.96" {
		t.Errorf("rank correlation %q", got)
	}
	if got := a.Text(t, "[data-excluded]"); got != "Left out: 1 failed, 1 without a finite value." || a.Count("[data-few]") != 1 {
		t.Errorf("left out: %q", got)
	}
	if a.Count("[data-parallel-run]") != 6 || a.Count(".parallel-axis") != 2 || a.Count(".parallel-handle[role=slider][tabindex='0']") != 4 {
		t.Errorf("%d lines through %d axes", a.Count("[data-parallel-run]"), a.Count(".parallel-axis"))
	}
	var stops [][2]any
	if err := json.Unmarshal([]byte(a.Doc.Find("[data-axis='0']").AttrOr("data-stops", "")), &stops); err != nil || len(stops) != 3 || stops[2][1] != "0.0003" {
		t.Errorf("stops %v %v", stops, err)
	}
}

func TestASweepIsComparedInItsOrder(t *testing.T) {
	t.Parallel()
	s, sweep := webtest.WithSweep(t)
	a := s.Get("/compare?sweep="+string(sweep.ID), 200)
	if a.Count("#compare-rows > tr") != 4 || a.Text(t, "h1") != "Compare "+sweep.Name || !strings.HasSuffix(a.Text(t, "#compare-rows > tr:first-child th"), "#1") {
		t.Errorf("%d rows of %q", a.Count("#compare-rows > tr"), a.Text(t, "h1"))
	}
}

func TestTheLinesOfAllRunsAreOneAnswer(t *testing.T) {
	t.Parallel()
	s, ids := withRuns(t, 3)
	s.Fake.Curves = map[string][]run.CurvePoint{"loss": nil}
	for step := range int64(10) {
		v := float64(step)
		s.Fake.Curves["loss"] = append(s.Fake.Curves["loss"], run.CurvePoint{Step: step, Mean: v, Min: v, Max: v, Sum: v, Workers: 1, At: webtest.Now})
	}
	type answer struct {
		Lines []struct {
			Key    string
			Answer struct {
				Series []struct {
					Step  []int64
					Value []float64
				}
			}
		}
	}
	ask := func(query string) (out answer, tag string) {
		a := s.Get("/compare/series?runs="+list(ids)+"&metric=loss"+query, 200)
		if err := json.Unmarshal([]byte(a.Body), &out); err != nil {
			t.Fatal(err)
		}
		return out, a.Header.Get("ETag")
	}
	each, tag := ask("")
	if len(each.Lines) != 3 || each.Lines[1].Key != string(ids[1]) || len(each.Lines[1].Answer.Series[0].Step) != 10 {
		t.Errorf("%+v", each)
	}
	if a := s.Do("GET", "/compare/series?runs="+list(ids)+"&metric=loss", nil, "If-None-Match", tag); a.Status != http.StatusNotModified {
		t.Errorf("again: %d", a.Status)
	}
	grouped, _ := ask("&group=optim.optim.lr")
	if len(grouped.Lines) != 2 || !strings.HasPrefix(grouped.Lines[0].Key, "g-") || grouped.Lines[0].Answer.Series[0].Value[9] != 9 {
		t.Errorf("%+v", grouped)
	}
	s.Get("/compare/series?runs="+list(ids)+"&metric=%3Dloss%2B", 422)
	s.Get("/compare/series?runs="+list(ids), 422)
}

func TestHostileNamesAreText(t *testing.T) {
	t.Parallel()
	s, ids := withRuns(t, 4)
	const evil = `"><script>alert(1)</script>`
	for i := range s.Fake.AllRuns {
		s.Fake.AllRuns[i].Name = evil
		s.Fake.AllRuns[i].Options.Tags = []string{evil}
	}
	q := url.Values{"runs": {list(ids)}, "metric": {evil[:20]}, "group": {"tag"}, "hide": {evil}, "sort": {evil}, "log": {evil}}
	a := s.Get("/compare?"+q.Encode(), 200)
	if a.Count("main script") != 0 || a.Count("tr[data-name]") == 0 {
		t.Error("a name is markup")
	}
}

func TestAMetricThatARunHasNotReportedIsSaidSo(t *testing.T) {
	t.Parallel()
	s, ids := withRuns(t, 2)
	s.Fake.AllRuns[0].Progress.HasLoss = false
	a := s.Get("/compare?runs="+list(ids)+"&metric=loss&metric=nosuch&metric=%3Dloss*2&base="+string(ids[0]), 200)
	for i, want := range []map[string]string{{"loss": "4.00", "nosuch": "not reported by this run"}, {"loss": "not reported by this run", "nosuch": "not reported by this run"}} {
		for metric, text := range want {
			if got := a.Text(t, fmt.Sprintf("[data-run='%s'] [data-value-of='final:%s']", ids[i], metric)); got != text {
				t.Errorf("%s of run %d: %q, want %q", metric, i, got, text)
			}
		}
		if got := a.Text(t, fmt.Sprintf("[data-run='%s'] [data-value-of='final:=loss*2']", ids[i])); got != ui.Absent {
			t.Errorf("the formula of run %d: %q", i, got)
		}
	}
}
