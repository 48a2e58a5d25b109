package web

import (
	"fmt"
	"slices"
	"testing"

	"github.com/PuerkitoBio/goquery"

	"github.com/cotrain/cotrain/internal/run"
)

func TestEventsAreATimelineNewestFirst(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := testRun(run.Running)
	s.fake.runs = []run.Run{r}
	for i := range int64(eventsShown + 5) {
		s.fake.events = append(s.fake.events, run.Event{Seq: i + 1, Kind: "checkpoint_saved", Rank: 2, At: testNow, Message: fmt.Sprint("number ", i+1)})
	}
	last := &s.fake.events[len(s.fake.events)-1]
	last.Level, last.Actor = "error", "worker"
	s.fake.events = append(s.fake.events, run.Event{Seq: 999, Kind: "state", To: run.Running, Rank: -1, Actor: "local", At: testNow})
	a := s.get("/runs/"+string(r.ID), 200)
	if n := a.count("#event-list > li"); n != eventsShown {
		t.Errorf("%d events", n)
	}
	if got := a.text(t, "#event-list > li:first-child"); got != "running just now by local" {
		t.Errorf("newest %q", got)
	}
	if got := a.text(t, "#event-list > li:nth-child(2)"); got != fmt.Sprintf("checkpoint saved worker 2 just now number %d", eventsShown+5) {
		t.Errorf("second %q", got)
	}
	if a.count("#event-list .event.state-failed") != 1 {
		t.Error("the event of level error does not stand out")
	}
}

// sequences are those of the events in an answer, in order.
func (a answer) sequences() (out []string) {
	a.doc.Find("li.event").Each(func(_ int, li *goquery.Selection) { out = append(out, li.AttrOr("id", "")) })
	return out
}

// eventSite is a console whose run has events with the sequences 1 to n.
func eventSite(t *testing.T, n int) (s *site, path string, want []string) {
	t.Helper()
	s = newSite(t)
	r := testRun(run.Running)
	s.fake.runs = []run.Run{r}
	for i := range int64(n) {
		s.fake.events = append(s.fake.events, run.Event{Seq: i + 1, Kind: "note", Rank: -1, At: testNow})
		want = append(want, fmt.Sprint("event-", i+1))
	}
	slices.Reverse(want)
	return s, "/runs/" + string(r.ID), want
}

func TestEveryEventIsReachedByTheLinkWithoutAScript(t *testing.T) {
	t.Parallel()
	s, path, want := eventSite(t, 2*eventsShown+5)
	var got []string
	address, pages := path, 0
	for {
		a := s.get(address, 200)
		got = append(got, a.sequences()...)
		live := a.count("#run-events #event-list") == 1
		if pages++; live != (pages == 1) || a.count(`[data-action="newest-events"][href="`+path+`#events-title"]`) == 1 == live {
			t.Errorf("page %d: live %t, or no way back", pages, live)
		}
		link := a.doc.Find(`#events-earlier:not([hidden])`)
		if link.Length() == 0 {
			if text := a.text(t, "[data-events-beginning]:not([hidden])"); text != "This is the beginning of the run." {
				t.Errorf("at the end: %q", text)
			}
			break
		}
		if words(link) != "Earlier events" || a.count("[data-events-beginning]:not([hidden])") != 0 {
			t.Errorf("page %d: the link is %q", pages, words(link))
		}
		address = link.AttrOr("href", "")
		s.fake.events = append(s.fake.events, run.Event{Seq: 1000 + int64(pages), Rank: -1, At: testNow}) // meanwhile
	}
	if pages != 3 || !slices.Equal(got, want) {
		t.Errorf("%d pages, %d events: %v", pages, len(got), got)
	}
}

func TestEarlierEventsComeAsRowsWithANewEnd(t *testing.T) {
	t.Parallel()
	s, path, want := eventSite(t, 2*eventsShown+5)
	link := s.get(path, 200).doc.Find("#events-earlier")
	for attr, value := range map[string]string{"hx-get": path + "/events", "hx-swap": "beforeend", "hx-target": "previous [data-timeline]",
		"hx-vals": fmt.Sprintf(`{"before":%d}`, eventsShown+6)} {
		if got := link.AttrOr(attr, ""); got != value {
			t.Errorf("%s is %q, want %q", attr, got, value)
		}
	}
	a := s.get(fmt.Sprintf("%s/events?before=%d", path, eventsShown+6), 200)
	if got := a.sequences(); !slices.Equal(got, want[eventsShown:2*eventsShown]) {
		t.Errorf("%d events: %v", len(got), got)
	}
	if a.count("main") != 0 || a.count("[autofocus]") != 1 || a.doc.Find("[autofocus]").AttrOr("id", "") != want[eventsShown] {
		t.Error("it is a whole page, or the first new event does not take the focus")
	}
	if end := a.doc.Find(`#events-end[hx-swap-oob="true"] #events-earlier:not([hidden])`); end.AttrOr("hx-vals", "") != `{"before":6}` {
		t.Errorf("the next link says %q", end.AttrOr("hx-vals", ""))
	}
	last := s.get(path+"/events?before=6", 200)
	if got := last.sequences(); !slices.Equal(got, want[2*eventsShown:]) || last.count("#events-earlier:not([hidden])") != 0 || last.count("[data-events-beginning]:not([hidden])") != 1 {
		t.Errorf("the last page: %v", got)
	}
	for _, query := range []string{"/events?before=-1", "/events?before=x", "/events?before=9223372036854775808", "?events_before=x", "?events_before=-1"} {
		s.get(path+query, 422)
	}
}

func TestAShortTimelineHasNeitherALinkNorAWordAboutItsBeginning(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, eventsShown} {
		s, path, _ := eventSite(t, n)
		a := s.get(path, 200)
		if a.count("#events-earlier[hidden]") != 1 || a.count("[data-events-beginning][hidden]") != 1 || a.count("[data-event-empty]") == 1 != (n == 0) {
			t.Errorf("with %d events: %s", n, a.text(t, "#run-events"))
		}
	}
}
