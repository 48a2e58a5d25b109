package runs_test

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web"
	"github.com/cotrain/cotrain/internal/web/runs"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

func TestTheEmptyListExplainsAndOffersTheSampleRun(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	a := s.Get("/", 200)
	if got := a.Text(t, "[data-empty] h2"); got != "No runs yet" {
		t.Errorf("heading %q", got)
	}
	if a.Count(`form[method=post][action="/runs/sample"] button[type=submit]`) != 1 {
		t.Error("no button for the sample run")
	}
	if a.Count(`[data-empty] a[href="/runs/new"]`) != 1 {
		t.Error("no way to a new run")
	}
	for _, dev := range []bool{true, false} {
		s := webtest.New(t, func(d *web.Deps) { d.Dev = dev })
		if got := strings.Contains(s.Get("/", 200).Text(t, "[data-empty]"), "on this machine"); got != dev {
			t.Errorf("dev is %v: it runs on this machine: %v", dev, got)
		}
	}
}

// narrow is a console whose projects allow two nodes for a run.
type narrow struct {
	web.Control
	nodes []int // that were asked for
}

// Submit is for [web.Control].
func (n *narrow) Submit(ctx context.Context, s run.Submission) (run.Run, error) {
	n.nodes = append(n.nodes, s.Shape.Nodes)
	if s.Shape.Nodes > 2 {
		return run.Run{}, run.FieldErrors{{Field: "nodes", Value: "3", Rule: "is too much"}}
	}
	return n.Control.Submit(ctx, s)
}

func TestTheSampleRunFitsWhatTheProjectAllows(t *testing.T) {
	t.Parallel()
	var n *narrow
	s := webtest.New(t, func(d *web.Deps) { n = &narrow{Control: d.Control}; d.Control = n })
	if a := s.Do("POST", "/runs/sample", nil); a.Status != 303 || fmt.Sprint(n.nodes) != "[3 2]" || s.Fake.Submitted[0].Shape.Nodes != 2 {
		t.Errorf("%d; nodes %v", a.Status, n.nodes)
	}
	s.Fake.SubmitErr = run.FieldErrors{{Field: "priority", Rule: "is too much"}}
	n.nodes = nil
	if a := s.Do("POST", "/runs/sample", nil); a.Status != 422 || len(n.nodes) != 2 {
		t.Errorf("%d; nodes %v", a.Status, n.nodes)
	}
}

func TestTheListShowsEachRunWithItsNumbers(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Running)
	s.Fake.AllRuns = []run.Run{r}
	a := s.Get("/", 200)
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
		if got := a.Text(t, selector); got != want {
			t.Errorf("%s: %q, want %q", selector, got, want)
		}
	}
	if got, _ := a.Doc.Find(row + `[data-metric="loss"]`).Attr("title"); got != "3.14159" {
		t.Errorf("exact loss %q", got)
	}
}

func TestFiltersReachTheStoreAndStayInTheAddresses(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	s.Fake.AllRuns = []run.Run{webtest.Run(run.Failed), webtest.Run(run.Running)}
	a := s.Do("GET", "/?q=+first+&state=failed", nil, "HX-Request", "true")
	if a.Status != 200 || a.Count("tr[data-run-id]") != 1 {
		t.Fatalf("status %d, %d rows", a.Status, a.Count("tr[data-run-id]"))
	}
	got := s.Fake.Filters[0]
	if got.Text != "first" || len(got.States) != 1 || got.States[0] != run.Failed || got.Limit != runs.ListSize {
		t.Errorf("filter %+v", got)
	}
	if got := a.Header.Get("HX-Push-Url"); got != "/?q=first&state=failed" {
		t.Errorf("pushed address %q", got)
	}
	if a.Count(`[data-filter-state=failed][aria-current]`) != 1 || a.Count(`[data-filter-state=running][href="/?q=first&state=running"]`) != 1 {
		t.Error("the tabs do not carry the filter")
	}
	if s.Get("/?q=nothing-like-it", 200).Text(t, "[data-empty] h2") != "No matching runs" {
		t.Error("no word about a filter that finds nothing")
	}
}

func TestTheListFollowsTheProjectThatItShows(t *testing.T) {
	t.Parallel()
	s := webtest.New(t, func(d *web.Deps) {
		d.Projects = func(context.Context) []string { return []string{"default", "vision"} }
	})
	own, theirs := webtest.Run(run.Running), webtest.Run(run.Failed)
	theirs.ID, theirs.Project, theirs.Owner = "r-0000000002", "vision", "bob"
	s.Fake.AllRuns = []run.Run{own, theirs}
	s.Hub.PublishRun(theirs) // so that the topics have other sequences
	for _, c := range []struct {
		name, path, cookie, topic string
		rows                      int
	}{
		{"all projects", "/", "", "runs", 2},
		{"the address names one", "/?project=vision", "", "runs:vision", 1},
		{"one is selected", "/", "project=vision", "runs:vision", 1},
		{"the address wins", "/?project=default", "project=vision", "runs:default", 1},
	} {
		a := s.Do("GET", c.path, nil, "Cookie", c.cookie)
		list := a.Doc.Find("#run-list")
		if list.AttrOr("data-topic", "") != c.topic || list.AttrOr("data-seq", "") != strconv.FormatInt(s.Hub.Seq(c.topic), 10) || a.Count("tr[data-run-id]") != c.rows {
			t.Errorf("%s: topic %q at %q, %d rows", c.name, list.AttrOr("data-topic", ""), list.AttrOr("data-seq", ""), a.Count("tr[data-run-id]"))
		}
	}
}

func TestFiltersKeepTheProjectOfTheAddress(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	for path, want := range map[string]string{
		"/?project=vision&q=none&state=failed&owner=bob": "/?project=vision",
		"/?q=none": "/",
	} {
		a := s.Get(path, 200)
		if got := a.Doc.Find(`[data-action="clear-filters"]`).AttrOr("href", ""); got != want {
			t.Errorf("%s: cleared to %q", path, got)
		}
	}
	s.Fake.AllRuns = []run.Run{webtest.Run(run.Running)}
	a := s.Get("/?project=default&state=running&owner=ann", 200)
	for name, want := range map[string]string{"project": "default", "state": "running", "owner": "ann"} {
		if got := a.Doc.Find(`input[form=filters][name="`+name+`"], #filters input[name="`+name+`"]`).AttrOr("value", ""); got != want {
			t.Errorf("the form sends %s %q", name, got)
		}
	}
	if got := a.Doc.Find("[data-chip=owner]").AttrOr("href", ""); got != "/?project=default&state=running" {
		t.Errorf("everybody's: %q", got)
	}
}

func TestProjectAndOwnerAreShownWhereThereAreSeveral(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	first, second := webtest.Run(run.Running), webtest.Run(run.Queued)
	second.ID, second.Project, second.Owner = "r-0000000002", "vision", "bob"
	s.Fake.AllRuns = []run.Run{first}
	if s.Get("/", 200).Count(".cell-whose, .col-project, .col-owner") != 0 {
		t.Error("columns that always say the same")
	}
	s.Fake.AllRuns = []run.Run{first, second}
	a := s.Get("/", 200)
	for selector, want := range map[string]string{
		"#run-r-0000000002 [data-cell=project]": "vision", "#run-r-0000000002 [data-cell=owner]": "bob",
		"#run-" + string(first.ID) + " [data-cell=project]": "default", "#run-" + string(first.ID) + " [data-cell=owner]": "ann",
		".col-project": "Project", ".col-owner": "Owner",
	} {
		if got := a.Text(t, selector); got != want {
			t.Errorf("%s: %q, want %q", selector, got, want)
		}
	}
}

func TestOlderRunsAreOnePageOn(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	for i := range runs.ListSize + 1 {
		r := webtest.Run(run.Succeeded)
		r.ID = run.NewID(webtest.Now.Add(-time.Duration(i) * time.Minute))
		s.Fake.AllRuns = append(s.Fake.AllRuns, r)
	}
	first := s.Get("/", 200)
	if n := first.Count("tr[data-run-id]"); n != runs.ListSize {
		t.Fatalf("%d rows on the first page", n)
	}
	href, ok := first.Doc.Find(`a[rel=next]`).Attr("href")
	if !ok {
		t.Fatal("no link to older runs")
	}
	second := s.Get(href, 200)
	if n := second.Count("tr[data-run-id]"); n != 1 {
		t.Errorf("%d rows on the second page", n)
	}
	if second.Count("a[rel=next]") != 0 || second.Count("a[rel=first]") != 1 {
		t.Error("the last page leads on, or not back")
	}
}

func TestAFilterThatMakesNoSenseIsRefused(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	for q, detail := range map[string]string{
		"/?state=nonsense":     `state = "nonsense": is not a state of a run; use one of queued, dispatching, pending, running, degraded, stopping, paused, succeeded, failed, stopped`,
		"/?before=../../etc":   `before = "../../etc": is not a place in this list; use the next of the previous page, with the same sort`,
		"/?before=r-":          `before = "r-": is not a place in this list; use the next of the previous page, with the same sort`,
		"/?within=1y":          `within = "1y": is not today, 7d or 30d; use one of them, or give a day in from`,
		"/?archived=maybe":     `archived = "maybe": is not no, all or only; use all to see archived runs, too`,
		"/?since=yesterday":    `since = "yesterday": is not a time; write it as 2026-01-31 or 2026-01-31T12:00:00Z`,
		"/sweeps?before=r-123": `before = "r-123": is not the ID of a sweep; leave it out to start with the newest`,
	} {
		if a := s.Get(q, 422); a.Text(t, "h1") != "Invalid request" || a.Text(t, ".error-detail") != detail {
			t.Errorf("%s: %q %q", q, a.Text(t, "h1"), a.Text(t, ".error-detail"))
		}
		part := s.Do("GET", q, nil, "HX-Request", "true").Header.Get("X-Fault")
		if told, err := url.PathUnescape(part); err != nil || !strings.HasPrefix(told, "Invalid request. ") || !strings.Contains(told, detail) {
			t.Errorf("%s: a part of a page gets %q, %v", q, told, err)
		}
	}
}

func TestTheListEscapesWhatUsersNamed(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Running)
	r.Name = `<script>alert(1)</script>"onmouseover="x`
	s.Fake.AllRuns = []run.Run{r}
	a := s.Get("/", 200)
	if got := a.Text(t, "tr[data-run-id] th a"); got != r.Name {
		t.Errorf("name %q", got)
	}
	webtest.AssertNoInlineCode(t, a)
}

func TestASweepIsOneRowThatOpens(t *testing.T) {
	t.Parallel()
	s, sweep := webtest.WithSweep(t)
	row := "tr#sweep-" + string(sweep.ID) + " "
	a := s.Get("/", 200)
	if a.Count("tr[data-sweep-id]") != 1 || a.Count("tr[data-run-id]") != 1 {
		t.Fatalf("%d sweeps and %d runs", a.Count("tr[data-sweep-id]"), a.Count("tr[data-run-id]"))
	}
	for selector, want := range map[string]string{
		row + "[data-sweep]": sweep.Name, row + "[data-count-state=running]": "2 running", row + "[data-metric=best-loss]": "2.50", row + "[data-best-run]": "best #3",
	} {
		if got := a.Text(t, selector); got != want {
			t.Errorf("%s: %q, want %q", selector, got, want)
		}
	}
	toggle := a.Doc.Find(row + `[data-action=toggle-sweep][aria-expanded=false]`)
	href, _ := toggle.Attr("href")
	if get, _ := toggle.Attr("hx-get"); href != "/?open="+string(sweep.ID) || get != href {
		t.Fatalf("opens at %q, %q", href, get)
	}
	open := s.Get(href, 200)
	if open.Count(row+"~ tr.row-folded[data-run-id]") != 4 || open.Count("tr[data-run-id]") != 5 {
		t.Errorf("%d of its runs are shown", open.Count(row+"~ tr.row-folded[data-run-id]"))
	}
	if back, _ := open.Doc.Find(row + `[data-action=toggle-sweep][aria-expanded=true]`).Attr("href"); back != "/" {
		t.Errorf("closes at %q", back)
	}
	if got := s.Do("GET", href, nil, "HX-Request", "true").Header.Get("HX-Push-Url"); got != href {
		t.Errorf("pushed address %q", got)
	}
	if only := s.Get(href+"&state=queued", 200); only.Count("tr.row-folded[data-run-id]") != 1 {
		t.Error("the filter does not reach the runs of a sweep")
	}
	for i := range runs.OpenedShown {
		r := webtest.Run(run.Queued)
		r.ID, r.Origin.Sweep = run.NewID(webtest.Now.Add(time.Duration(i)*time.Hour)), sweep.ID
		s.Fake.AllRuns = append([]run.Run{r}, s.Fake.AllRuns...)
	}
	if many := s.Get(href, 200); many.Count("tr.row-folded[data-run-id]") != runs.OpenedShown || many.Count("[data-action=all-of-sweep]") != 1 {
		t.Errorf("%d of many runs are shown", many.Count("tr.row-folded[data-run-id]"))
	}
	s.Get("/?open=nonsense", 422)
}

func TestARunThatWaitsSaysWhy(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Pending)
	r.Reason = "needs 3 nodes <b>with</b> GPUs"
	running := webtest.Run(run.Running)
	running.ID = "r-0000000001"
	s.Fake.AllRuns = []run.Run{r, running}
	a := s.Get("/", 200)
	if got := a.Text(t, "#run-"+string(r.ID)+" [data-row-reason]"); got != "Needs 3 nodes <b>with</b> GPUs" {
		t.Errorf("reason %q", got)
	}
	s.Fake.QueuePlace = &run.QueuePlace{Position: 2, Ahead: []run.Ahead{{ID: "r-0000000003", Name: "big"}}}
	s.Fake.AllRuns[0].State = run.Queued
	if got, want := s.Get("/", 200).Text(t, "#run-"+string(r.ID)+" [data-row-reason]"), "Needs 3 nodes <b>with</b> GPUs. 2nd in the queue, behind big (r-0000000003)"; got != want {
		t.Errorf("reason %q, want %q", got, want)
	}
	if a.Count("#run-"+string(running.ID)+" [data-row-reason]") != 0 || a.Count("#run-"+string(running.ID)+" [data-metric=step]") != 1 {
		t.Error("a run that trains has a reason in place of its numbers")
	}
}

func TestCountsFollowTheSearchWhichSaysWhatItSearches(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	other := webtest.Run(run.Failed)
	other.ID, other.Name = "r-0000000001", "second"
	s.Fake.AllRuns = []run.Run{webtest.Run(run.Running), other}
	a := s.Get("/?q=second", 200)
	if all, running := a.Text(t, `[data-filter-state=""] .count`), a.Count("[data-filter-state=running]"); all != "1" || running != 0 {
		t.Errorf("all %s, %d tabs of what does not match", all, running)
	}
	if got := a.Text(t, `label[for=filter-text]`); got != "Search runs by name, ID, tag or description" {
		t.Errorf("label %q", got)
	}
	if none := s.Get("/?q=third", 200); none.Text(t, "[data-empty] p") != "Nothing matches these filters." || none.Count(`[data-empty] a[href="/"]`) != 1 {
		t.Error("a search that finds nothing says so, and clears")
	}
}

func TestCountsOfManyRunsAreExact(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	for range 10_000 {
		s.Fake.AllRuns = append(s.Fake.AllRuns, webtest.Run(run.Succeeded))
	}
	s.Fake.AllRuns = append(s.Fake.AllRuns, webtest.Run(run.Failed))
	a := s.Get("/", 200)
	for state, want := range map[string]string{"": "10,001", "succeeded": "10,000", "failed": "1"} {
		if got := a.Text(t, `[data-filter-state="`+state+`"] .count`); got != want {
			t.Errorf("count of %q: %s, want %s", state, got, want)
		}
	}
}
