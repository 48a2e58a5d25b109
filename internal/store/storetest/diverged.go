package storetest

import (
	"math"
	"testing"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/points"
)

func testDiverged(t *testing.T, s Store) {
	id := create(t, s, "r-0000000001", "a").ID
	attempt := func(n int) {
		_, err := s.Update(t.Context(), id, func(u *store.Update) error { u.Run.Attempt = n; return nil })
		must(t, err)
	}
	ends := map[int]store.Cursor{}
	report := func(rank, attempt int, points ...points.Point) {
		b := batch(id, rank, ends[rank], "x\n", points...)
		b.Attempt = attempt
		must(t, s.Commit(t.Context(), []*store.Batch{b}))
		ends[rank] = b.To
	}
	loss := func(step int64, value float64) points.Point {
		return points.Point{Metric: "loss", Step: step, Value: value}
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
	report(0, 1, loss(1, 2), points.Point{Metric: "grad_norm", Step: 1, Value: math.NaN()})
	is("a finite loss", nil)
	report(1, 1, loss(5, math.NaN()), loss(4, math.NaN()))
	is("the first", &run.Diverged{Step: 4, Rank: 1}, first)
	report(1, 1, loss(6, math.NaN()))
	is("a later step", &run.Diverged{Step: 4, Rank: 1}, first)
	report(0, 1, loss(3, math.Inf(-1)))
	is("an earlier step of a slower worker", &run.Diverged{Step: 3, Rank: 0}, first)
	attempt(2)
	is("another attempt", nil, first)
	report(1, 1, loss(7, math.NaN()))
	is("what an earlier attempt still says", nil, first)
	report(0, 2, loss(2, math.Inf(1)))
	is("the second attempt", &run.Diverged{Step: 2, Rank: 0}, first, second)
	attempt(4)
	report(0, 3, loss(1, math.NaN()))
	is("what an attempt says that did well until it was over", nil, first, second)
}
