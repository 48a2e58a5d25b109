package storetest

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

// testEvents writes events of two runs in turns, so that the sequences of each have gaps, and reads them page by page.
func testEvents(t *testing.T, s Store) {
	id, other := create(t, s, "r-0000000001", "a").ID, create(t, s, "r-0000000002", "b").ID
	add := func(id run.ID, message string) {
		t.Helper()
		_, err := s.Update(t.Context(), id, func(u *store.Update) error {
			u.Events = append(u.Events, run.Event{RunID: id, At: epoch, Kind: "note", Rank: -1, Message: message})
			return nil
		})
		must(t, err)
	}
	var want []string
	for i := range 7 {
		add(id, fmt.Sprint(i))
		add(other, "of the other run")
		want = append(want, fmt.Sprint(i))
	}
	all, err := s.Events(t.Context(), id, 0, 100)
	must(t, err)
	first := len(all) - len(want) // before those are what creating a run says
	same(t, "all", messages(all[first:]), want)

	var back []string
	before, pages := int64(math.MaxInt64), 0
	for {
		page, err := s.EventsBefore(t.Context(), id, before, 3)
		must(t, err)
		if len(page) == 0 {
			break
		}
		if !slices.IsSortedFunc(page, func(a, b run.Event) int { return cmp.Compare(a.Seq, b.Seq) }) {
			t.Errorf("a page is not oldest first: %+v", page)
		}
		back = append(messages(page), back...)
		before = page[0].Seq
		if pages++; pages == 1 {
			add(id, "happened meanwhile")
		}
	}
	same(t, "read backwards", back, messages(all))

	var forth []string
	after := int64(0)
	for {
		page, err := s.Events(t.Context(), id, after, 3)
		must(t, err)
		if len(page) == 0 {
			break
		}
		forth = append(forth, messages(page)...)
		after = page[len(page)-1].Seq
	}
	same(t, "read forwards", forth, append(messages(all), "happened meanwhile"))

	newest, err := s.EventsBefore(t.Context(), id, math.MaxInt64, 2)
	must(t, err)
	same(t, "the newest", messages(newest), []string{"6", "happened meanwhile"})
	same(t, "events of a run that is not there", eventsBefore(t, s, "r-0000000009", math.MaxInt64), 0)
	same(t, "events before the first", eventsBefore(t, s, id, all[0].Seq), 0)
}

func eventsBefore(t *testing.T, s Store, id run.ID, before int64) int {
	t.Helper()
	page, err := s.EventsBefore(t.Context(), id, before, 10)
	must(t, err)
	return len(page)
}

func messages(events []run.Event) (out []string) {
	for _, ev := range events {
		out = append(out, ev.Message)
	}
	return out
}
