package api_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/run"
)

type eventPage struct {
	Items []run.Event
	Next  int64
	More  bool
}

func (p eventPage) kinds() string {
	var out []string
	for _, ev := range p.Items {
		out = append(out, ev.Kind)
	}
	return strings.Join(out, " ")
}

func eventFixture(t *testing.T) (f *fixture, id run.ID, target string) {
	t.Helper()
	f = newFixture(t)
	id = f.Add(run.Run{State: run.Running})
	f.AddEvents(id, run.Event{Kind: "a"}, run.Event{Kind: "b"}, run.Event{Kind: "c"}, run.Event{Kind: "d"}, run.Event{Kind: "e"})
	return f, id, "/api/v1/runs/" + string(id) + "/events"
}

func TestEventsAreReadByCursor(t *testing.T) {
	t.Parallel()
	f, _, target := eventFixture(t)
	first := get[eventPage](f, target+"?limit=3")
	rest := get[eventPage](f, fmt.Sprintf("%s?after=%d", target, first.Next))
	end := get[eventPage](f, fmt.Sprintf("%s?after=%d", target, rest.Next))
	if first.kinds() != "a b c" || !first.More || rest.kinds() != "d e" || rest.More || end.Items == nil || len(end.Items) != 0 || end.Next != 5 || end.More {
		t.Errorf("%+v %+v %+v", first, rest, end)
	}
}

func TestEventsAreReadBackwardsFromTheEnd(t *testing.T) {
	t.Parallel()
	f, id, target := eventFixture(t)
	for query, want := range map[string]string{
		"?tail=2":           "d e true",
		"?tail=5":           "a b c d e false",
		"?before=4":         "a b c false",
		"?before=4&limit=2": "b c true",
		"?before=4&tail=1":  "c true",
		"?before=1":         " false",
		"?before=99":        "a b c d e false",
	} {
		page := get[eventPage](f, target+query)
		if got := fmt.Sprint(page.kinds(), " ", page.More); got != want {
			t.Errorf("%s gives %q, want %q", query, got, want)
		}
	}
	var got []string
	page := get[eventPage](f, target+"?tail=2")
	for {
		f.AddEvents(id, run.Event{Kind: "later"}) // what happens meanwhile moves nothing
		for _, ev := range slices.Backward(page.Items) {
			got = append(got, ev.Kind)
		}
		if !page.More {
			break
		}
		page = get[eventPage](f, fmt.Sprintf("%s?limit=2&before=%d", target, page.Items[0].Seq))
	}
	if strings.Join(got, " ") != "e d c b a" {
		t.Errorf("backwards: %v", got)
	}
	if page := get[eventPage](f, target+"?tail=1"); page.Next != page.Items[0].Seq || page.kinds() != "later" {
		t.Errorf("what is new after the tail: %+v", page)
	}
}
