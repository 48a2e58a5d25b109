package metrics_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

// save posts the form of the menu Layout.
func save(s *webtest.Site, path, who, view string) webtest.Answer {
	return s.Do("POST", path+"/layout", url.Values{"for": {who}, "view": {view}})
}

// row is what the first row draws.
func row(a webtest.Answer) string {
	return strings.Join(a.Doc.Find("#first-charts figure").Map(func(_ int, el *goquery.Selection) string { return el.AttrOr("data-key", "") }), " ")
}

func TestChartsAreChosenByTheAddress(t *testing.T) {
	t.Parallel()
	s, path := site(t, "train/loss", "mfu", "layer/norm")
	a := get(t, s, path)
	if row(a) != "loss mfu" || a.Doc.Find("#first-charts").AttrOr("data-usual", "") != `["loss","mfu"]` {
		t.Errorf("the usual charts are %s", row(a))
	}
	a = get(t, s, path+"?chart=layer/norm&chart=loss&chart=nosuch&formula=%3Dmfu*2")
	if row(a) != "layer/norm loss nosuch =mfu*2" {
		t.Errorf("the chosen charts are %s", row(a))
	}
	if got := a.Doc.Find("#chart-loss").AttrOr("data-metrics", ""); got != `["train/loss"]` {
		t.Errorf("the chart of the loss draws %s", got)
	}
}

func TestALayoutIsSavedForOneselfAndForTheProject(t *testing.T) {
	t.Parallel()
	s, path := site(t, "loss", "mfu", "layer/norm")
	if a := get(t, s, path); a.Count("[data-action=reset-layout]") != 0 || a.Count("[data-action=save-default]") != 1 || a.Count("#metrics-page[data-layout]") != 0 {
		t.Error("there is something to reset, or no default to save")
	}
	const shown = "x=time&smooth=ema%3A0.9&chart=layer%2Fnorm&chart=gone&from=3&q=x"
	if a := save(s, path, "me", shown); a.Status != 303 || a.Header.Get("Location") != path+"?done=me" {
		t.Fatalf("saved: %d to %s", a.Status, a.Header.Get("Location"))
	}
	a := get(t, s, path+"?q=norm")
	if got := a.Doc.Find("#metrics-page").AttrOr("data-layout", ""); got != "chart=layer%2Fnorm&chart=gone&smooth=ema%3A0.9&x=time" {
		t.Errorf("the layout is %s", got)
	}
	if row(a) != "layer/norm" || a.Doc.Find(`[name="x"] option[selected]`).AttrOr("value", "") != "time" || a.Count("[data-action=reset-layout]") != 1 {
		t.Errorf("the charts are %s", row(a))
	}
	for _, query := range []string{"?plain=1", "?from=1&to=2"} {
		if a := get(t, s, path+query); row(a) != "loss perplexity mfu" || a.Count("#metrics-page[data-layout]") != 0 || a.Count("#metrics-page[data-saved]") != 1 {
			t.Errorf("%s shows %s", query, row(a))
		}
	}
	if a := save(s, path, "project", "chart=mfu"); a.Status != 303 || a.Header.Get("Location") != path+"?chart=mfu&done=project" {
		t.Errorf("saved for the project: %d to %s", a.Status, a.Header.Get("Location"))
	}
	if got := row(get(t, s, path)); got != "layer/norm" {
		t.Errorf("who has a layout sees %s", got)
	}
	save(s, path, "nobody", "")
	if got := row(get(t, s, path)); got != "mfu" {
		t.Errorf("who has none sees %s", got)
	}
	if a := save(s, path, "project", ""); a.Header.Get("Location") != path+"?done=project&plain=1" || len(s.Fake.Layouts["default//metrics"]) != 0 {
		t.Errorf("the usual view leaves the default %q, and leads to %s", s.Fake.Layouts["default//metrics"], a.Header.Get("Location"))
	}
}

func TestALayoutLeavesOutTheAxisAndTheFormulasThatARunLacks(t *testing.T) {
	t.Parallel()
	s, path := site(t, "loss", "mfu")
	save(s, path, "me", "x=bogus&chart=mfu&chart=%3Dgone-loss&chart=%3Dloss*2&formula=%3Dgone&formula=%3Dmfu%2Bperplexity")
	a := get(t, s, path)
	if got := a.Doc.Find("#metrics-page").AttrOr("data-layout", ""); row(a) != "mfu =loss*2 =mfu+perplexity" || strings.Contains(got, "bogus") || strings.Contains(got, "gone") {
		t.Errorf("shown: %s, of the layout %s", row(a), got)
	}
	if a.Doc.Find(`[name="x"] option[selected]`).AttrOr("value", "") != "step" {
		t.Error("the axis is not the usual one")
	}
	for _, x := range []string{"mfu", "perplexity", "time"} {
		save(s, path, "me", "x="+x)
		if got := get(t, s, path).Doc.Find(`[name="x"] option[selected]`).AttrOr("value", ""); got != x {
			t.Errorf("x = %s is shown over %s", x, got)
		}
	}
	save(s, path, "me", "x=tokens")
	if got := get(t, s, path).Doc.Find(`[name="x"] option[selected]`).AttrOr("value", ""); got != "step" {
		t.Errorf("over tokens, which there are none of, it is %s", got)
	}
}

func TestThePageSaysThatALayoutWasSaved(t *testing.T) {
	t.Parallel()
	s, path := site(t, "loss", "mfu")
	for who, want := range map[string]string{"me": "for you", "project": "everybody", "nobody": "forgotten"} {
		a := get(t, s, save(s, path, who, "chart=mfu").Header.Get("Location"))
		if got := strings.Join(texts(a, "[data-notice][role=status]"), ""); !strings.Contains(got, want) {
			t.Errorf("saved for %s, the page says %q", who, got)
		}
		if strings.Contains(a.Doc.Find("[data-layout-view]").AttrOr("value", ""), "done") {
			t.Error("the next layout would have it")
		}
	}
	if a := get(t, s, path+"?done=bogus"); a.Count("[data-notice]") != 0 || row(a) != "mfu" {
		t.Error("what was not done is told of, or is a view")
	}
}

func TestALayoutOfAnotherReleaseIsNone(t *testing.T) {
	t.Parallel()
	s, path := site(t, "loss")
	for data, want := range map[string]string{`{"view":7}`: "loss perplexity", `[]`: "loss perplexity", `{"view":"%zz&chart=loss"}`: "loss"} {
		s.Fake.Layouts = map[string]string{"default/ann/metrics": data}
		if got := row(get(t, s, path)); got != want {
			t.Errorf("%s shows %s", data, got)
		}
	}
}

func TestAWrongLayoutIsRefused(t *testing.T) {
	t.Parallel()
	s, path := site(t, "loss")
	for view, want := range map[string]string{
		"x=%zz": "view", "smooth=median": "smooth", "workers=-7": "workers", "chart=": "metric", "formula=%3Dloss+-": "is not finished", strings.Repeat("chart=a&", 100): "metric", "x=" + strings.Repeat("a", 20_000): "view",
		"x=time&mother=1": "mother",
	} {
		if a := save(s, path, "me", view); a.Status != 422 || !strings.Contains(a.Body, want) {
			t.Errorf("%.50s: %d", view, a.Status)
		}
	}
	if a := save(s, "/runs/"+string(run.ID("r-0000000009"))+"/metrics", "me", ""); a.Status != 404 {
		t.Errorf("of a run that is not there: %d", a.Status)
	}
	for want, sent := range map[string]url.Values{
		"is nobody that a layout is saved for": {"for": {"bogus"}, "view": {"x=time"}},
		"send me, project":                     {"view": {"x=time"}},
		"is not given once":                    {"for": {"me"}},
		"send the parameters":                  {"for": {"me"}, "view": {"x=time", "x=tokens"}},
	} {
		if a := s.Do("POST", path+"/layout", sent); a.Status != 422 || !strings.Contains(a.Body, want) {
			t.Errorf("%v: %d, without %q", sent, a.Status, want)
		}
	}
	if len(s.Fake.Layouts) != 0 {
		t.Errorf("saved: %v", s.Fake.Layouts)
	}
}
