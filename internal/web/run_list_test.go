package web

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/run"
)

func TestTheEmptyListExplainsAndOffersTheSampleRun(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	a := s.get("/", 200)
	if got := a.text(t, "[data-empty] h2"); got != "No runs yet" {
		t.Errorf("heading %q", got)
	}
	if a.count(`form[method=post][action="/runs/sample"] button[type=submit]`) != 1 {
		t.Error("no button for the sample run")
	}
	if a.count(`[data-empty] a[href="/runs/new"]`) != 1 {
		t.Error("no way to a new run")
	}
}

func TestTheListShowsEachRunWithItsNumbers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := testRun(run.Running)
	s.fake.runs = []run.Run{r}
	a := s.get("/", 200)
	row := fmt.Sprintf("tr#run-%s[data-run-state=running] ", r.ID)
	for selector, want := range map[string]string{
		row + "th a":                         "first try",
		row + `[data-metric="step"]`:         "500 / 1,000",
		row + `[data-metric="loss"]`:         "3.14",
		row + `[data-metric="throughput"]`:   "12.3 k",
		row + `[data-metric="participants"]`: "3/3",
		row + `[data-metric="progress"]`:     "50 %",
		row + `[data-metric="duration"]`:     "10 min 00 s",
		row + "time":                         "1 h ago",
		row + ".badge":                       "running",
	} {
		if got := a.text(t, selector); got != want {
			t.Errorf("%s: %q, want %q", selector, got, want)
		}
	}
	if got, _ := a.doc.Find(row + `[data-metric="loss"]`).Attr("title"); got != "3.14159" {
		t.Errorf("exact loss %q", got)
	}
}

func TestFiltersReachTheStoreAndStayInTheAddresses(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fake.runs = []run.Run{testRun(run.Failed), testRun(run.Running)}
	a := s.do("GET", "/?q=+first+&state=failed", nil, "HX-Request", "true")
	if a.status != 200 || a.count("tr[data-run-id]") != 1 {
		t.Fatalf("status %d, %d rows", a.status, a.count("tr[data-run-id]"))
	}
	got := s.fake.filters[0]
	if got.Text != "first" || len(got.States) != 1 || got.States[0] != run.Failed || got.Limit != listSize+1 {
		t.Errorf("filter %+v", got)
	}
	if got := a.header.Get("HX-Push-Url"); got != "/?q=first&state=failed" {
		t.Errorf("pushed address %q", got)
	}
	if a.count(`[data-filter-state=failed][aria-current]`) != 1 || a.count(`[data-filter-state=running][href="/?q=first&state=running"]`) != 1 {
		t.Error("the tabs do not carry the filter")
	}
	if s.get("/?q=nothing-like-it", 200).text(t, "[data-empty] h2") != "No run matches" {
		t.Error("no word about a filter that finds nothing")
	}
}

func TestOlderRunsAreOnePageOn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for i := range listSize + 1 {
		r := testRun(run.Succeeded)
		r.ID = run.NewID(testNow.Add(-time.Duration(i) * time.Minute))
		s.fake.runs = append(s.fake.runs, r)
	}
	first := s.get("/", 200)
	if n := first.count("tr[data-run-id]"); n != listSize {
		t.Fatalf("%d rows on the first page", n)
	}
	href, ok := first.doc.Find(`a[rel=next]`).Attr("href")
	if !ok {
		t.Fatal("no link to older runs")
	}
	second := s.get(href, 200)
	if n := second.count("tr[data-run-id]"); n != 1 {
		t.Errorf("%d rows on the second page", n)
	}
	if second.count("a[rel=next]") != 0 || second.count("a[rel=first]") != 1 {
		t.Error("the last page leads on, or not back")
	}
}

func TestAFilterThatMakesNoSenseIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for q, detail := range map[string]string{
		"/?state=nonsense":     `state = "nonsense": is not a state of a run; use one of queued, dispatching, pending, running, degraded, stopping, paused, succeeded, failed, stopped`,
		"/?before=../../etc":   `before = "../../etc": is not the ID of a run; leave it out to begin with the newest`,
		"/?before=r-":          `before = "r-": is not the ID of a run; leave it out to begin with the newest`,
		"/sweeps?before=r-123": `before = "r-123": is not the ID of a sweep; leave it out to begin with the newest`,
	} {
		if a := s.get(q, 422); a.text(t, "h1") != "That cannot be used" || a.text(t, ".error-detail") != detail {
			t.Errorf("%s: %q %q", q, a.text(t, "h1"), a.text(t, ".error-detail"))
		}
		part := s.do("GET", q, nil, "HX-Request", "true").header.Get("X-Fault")
		if told, err := url.PathUnescape(part); err != nil || !strings.HasPrefix(told, "That cannot be used. ") || !strings.Contains(told, detail) {
			t.Errorf("%s: a part of a page gets %q, %v", q, told, err)
		}
	}
}

func TestTheListEscapesWhatUsersNamed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := testRun(run.Running)
	r.Name = `<script>alert(1)</script>"onmouseover="x`
	s.fake.runs = []run.Run{r}
	a := s.get("/", 200)
	if got := a.text(t, "tr[data-run-id] th a"); got != r.Name {
		t.Errorf("name %q", got)
	}
	assertNoInlineCode(t, a)
}
