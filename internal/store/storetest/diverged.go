package storetest

import (
	"math"
	"testing"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

func testDiverged(t *testing.T, s Store) {
	id := create(t, s, "r-0000000001", "a").ID
	attempt := func(n int) {
		_, err := s.Update(t.Context(), id, func(u *store.Update) error { u.Run.Attempt = n; return nil })
		must(t, err)
	}
	ends := map[int]store.Cursor{}
	report := func(rank, attempt int, step int64, loss float64) {
		b := batch(id, rank, ends[rank], "x\n", store.Point{Metric: "loss", Step: step, Value: loss})
		b.Attempt = attempt
		must(t, s.Commit(t.Context(), []*store.Batch{b}))
		ends[rank] = b.To
	}
	is := func(what string, want *run.Diverged, told ...string) {
		t.Helper()
		r, err := s.Run(t.Context(), id)
		must(t, err)
		same(t, what, r.Diverged, want)
		evs, err := s.Events(t.Context(), id, 0, 100)
		must(t, err)
		var got []string
		for _, ev := range evs {
			if ev.Kind == "diverged" {
				got = append(got, ev.Level+": "+ev.Message)
			}
		}
		same(t, what, got, told)
	}
	const first, second = "warning: the loss of worker 1 is NaN at step 4", "warning: the loss of worker 0 is +Inf at step 2"
	attempt(1)
	report(0, 1, 1, 2)
	is("a finite loss", nil)
	report(1, 1, 4, math.NaN())
	is("the first", &run.Diverged{Step: 4, Rank: 1}, first)
	report(1, 1, 5, math.NaN())
	is("a later step", &run.Diverged{Step: 4, Rank: 1}, first)
	report(0, 1, 3, math.Inf(-1))
	is("an earlier step of a slower worker", &run.Diverged{Step: 3, Rank: 0}, first)
	attempt(2)
	is("another attempt", nil, first)
	report(1, 1, 6, math.NaN())
	is("what an earlier attempt still says", nil, first)
	report(0, 2, 2, math.Inf(1))
	is("the second attempt", &run.Diverged{Step: 2, Rank: 0}, first, second)
}
