package runs_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/points"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

// three are runs of which one trains and two have ended.
func three(s *webtest.Site) (ids []string) {
	for i, state := range []run.State{run.Running, run.Failed, run.Succeeded} {
		r := webtest.Run(state)
		r.ID, r.Name = run.NewID(webtest.Now.Add(-time.Duration(i)*time.Hour)), "run "+string(state)
		r.CreatedAt = webtest.Now.Add(-time.Duration(i) * time.Hour)
		s.Fake.AllRuns = append(s.Fake.AllRuns, r)
		ids = append(ids, string(r.ID))
	}
	return ids
}

func TestASelectionIsComparedTaggedAndDeleted(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	ids := three(s)
	list := s.Get("/", 200)
	if n := list.Count(`tr input[type=checkbox][name=run][form=bulk]`); n != 3 {
		t.Errorf("%d checkboxes", n)
	}
	if a := s.Get("/runs/bulk?do=compare&run="+ids[1]+"&run="+ids[0], 303); a.Header.Get("Location") != "/compare?runs="+ids[1]+","+ids[0] && a.Header.Get("Location") != "/compare?runs="+ids[0]+","+ids[1] {
		t.Errorf("compared at %s", a.Header.Get("Location"))
	}
	ask := s.Get("/runs/bulk?do=tag&f-state=failed&run="+ids[0]+"&run="+ids[1], 200)
	if ask.Text(t, "h1") != "Tag 2 runs" || ask.Count("form[action='/runs/bulk/edit'] input[name=run]") != 2 {
		t.Errorf("asks %q", ask.Text(t, "h1"))
	}
	form := url.Values{"run": ids[:2], "add": {"paper, wide"}, "f-state": {"failed"}}
	if a := s.Do("POST", "/runs/bulk/edit", form); a.Status != 303 || a.Header.Get("Location") != "/?state=failed" {
		t.Errorf("%d to %s", a.Status, a.Header.Get("Location"))
	}
	if got := s.Fake.AllRuns[1].Options.Tags; !slices.Equal(got, []string{"paper", "wide"}) {
		t.Errorf("tags %v", got)
	}
	ask = s.Get("/runs/bulk?do=archive&run="+strings.Join(ids, "&run="), 200)
	if got := ask.Text(t, "[data-bulk-others]"); got != "1 run of them: not ended, and stay in the lists." {
		t.Errorf("says %q", got)
	}
	res := s.Do("POST", "/runs/bulk/edit", url.Values{"run": ids, "archived": {"yes"}})
	if res.Status != 200 || res.Text(t, "h1") != "2 of 3 runs changed" || !strings.Contains(res.Text(t, "[data-bulk-failed] li"), ids[0]) {
		t.Errorf("%d, %q: %q", res.Status, res.Text(t, "h1"), res.Text(t, "[data-bulk-failed]"))
	}
	if n := s.Get("/", 200).Count("tr[data-run-id]"); n != 1 {
		t.Errorf("%d rows beside the archived", n)
	}
	if n := s.Get("/?archived=only", 200).Count("tr.row-archived"); n != 2 {
		t.Errorf("%d archived rows", n)
	}
}

func TestASelectionIsPausedAndResumed(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	ids := three(s)
	paused := webtest.Run(run.Paused)
	paused.ID = run.NewID(webtest.Now.Add(-9 * time.Hour))
	s.Fake.AllRuns = append(s.Fake.AllRuns, paused)
	ids = append(ids, string(paused.ID))
	all := strings.Join(ids, "&run=")
	for _, tt := range []struct {
		do, others, fields string
		form               url.Values
		did                string
	}{
		{"pause", "3 runs of them: ended, paused or being stopped, and stay as they are.", "input[name=when][value=checkpoint][checked], input[name=when][value=now]", url.Values{"run": ids[:1], "when": {"now"}}, "pause " + ids[0] + " now"},
		{"pause", "", "", url.Values{"run": ids[:1]}, "pause " + ids[0] + " checkpoint"},
		{"resume", "3 runs of them: not paused, and stay as they are.", "", url.Values{"run": ids[3:]}, "resume " + ids[3]},
	} {
		if s.Get("/", 200).Count("#bulk button[value="+tt.do+"]") != 1 {
			t.Errorf("%s is not offered", tt.do)
		}
		ask := s.Get("/runs/bulk?do="+tt.do+"&run="+all, 200)
		if got := ask.Text(t, "[data-bulk-others]"); tt.others != "" && got != tt.others {
			t.Errorf("%s says %q", tt.do, got)
		}
		for selector := range strings.SplitSeq(tt.fields, ", ") {
			if selector != "" && ask.Count("form[action='/runs/bulk/"+tt.do+"'] "+selector) != 1 {
				t.Errorf("%s has no %s", tt.do, selector)
			}
		}
		if a := s.Do("POST", "/runs/bulk/"+tt.do, tt.form); a.Status != 303 {
			t.Errorf("%s: %d", tt.do, a.Status)
		}
		if got := s.Fake.Did[len(s.Fake.Did)-1]; got != tt.did {
			t.Errorf("did %q, want %q", got, tt.did)
		}
	}
	if a := s.Do("POST", "/runs/bulk/pause", url.Values{"run": ids[:1], "when": {"later"}}); strings.Contains(a.Body, "1 of 1 run changed") || !strings.Contains(a.Body, "use checkpoint or now") {
		t.Errorf("a time that there is not: %d", a.Status)
	}
}

func TestWhatMatchesIsTaggedAsAWhole(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	three(s)
	list := s.Get("/?q=run&all=1", 200)
	if list.Count("#bulk input[name=all][value='1']") != 1 || list.Count("tr input[name=run][checked]") != 3 || list.Count("[data-action=bulk-delete], [data-action=bulk-stop]") != 0 {
		t.Error("the whole is not offered as it should be")
	}
	s.Do("POST", "/runs/bulk/edit", url.Values{"all": {"1"}, "f-state": {"failed"}, "add": {"whole"}})
	for _, r := range s.Fake.AllRuns {
		if slices.Contains(r.Options.Tags, "whole") != (r.State == run.Failed) {
			t.Errorf("%s has %v", r.State, r.Options.Tags)
		}
	}
}

func TestFiltersAreChipsThatGoOneByOne(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	three(s)
	a := s.Get("/?tag=wide&tag=paper&model=debug&node=gpu-1&within=7d&archived=all&sort=-loss&to=2026-05-01", 200)
	f := s.Fake.Filters[len(s.Fake.Filters)-1]
	if !slices.Equal(f.Tags, []string{"paper", "wide"}) || f.Model != "debug" || f.Node != "gpu-1" || f.Archived != run.WithArchived || f.Order.String() != "-loss" || f.Folded {
		t.Errorf("asks for %+v", f)
	}
	if !f.Since.Equal(webtest.Now.AddDate(0, 0, -7)) || !f.Until.Equal(time.Date(2026, 5, 2, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("between %v and %v", f.Since, f.Until)
	}
	if n := a.Count("[data-chip]"); n != 7 {
		t.Errorf("%d chips", n)
	}
	for chip, want := range map[string]string{
		"node": "/?archived=all&model=debug&sort=-loss&tag=paper&tag=wide&to=2026-05-01&within=7d", "created": "/?archived=all&model=debug&node=gpu-1&sort=-loss&tag=paper&tag=wide&to=2026-05-01",
	} {
		if got := a.Doc.Find("[data-chip="+chip+"]").AttrOr("href", ""); got != want {
			t.Errorf("without %s: %s", chip, got)
		}
	}
	if got := a.Doc.Find(".chips-clear").AttrOr("href", ""); got != "/?sort=-loss" {
		t.Errorf("cleared to %s", got)
	}
	for _, path := range []string{"/?sort=nonsense", "/?sort=loss&before=r-0000000001", "/?sort=loss&before=r-0000000001.nNaN", "/?sort=name&before=r-0000000001.t*", "/?from=yesterday", "/?tag=" + strings.Repeat("x", 60), "/runs/bulk?do=tag", "/runs/bulk?do=dance&run=r-0000000001"} {
		if a := s.Do("GET", path, nil); a.Status != 422 && a.Status != 404 {
			t.Errorf("%s: %d", path, a.Status)
		}
	}
}

func TestColumnsAreChosenSortedAndSaved(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	ids := three(s)
	s.Fake.Rows = map[run.ID]map[string]points.Summary{run.ID(ids[0]): {"eval/loss": {Metric: "eval/loss", Value: 1.5, Low: 1.25, High: 9}}}
	a := s.Get("/?cols=step,model&metric=eval/loss&of=low&sort=metric:eval/loss:low", 200)
	if got := a.Text(t, "#run-"+ids[0]+` [data-column="metric:eval/loss:low"]`); got != "1.25" {
		t.Errorf("lowest %q", got)
	}
	if a.Count("thead th[aria-sort=ascending] [data-sort='metric:eval/loss:low']") != 1 || a.Count("[data-cell=model]") != 3 || a.Count("[data-metric=loss]") != 0 {
		t.Error("other columns, or another order")
	}
	if got := a.Doc.Find("[data-sort='metric:eval/loss:low']").AttrOr("href", ""); !strings.Contains(got, "sort=-metric") {
		t.Errorf("the other way around: %s", got)
	}
	if b := s.Do("POST", "/runs/columns", url.Values{"cols": {"step", "note"}, "for": {"me"}, "state": {"failed"}}); b.Status != 303 || b.Header.Get("Location") != "/?state=failed" {
		t.Errorf("saved: %d to %s", b.Status, b.Header.Get("Location"))
	}
	if a := s.Get("/", 200); a.Count("thead .col-note") != 1 || a.Count("thead .col-loss") != 0 || a.Count("[data-action=reset-columns]") != 1 {
		t.Error("the saved columns are not shown")
	}
	if b := s.Do("POST", "/runs/columns", url.Values{"for": {"bogus"}}); b.Status != 422 {
		t.Errorf("columns of somebody else: %d", b.Status)
	}
	s.Do("POST", "/runs/columns", url.Values{"for": {"nobody"}})
	if a := s.Get("/", 200); a.Count("thead .col-loss") != 1 {
		t.Error("the usual columns do not come back")
	}
}

func TestLabelsAreEditedOnTheRunsPage(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	ids := three(s)
	path := "/runs/" + ids[1]
	if a := s.Do("POST", path+"/labels", url.Values{"tags": {"b, a"}, "note": {"why\r\nnot"}, "archived": {"yes"}}); a.Status != 303 {
		t.Fatal(a.Status)
	}
	a := s.Get(path, 200)
	if a.Text(t, "#run-labels [data-note]") != "why not" || a.Count("#run-labels a[data-tag]") != 2 || a.Count("#run-labels [data-archived]") != 1 || a.Count("[data-action=unarchive]") != 1 {
		t.Error("labels are not shown")
	}
	a = s.Do("POST", path+"/labels", url.Values{"tags": {"a, b, " + strings.Repeat("x", 50)}, "tags-were": {"a, b"}, "note": {"long thoughts"}, "note-was": {"why\r\nnot"}})
	if a.Status != 422 || a.Doc.Find("#labels-tags").AttrOr("value", "") != "a, b, "+strings.Repeat("x", 50) || a.Text(t, "#labels-note") != "long thoughts" ||
		!strings.Contains(a.Text(t, "#labels-tags-error"), "50 characters") || a.Count("#labels-note-error") != 0 {
		t.Errorf("a tag too long: %d", a.Status)
	}
}

// TestTwoPeopleEditLabelsAtOnce has a second person save a form that both have open.
func TestTwoPeopleEditLabelsAtOnce(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	path := "/runs/" + three(s)[1]
	form := func(a webtest.Answer) url.Values {
		out := url.Values{}
		for _, name := range []string{"tags", "tags-were", "note-was"} {
			out.Set(name, a.Doc.Find("[data-labels-form] [name="+name+"]").AttrOr("value", ""))
		}
		out.Set("note", a.Doc.Find("[data-labels-form] [name=note]").Text())
		return out
	}
	s.Do("POST", path+"/labels", url.Values{"tags": {"old, both"}, "note": {"first"}})
	ann, bob := form(s.Get(path, 200)), form(s.Get(path, 200))
	ann.Set("tags", "both, ann")
	ann.Set("note", "ann's")
	bob.Set("tags", "old, both, bob")
	bob.Set("note", "bob's")
	if a := s.Do("POST", path+"/labels", ann); a.Status != 303 {
		t.Fatal(a.Status)
	}
	a := s.Do("POST", path+"/labels", bob)
	if a.Status != 409 || a.Text(t, "[data-note]") != "ann's" || a.Text(t, "#labels-note") != "bob's" || a.Doc.Find("#labels-tags").AttrOr("value", "") != "old, both, bob" {
		t.Fatalf("bob's note over ann's: %d", a.Status)
	}
	if got := s.Get(path, 200); got.Text(t, "#run-labels [data-note]") != "ann's" || got.Doc.Find("#run-labels a[data-tag]").Text() != "annboth" {
		t.Error("something of a refused edit is stored")
	}
	if a := s.Do("POST", path+"/labels", form(a)); a.Status != 303 {
		t.Fatalf("after reading ann's: %d", a.Status)
	}
	if got := s.Get(path, 200); got.Text(t, "#run-labels [data-note]") != "bob's" || got.Doc.Find("#run-labels a[data-tag]").Text() != "annbobboth" {
		t.Error("tags of both, and the note that was saved last, are not shown")
	}
	tagsOnly := form(s.Get(path, 200))
	s.Do("POST", path+"/labels", url.Values{"tags": {"x"}, "tags-were": {"x"}, "note": {"meanwhile"}, "note-was": {"bob's"}})
	tagsOnly.Set("tags", "")
	if a := s.Do("POST", path+"/labels", tagsOnly); a.Status != 303 {
		t.Errorf("tags alone: %d", a.Status)
	}
	if got := s.Get(path, 200); got.Text(t, "#run-labels [data-note]") != "meanwhile" || got.Count("#run-labels a[data-tag]") != 0 {
		t.Error("a note that was not touched was changed")
	}
}
