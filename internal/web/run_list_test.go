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
		if a := s.get(q, 422); a.text(t, "h1") != "Invalid request" || a.text(t, ".error-detail") != detail {
			t.Errorf("%s: %q %q", q, a.text(t, "h1"), a.text(t, ".error-detail"))
		}
		part := s.do("GET", q, nil, "HX-Request", "true").header.Get("X-Fault")
		if told, err := url.PathUnescape(part); err != nil || !strings.HasPrefix(told, "Invalid request. ") || !strings.Contains(told, detail) {
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

func TestASweepIsOneRowThatOpens(t *testing.T) {
	t.Parallel()
	s, sweep := sweepSite(t)
	row := "tr#sweep-" + string(sweep.ID) + " "
	a := s.get("/", 200)
	if a.count("tr[data-sweep-id]") != 1 || a.count("tr[data-run-id]") != 1 {
		t.Fatalf("%d sweeps and %d runs", a.count("tr[data-sweep-id]"), a.count("tr[data-run-id]"))
	}
	for selector, want := range map[string]string{
		row + "[data-sweep]": sweep.Name, row + "[data-count-state=running]": "2 running", row + "[data-metric=best-loss]": "2.50", row + "[data-best-run]": "best #3",
	} {
		if got := a.text(t, selector); got != want {
			t.Errorf("%s: %q, want %q", selector, got, want)
		}
	}
	toggle := a.doc.Find(row + `[data-action=toggle-sweep][aria-expanded=false]`)
	href, _ := toggle.Attr("href")
	if get, _ := toggle.Attr("hx-get"); href != "/?open="+string(sweep.ID) || get != href {
		t.Fatalf("opens at %q, %q", href, get)
	}
	open := s.get(href, 200)
	if open.count(row+"~ tr.row-folded[data-run-id]") != 4 || open.count("tr[data-run-id]") != 5 {
		t.Errorf("%d of its runs are shown", open.count(row+"~ tr.row-folded[data-run-id]"))
	}
	if back, _ := open.doc.Find(row + `[data-action=toggle-sweep][aria-expanded=true]`).Attr("href"); back != "/" {
		t.Errorf("closes at %q", back)
	}
	if got := s.do("GET", href, nil, "HX-Request", "true").header.Get("HX-Push-Url"); got != href {
		t.Errorf("pushed address %q", got)
	}
	if only := s.get(href+"&state=queued", 200); only.count("tr.row-folded[data-run-id]") != 1 {
		t.Error("the filter does not reach the runs of a sweep")
	}
	for i := range openedShown {
		r := testRun(run.Queued)
		r.ID, r.Origin.Sweep = run.NewID(testNow.Add(time.Duration(i)*time.Hour)), sweep.ID
		s.fake.runs = append([]run.Run{r}, s.fake.runs...)
	}
	if many := s.get(href, 200); many.count("tr.row-folded[data-run-id]") != openedShown || many.count("[data-action=all-of-sweep]") != 1 {
		t.Errorf("%d of many runs are shown", many.count("tr.row-folded[data-run-id]"))
	}
	s.get("/?open=nonsense", 422)
}

func TestARunThatWaitsSaysWhy(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := testRun(run.Pending)
	r.Reason = "needs 3 nodes <b>with</b> GPUs"
	running := testRun(run.Running)
	running.ID = "r-0000000001"
	s.fake.runs = []run.Run{r, running}
	a := s.get("/", 200)
	if got := a.text(t, "#run-"+string(r.ID)+" [data-row-reason]"); got != "Needs 3 nodes <b>with</b> GPUs" {
		t.Errorf("reason %q", got)
	}
	s.fake.line = &run.Line{Position: 2, Ahead: []run.Ahead{{ID: "r-0000000003", Name: "big"}}}
	s.fake.runs[0].State = run.Queued
	if got, want := s.get("/", 200).text(t, "#run-"+string(r.ID)+" [data-row-reason]"), "Needs 3 nodes <b>with</b> GPUs. 2nd in the queue, behind big (r-0000000003)"; got != want {
		t.Errorf("reason %q, want %q", got, want)
	}
	if a.count("#run-"+string(running.ID)+" [data-row-reason]") != 0 || a.count("#run-"+string(running.ID)+" [data-metric=step]") != 1 {
		t.Error("a run that trains has a reason in place of its numbers")
	}
}

func TestCountsFollowTheSearchWhichSaysWhatItSearches(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	other := testRun(run.Failed)
	other.ID, other.Name = "r-0000000001", "second"
	s.fake.runs = []run.Run{testRun(run.Running), other}
	a := s.get("/?q=second", 200)
	if all, running := a.text(t, `[data-filter-state=""] .count`), a.count("[data-filter-state=running]"); all != "1" || running != 0 {
		t.Errorf("all %s, %d tabs of what does not match", all, running)
	}
	if got := a.text(t, `label[for=filter-text]`); got != "Search runs by name, ID, tag or description" {
		t.Errorf("label %q", got)
	}
	if none := s.get("/?q=third", 200); none.text(t, "[data-empty] p") != "Nothing matches these filters." || none.count(`[data-empty] a[href="/"]`) != 1 {
		t.Error("a search that finds nothing says so, and clears")
	}
}
