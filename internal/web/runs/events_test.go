package runs_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/points"
	"github.com/cotrain/cotrain/internal/web/runs"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

func TestEventsAreATimelineNewestFirst(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Running)
	s.Fake.AllRuns = []run.Run{r}
	for i := range int64(runs.EventsShown + 5) {
		s.Fake.AllEvents = append(s.Fake.AllEvents, run.Event{Seq: i + 1, Kind: "checkpoint_saved", Rank: 2, At: webtest.Now, Message: fmt.Sprint("number ", i+1)})
	}
	last := &s.Fake.AllEvents[len(s.Fake.AllEvents)-1]
	last.Level, last.Actor = "error", "worker"
	s.Fake.AllEvents = append(s.Fake.AllEvents, run.Event{Seq: 999, Kind: "state", To: run.Running, Rank: -1, Actor: "local", At: webtest.Now})
	a := s.Get("/runs/"+string(r.ID)+"/events", 200)
	if n := a.Count("#event-list > li"); n != runs.EventsShown {
		t.Errorf("%d events", n)
	}
	if got := a.Text(t, "#event-list > li:first-child"); got != "running just now by local" {
		t.Errorf("newest %q", got)
	}
	if got := a.Text(t, "#event-list > li:nth-child(2)"); got != fmt.Sprintf("checkpoint saved worker 2 just now number %d", runs.EventsShown+5) {
		t.Errorf("second %q", got)
	}
	if a.Count("#event-list .event.state-failed") != 1 {
		t.Error("the event of level error does not stand out")
	}
}

// sequences are those of the events in an answer, in order.
func sequences(a webtest.Answer) (out []string) {
	a.Doc.Find("li.event").Each(func(_ int, li *goquery.Selection) { out = append(out, li.AttrOr("id", "")) })
	return out
}

// eventSite is a console whose run has events with the sequences 1 to n.
func eventSite(t *testing.T, n int) (s *webtest.Site, path string, want []string) {
	t.Helper()
	s = webtest.New(t)
	r := webtest.Run(run.Running)
	s.Fake.AllRuns = []run.Run{r}
	for i := range int64(n) {
		s.Fake.AllEvents = append(s.Fake.AllEvents, run.Event{Seq: i + 1, Kind: "note", Rank: -1, At: webtest.Now})
		want = append(want, fmt.Sprint("event-", i+1))
	}
	slices.Reverse(want)
	return s, "/runs/" + string(r.ID), want
}

func TestEveryEventIsReachedByTheLinkWithoutAScript(t *testing.T) {
	t.Parallel()
	s, path, want := eventSite(t, 2*runs.EventsShown+5)
	var got []string
	address, pages := path+"/events", 0
	for {
		a := s.Get(address, 200)
		got = append(got, sequences(a)...)
		live := a.Count("#run-events #event-list") == 1
		if pages++; live != (pages == 1) || a.Count(`[data-action="newest-events"][href="`+path+`/events"]`) == 1 == live {
			t.Errorf("page %d: live %t, or no way back", pages, live)
		}
		link := a.Doc.Find(`#events-earlier:not([hidden])`)
		if link.Length() == 0 {
			if text := a.Text(t, "[data-events-beginning]:not([hidden])"); text != "Start of the run" {
				t.Errorf("at the end: %q", text)
			}
			break
		}
		if webtest.Words(link) != "Earlier events" || a.Count("[data-events-beginning]:not([hidden])") != 0 {
			t.Errorf("page %d: the link is %q", pages, webtest.Words(link))
		}
		address = link.AttrOr("href", "")
		s.Fake.AllEvents = append(s.Fake.AllEvents, run.Event{Seq: 1000 + int64(pages), Rank: -1, At: webtest.Now}) // meanwhile
	}
	if pages != 3 || !slices.Equal(got, want) {
		t.Errorf("%d pages, %d events: %v", pages, len(got), got)
	}
}

func TestEarlierEventsComeAsRowsWithANewEnd(t *testing.T) {
	t.Parallel()
	s, path, want := eventSite(t, 2*runs.EventsShown+5)
	link := s.Get(path+"/events", 200).Doc.Find("#events-earlier")
	for attr, value := range map[string]string{"hx-get": path + "/events", "hx-swap": "beforeend", "hx-target": "previous [data-timeline]",
		"hx-vals": fmt.Sprintf(`{"before":%d}`, runs.EventsShown+6)} {
		if got := link.AttrOr(attr, ""); got != value {
			t.Errorf("%s is %q, want %q", attr, got, value)
		}
	}
	earlier := func(before int) webtest.Answer {
		return s.Do("GET", fmt.Sprintf("%s/events?before=%d", path, before), nil, "HX-Request", "true")
	}
	a := earlier(runs.EventsShown + 6)
	if got := sequences(a); !slices.Equal(got, want[runs.EventsShown:2*runs.EventsShown]) {
		t.Errorf("%d events: %v", len(got), got)
	}
	if a.Count("main") != 0 || a.Count("[autofocus]") != 1 || a.Doc.Find("[autofocus]").AttrOr("id", "") != want[runs.EventsShown] {
		t.Error("it is a whole page, or the first new event does not take the focus")
	}
	if end := a.Doc.Find(`#events-end[hx-swap-oob="true"] #events-earlier:not([hidden])`); end.AttrOr("hx-vals", "") != `{"before":6}` {
		t.Errorf("the next link says %q", end.AttrOr("hx-vals", ""))
	}
	last := earlier(6)
	if got := sequences(last); !slices.Equal(got, want[2*runs.EventsShown:]) || last.Count("#events-earlier:not([hidden])") != 0 || last.Count("[data-events-beginning]:not([hidden])") != 1 {
		t.Errorf("the last page: %v", got)
	}
	for _, query := range []string{"/events?before=-1", "/events?before=x", "/events?before=9223372036854775808"} {
		s.Get(path+query, 422)
	}
}

func TestAShortTimelineHasNeitherALinkNorAWordAboutItsBeginning(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, runs.EventsShown} {
		s, path, _ := eventSite(t, n)
		a := s.Get(path+"/events", 200)
		if a.Count("#events-earlier[hidden]") != 1 || a.Count("[data-events-beginning][hidden]") != 1 || a.Count("[data-event-empty]") == 1 != (n == 0) {
			t.Errorf("with %d events: %s", n, a.Text(t, "#run-events"))
		}
	}
}

func TestEventsOfEachAttemptAreBelowWhatItContinuedAndHowItEnded(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Running)
	r.Attempt = 4
	s.Fake.AllRuns = []run.Run{r}
	attempt := func(n int, resume string) run.Attempt {
		a := run.Attempt{RunID: r.ID, Number: n, Resume: resume, CreatedAt: webtest.Now}
		if n < 4 {
			a.EndedAt = webtest.Now
		}
		return a
	}
	oom := attempt(1, "")
	oom.Cause = &run.Cause{Title: "GPU out of memory", Summary: "It was full.", Rank: 2, Evidence: []run.CauseLine{{Pos: 0, Text: "no place"}, {Pos: 41, Text: "CUDA out of memory"}}}
	unclear := attempt(3, "/elsewhere")
	unclear.Cause = &run.Cause{Title: "Unknown cause", Rank: -1}
	s.Fake.AllTries = []run.Attempt{oom, attempt(2, "/ckpt/step_1200"), unclear, attempt(4, "")}
	s.Fake.AllJoins = []points.Join{{Attempt: 4, From: 1300}}
	for i, e := range []run.Event{
		{Kind: "state", To: run.Queued}, {Kind: "state", To: run.Running, Attempt: 1}, {Kind: "state", To: run.Queued, Attempt: 1}, {Kind: "state", To: run.Running, Attempt: 2}, {Kind: "note", Attempt: 1},
		{Kind: "state", To: run.Paused, Attempt: 2}, {Kind: "note", Attempt: 3}, {Kind: "state", To: run.Running, Attempt: 4},
	} {
		e.Seq, e.RunID, e.Rank, e.At = int64(i+1), r.ID, -1, webtest.Now
		s.Fake.AllEvents = append(s.Fake.AllEvents, e)
	}
	path := "/runs/" + string(r.ID)
	a := s.Get(path+"/events", 200)
	ids := a.Doc.Find("#event-list > li").Map(func(_ int, li *goquery.Selection) string { return li.AttrOr("id", "") })
	if got, want := strings.Join(ids, " "), "attempt-4 event-8 attempt-3 event-7 attempt-2 event-6 event-5 event-4 attempt-1 event-3 event-2 event-1"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	for n, want := range map[int][2]string{
		1: {"from the start", "failed: GPU out of memory"}, 2: {"continued from step 1,200", "paused"},
		3: {"continued from /elsewhere", "failed: Unknown cause"}, 4: {"continued, first report of step 1,300", "running"},
	} {
		head := fmt.Sprint("#attempt-", n)
		if from, end := a.Text(t, head+" [data-attempt-from]"), a.Text(t, head+" [data-attempt-end]"); from != want[0] || end != want[1] {
			t.Errorf("attempt %d: %q, %q", n, from, end)
		}
	}
	if got := a.Doc.Find("#attempt-1 a").AttrOr("href", ""); got != path+"/logs?worker=2&line=41" {
		t.Errorf("the cause leads to %s", got)
	}
	if got := a.Doc.Find("#attempt-3 a").AttrOr("href", ""); got != "/help/troubleshooting#unknown-cause" {
		t.Errorf("the cause without a line leads to %s", got)
	}
	if a := s.Get(path+"/events?before=3", 200); a.Count("#attempt-1") != 1 || a.Count("#attempt-2") != 0 {
		t.Error("the page of earlier events does not say whose they are")
	}
}
