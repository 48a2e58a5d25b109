package metrics_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

// site has a run with the metrics of these names.
func site(t *testing.T, names ...string) (*webtest.Site, string) {
	t.Helper()
	s := webtest.New(t)
	r := webtest.Run(run.Running)
	r.Progress.Step = 2
	s.Fake.AllRuns = []run.Run{r}
	s.Fake.Curves = map[string][]run.CurvePoint{}
	for _, name := range names {
		s.Fake.Curves[name] = []run.CurvePoint{{Step: 1, Mean: 4, Min: 4, Max: 4, Workers: 1, At: webtest.Now}, {Step: 2, Mean: 2.5, Min: 2.5, Max: 2.5, Workers: 1, At: webtest.Now}}
	}
	return s, "/runs/" + string(r.ID) + "/metrics"
}

// get opens a page, without what its scripts copy.
func get(t *testing.T, s *webtest.Site, path string) webtest.Answer {
	t.Helper()
	a := s.Get(path, 200)
	a.Doc.Find("template").Remove()
	return a
}

// texts are those of the elements that match.
func texts(a webtest.Answer, selector string) []string {
	return a.Doc.Find(selector).Map(func(_ int, el *goquery.Selection) string { return strings.Join(strings.Fields(el.Text()), " ") })
}

func TestTheCuratedRowHasWhatTheRunHasInItsOrder(t *testing.T) {
	t.Parallel()
	s, path := site(t, "grad_norm", "train/loss", "mfu", "val_loss", "tokens_per_second", "odd/one")
	a := get(t, s, path)
	if got := strings.Join(texts(a, "#first-charts h2"), ", "); got != "Loss, Throughput, MFU, Gradient norm" {
		t.Errorf("curated: %s", got)
	}
	if got := a.Doc.Find("#chart-loss").AttrOr("data-metrics", ""); got != `["train/loss","val_loss"]` {
		t.Errorf("the chart of the loss draws %s", got)
	}
	if a.Count(`.tab[data-tab="metrics"][aria-current="page"]`) != 1 {
		t.Error("the tab is not the current one")
	}
}

func TestMetricsAreListedByGroupWithNumbersThatNeedNoScript(t *testing.T) {
	t.Parallel()
	s, path := site(t, "loss", "train/loss", "train/lr", "eval/loss")
	a := get(t, s, path)
	if got := strings.Join(texts(a, ".metric-group-head"), ", "); got != "Ungrouped2, eval1, train2" {
		t.Errorf("groups: %s", got)
	}
	if got := strings.Join(texts(a, `tr[data-metric="train/lr"] > *`), " | "); got != "train/lr | 2.50 | 0 | 0 | 2 | 2" { // the fake knows no lowest and highest
		t.Errorf("row: %s", got)
	}
	derived := a.Doc.Find(`tr[data-metric="perplexity"]`)
	if derived.Find(".tag").AttrOr("title", "") != "exp(loss)" {
		t.Error("perplexity is not marked as derived from the loss")
	}
	if got := strings.Join(texts(a, `tr[data-metric="perplexity"] > *`), " | "); got != "perplexity derived | 12.2 | 1.00 | 1.00 | 2 | 2" {
		t.Errorf("row: %s", got)
	}
	if a.Count(".metric-group[open]") != 3 || a.Count("[data-group-charts] figure") != 5 {
		t.Errorf("%d groups are open with %d charts", a.Count(".metric-group[open]"), a.Count("[data-group-charts] figure"))
	}
	table := get(t, s, path+"?table=1")
	if table.Count("[data-group-charts]") != 0 || table.Count(".table-scroll.no-script") != 0 || table.Count(`#first-charts[hidden]`) != 0 {
		t.Error("the table has charts, or the first row is gone")
	}
	if !strings.Contains(table.Text(t, "#metric-groups"), "Of the whole run") || strings.Contains(a.Text(t, "#metric-groups"), "Of the whole run") {
		t.Error("the table does not say what it is of")
	}
}

func TestEveryMetricHasCellsForTheNumbersOfAZoom(t *testing.T) {
	t.Parallel()
	s, path := site(t, "loss")
	s.Fake.Curves["late"] = nil
	a := get(t, s, path)
	for name, last := range map[string]string{"loss": "2.50", "late": "–"} {
		row := a.Doc.Find(`tr[data-metric="` + name + `"]`)
		if n := row.Find("td[data-cell]").Length(); n != 5 || row.Find(`[data-cell="last"]`).Text() != last {
			t.Errorf("%s has %d cells: %q", name, n, row.Text())
		}
	}
}

func TestTheListIsSearchedByEveryWord(t *testing.T) {
	t.Parallel()
	s, path := site(t, "train/loss", "train/Grad_Norm", "eval/loss", "planned/learning_rate")
	for query, want := range map[string]string{
		"loss": "eval/loss train/loss", "norm TRAIN": "train/Grad_Norm", "": "eval/loss train/Grad_Norm train/loss", "rate": "",
	} {
		a := get(t, s, path+"?q="+url.QueryEscape(query))
		got := a.Doc.Find("tr[data-metric]").Map(func(_ int, el *goquery.Selection) string { return el.AttrOr("data-metric", "") })
		if strings.Join(got, " ") != want {
			t.Errorf("%q finds %q, want %q", query, got, want)
		}
		if (want == "") != (a.Count(`#metric-groups a[href]`) == 1) {
			t.Errorf("%q: the way back is there %d times", query, a.Count("#metric-groups a[href]"))
		}
	}
}

func TestThousandsOfMetricsAreListedWithFewCharts(t *testing.T) {
	t.Parallel()
	names := make([]string, 2000)
	for i := range names {
		names[i] = fmt.Sprintf("layer%03d/norm%d", i/10, i)
	}
	s, path := site(t, names...)
	a := get(t, s, path)
	if a.Count("tr[data-metric]") != 2000 || a.Count("figure[data-curves]") > 40 || a.Count(".metric-group[open]") > 3 {
		t.Errorf("%d rows, %d charts, %d open groups", a.Count("tr[data-metric]"), a.Count("figure[data-curves]"), a.Count(".metric-group[open]"))
	}
}

func TestWhatTheAddressSaysIsInTheControls(t *testing.T) {
	t.Parallel()
	s, path := site(t, "loss", "total_tokens")
	a := get(t, s, path+"?x=tokens&workers=each&smooth=ema%3A0.9&clip=1&formula="+url.QueryEscape(`=loss * 2 <b>"`))
	if got := a.Doc.Find(`[name="x"] option[selected]`).AttrOr("value", ""); got != "tokens" {
		t.Errorf("x is %q", got)
	}
	if got := a.Doc.Find(`[name="workers"] option[selected]`).AttrOr("value", ""); got != "each" {
		t.Errorf("workers are %q", got)
	}
	if a.Doc.Find(`[name="smooth"]`).AttrOr("value", "") != "ema:0.9" || a.Count(`[name="clip"][checked]`) != 1 || a.Count(`[name="logx"][checked]`) != 0 {
		t.Error("smoothing, clipping or the scale differ")
	}
	var own []string
	if err := json.Unmarshal([]byte(a.Doc.Find("#first-charts figure:last-child").AttrOr("data-metrics", "")), &own); err != nil || !slices.Equal(own, []string{`=loss * 2 <b>"`}) {
		t.Errorf("own charts: %q, %v", own, err)
	}
}

func TestARunWithoutMetricsSaysWhenTheyCome(t *testing.T) {
	t.Parallel()
	s, path := site(t)
	if a := get(t, s, path); !strings.Contains(a.Text(t, ".empty"), "No metrics yet") || a.Count("figure") != 0 {
		t.Errorf("the page says %q", a.Text(t, ".empty"))
	}
}
