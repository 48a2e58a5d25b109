package runs_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"

	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

func TestARunThatDoesNotExistIsNotFoundOnEveryAddress(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	for _, id := range []string{"r-0000000000", "nonsense", "r-ABCDEFGHIJ", strings.Repeat("x", 2000)} {
		for _, rest := range []string{"", "/metrics", "/logs", "/workers", "/mesh", "/checkpoints", "/events", "/config", "/launch", "/live", "/series?metric=loss", "/log/lines", "/log/map", "/log.txt", "/config.toml", "/stop", "/delete"} {
			if a := s.Do("GET", "/runs/"+id+rest, nil); a.Status != 404 {
				t.Errorf("%.20s%s: %d", id, rest, a.Status)
			}
		}
	}
}

func TestTheLiveSnapshotHoldsTheLivePartsOfATabAndTheSequenceBeforeThem(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Running)
	r.CheckpointPath = "/ckpt"
	s.Fake.AllRuns = []run.Run{r}
	s.Hub.PublishRun(r)
	path := "/runs/" + string(r.ID)
	for tab, parts := range map[string]string{
		"overview": "run-losses run-workers-short run-facts log-fate run-events", "metrics": "", "logs": "", "workers": "run-workers", "mesh": "run-mesh mesh-tables mesh-rounds",
		"checkpoints": "run-checkpoints", "events": "run-events", "config": "", "nothing": "",
	} {
		a := s.Get(path+"/live?tab="+tab, 200)
		got := a.Doc.Find("[data-live] > *").Map(func(_ int, el *goquery.Selection) string { return el.AttrOr("id", "none") })
		if want := strings.Fields("run-headline " + parts); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", tab, got, want)
		}
		if got := a.Doc.Find("[data-live]").AttrOr("data-seq", ""); got != fmt.Sprint(s.Hub.Seq(feed.RunTopic(r.ID))) {
			t.Errorf("%s: sequence %s", tab, got)
		}
		if a.Count("main") != 0 {
			t.Errorf("%s: a whole page", tab)
		}
		if tab == "nothing" {
			continue
		}
		shown := s.Get(strings.TrimSuffix(path+"/"+tab, "/overview"), 200)
		for _, id := range got {
			if shown.Count("#run-page #"+id) != 1 {
				t.Errorf("the tab %s has no %s to bring up to date", tab, id)
			}
		}
		if got := shown.Doc.Find("#run-page").AttrOr("data-live-url", ""); got != path+"/live?tab="+tab {
			t.Errorf("the tab %s reads %q", tab, got)
		}
	}
}

// tabsOf are the tabs of a page, in order, with the current one in brackets.
func tabsOf(a webtest.Answer) string {
	return strings.Join(a.Doc.Find("nav.run-tabs a").Map(func(_ int, el *goquery.Selection) string {
		if el.AttrOr("aria-current", "") == "page" {
			return "[" + el.Text() + "]"
		}
		return el.Text()
	}), " ")
}

func TestEachTabHasItsAddressAndTheWholeHead(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Running)
	r.CheckpointPath = "/ckpt"
	s.Fake.AllRuns = []run.Run{r}
	path := "/runs/" + string(r.ID)
	all := "Overview Metrics Logs Workers Mesh Checkpoints Events Configuration"
	for tail, label := range map[string]string{"": "Overview", "/metrics": "Metrics", "/logs": "Logs", "/workers": "Workers", "/mesh": "Mesh", "/checkpoints": "Checkpoints", "/events": "Events", "/config": "Configuration"} {
		a := s.Get(path+tail, 200)
		if got, want := tabsOf(a), strings.Replace(all, label, "["+label+"]", 1); got != want {
			t.Errorf("%s: %s", tail, got)
		}
		for _, selector := range []string{"#run-headline h1", "#run-headline .badge", "[data-run-reason]", `[data-metric="progress"]`, `.stats [data-metric="loss"]`, `.stats [data-metric="throughput"]`, `.stats [data-metric="participants"]`, `.stats [data-metric="attempt"]`, `#run-headline [data-action="ask-stop"]`} {
			if a.Count(selector) != 1 {
				t.Errorf("%s: %d %s", tail, a.Count(selector), selector)
			}
		}
		want := label + " · first try · CoTrain"
		if tail == "" {
			want = "first try · CoTrain"
		}
		if got := a.Text(t, "title"); got != want {
			t.Errorf("%s is called %q", tail, got)
		}
	}
	keys := s.Get(path, 200).Doc.Find("nav.run-tabs a").Map(func(_ int, el *goquery.Selection) string { return el.AttrOr("aria-keyshortcuts", "") })
	if strings.Join(keys, "") != "12345678" {
		t.Errorf("keys %q", keys)
	}
}

func TestATabThatHasNothingToSayIsAbsentAndLeadsToTheOverview(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	never := run.Run{ID: "r-0000000001", Name: "never started", State: run.Stopped, Shape: run.Shape{Nodes: 2}, InnerSteps: 5, CheckpointPath: "/ckpt"}
	broken := never
	broken.ID, broken.State, broken.Attempt, broken.CheckpointPath = "r-0000000002", run.Failed, 1, ""
	plain := webtest.Run(run.Succeeded)
	plain.ID, plain.InnerSteps = "r-0000000003", 0
	waiting := never
	waiting.ID, waiting.State = "r-0000000004", run.Queued
	s.Fake.AllRuns = []run.Run{never, broken, plain, waiting}
	for id, want := range map[run.ID]string{
		never.ID: "[Overview] Events Configuration", broken.ID: "[Overview] Logs Workers Events Configuration",
		plain.ID: "[Overview] Metrics Logs Workers Events Configuration", waiting.ID: "[Overview] Metrics Logs Workers Mesh Checkpoints Events Configuration",
	} {
		path := "/runs/" + string(id)
		if got := tabsOf(s.Get(path, 200)); got != want {
			t.Errorf("%s: %s, want %s", id, got, want)
		}
		for _, tab := range []string{"Metrics", "Logs", "Workers", "Mesh", "Checkpoints"} {
			a := s.Do("GET", path+"/"+strings.ToLower(tab), nil)
			if there := strings.Contains(want, tab); there != (a.Status == 200) || !there && (a.Status != 303 || a.Header.Get("Location") != path) {
				t.Errorf("%s of %s: %d to %q", tab, id, a.Status, a.Header.Get("Location"))
			}
			if s.Get(path+"/live?tab="+strings.ToLower(tab), 200).Count("#run-headline") != 1 {
				t.Errorf("%s of %s has no head to bring up to date", tab, id)
			}
		}
	}
}

func TestOldAddressesLeadToTheTab(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Running)
	s.Fake.AllRuns = []run.Run{r}
	path := "/runs/" + string(r.ID)
	for old, want := range map[string]string{"/launch": "/config", "?worker=2": "/logs?worker=2", "?events_before=77": "/events?before=77", "?worker=%22%3E%0d%0aX:y": "/logs?worker=%22%3E%0D%0AX%3Ay"} {
		if a := s.Do("GET", path+old, nil); a.Status != 303 || a.Header.Get("Location") != path+want {
			t.Errorf("%s: %d to %q", old, a.Status, a.Header.Get("Location"))
		}
	}
}

func TestActionsAreFewAndTheRestIsInOneMenu(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	for state, want := range map[run.State]string{
		run.Running: "ask-pause ask-stop clone | ask-restart ask-kill retry-changed compare-runs compare save-template download-log download-config", run.Stopping: "clone | ask-kill retry-changed compare-runs compare save-template download-log download-config",
		run.Queued:    "ask-pause ask-stop clone | retry-changed compare-runs compare save-template download-log download-config",
		run.Paused:    "ask-resume ask-stop clone | retry-changed compare-runs compare save-template download-log download-config",
		run.Failed:    "ask-retry clone | retry-changed compare-runs compare save-template download-log download-config ask-delete",
		run.Succeeded: "clone | retry-changed compare-runs compare save-template download-log download-config ask-delete",
	} {
		r := webtest.Run(state)
		s.Fake.AllRuns = []run.Run{r}
		a := s.Get("/runs/"+string(r.ID), 200)
		actions := func(selector string) string {
			return strings.Join(a.Doc.Find(selector).Map(func(_ int, el *goquery.Selection) string { return el.AttrOr("data-action", "") }), " ")
		}
		if got := actions(".headline-actions > [data-action]") + " | " + actions("#run-menu[popover] [data-action]"); got != want {
			t.Errorf("%s: %s, want %s", state, got, want)
		}
		if a.Count(`button[popovertarget="run-menu"][aria-label="More actions"]`) != 1 {
			t.Errorf("%s: the menu cannot be opened", state)
		}
	}
}
