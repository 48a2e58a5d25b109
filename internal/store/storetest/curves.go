package storetest

import (
	"fmt"
	"math"
	"testing"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/points"
)

func testExact(t *testing.T, s Store) {
	id := create(t, s, "r-0000000001", "a").ID
	pts := []points.Point{
		{Metric: "loss", Step: 1, Value: 1.23, Exact: false}, {Metric: "loss", Step: 1, Value: 1.2345, Exact: true},
		{Metric: "loss", Step: 2, Value: 2.2345, Exact: true}, {Metric: "loss", Step: 2, Value: 2.23, Exact: false},
		{Metric: "loss", Step: 3, Value: 1, Exact: true}, {Metric: "loss", Step: 3, Value: 2, Exact: true},
	}
	must(t, s.Commit(t.Context(), []*store.Batch{batch(id, 0, store.Cursor{}, "x\n", pts...)}))
	c := curve(t, s, id)
	for i, want := range []float64{1.2345, 2.2345, 2} {
		if c[i].Mean != want {
			t.Errorf("step %d is %v, want %v", i+1, c[i].Mean, want)
		}
	}
}

func testAttempts(t *testing.T, s Store) {
	id := create(t, s, "r-0000000001", "a").ID
	second := batch(id, 0, store.Cursor{}, "x\n", points.Point{Metric: "loss", Step: 1, Value: 2})
	second.Attempt, second.AllocID = 2, "later"
	must(t, s.Commit(t.Context(), []*store.Batch{second, batch(id, 0, store.Cursor{}, "x\n", points.Point{Metric: "loss", Step: 1, Value: 1, Exact: true})}))
	c := curve(t, s, id)
	if len(c) != 1 || c[0].Mean != 2 {
		t.Errorf("curve is %+v", c)
	}
}

func testNotFinite(t *testing.T, s Store) {
	id := create(t, s, "r-0000000001", "a").ID
	must(t, s.Commit(t.Context(), []*store.Batch{
		batch(id, 0, store.Cursor{}, "x\n", points.Point{Metric: "loss", Step: 1, Value: math.NaN()}, points.Point{Metric: "loss", Step: 2, Value: math.Inf(1)}),
		batch(id, 1, store.Cursor{}, "x\n", points.Point{Metric: "loss", Step: 1, Value: 3}),
	}))
	c := curve(t, s, id)
	if len(c) != 2 || !math.IsNaN(c[0].Mean) || c[0].Workers != 2 || !math.IsInf(c[1].Mean, 1) {
		t.Errorf("curve is %+v", c)
	}
	p, err := s.Headline(t.Context(), id)
	must(t, err)
	if p.Step != 1 || !p.HasLoss || !math.IsNaN(p.Loss) { // worker 1 has still to report step 2
		t.Errorf("headline is %+v", p)
	}
}

// curve brings the loss up to date and returns it.
func curve(t *testing.T, s Store, id run.ID) []run.CurvePoint {
	t.Helper()
	_, _, err := s.RollUp(t.Context(), id)
	must(t, err)
	c, err := s.Curve(t.Context(), id, "loss", 0)
	must(t, err)
	return c
}

func testRollUp(t *testing.T, s Store) {
	id := create(t, s, "r-0000000001", "a").ID
	if _, changed, err := s.RollUp(t.Context(), id); err != nil || changed {
		t.Errorf("a run without points: changed %v, %v", changed, err)
	}
	cur := map[int]store.Cursor{}
	add := func(rank int, pts ...points.Point) {
		b := batch(id, rank, cur[rank], "x\n", pts...)
		must(t, s.Commit(t.Context(), []*store.Batch{b}))
		cur[rank] = b.To
	}
	add(0, points.Point{Metric: "loss", Step: 3, Value: 3}, points.Point{Metric: "loss", Step: 7, Value: 7}, points.Point{Metric: "other", Step: 900, Value: 1})
	add(1, points.Point{Metric: "loss", Step: 5, Value: 5})
	behind, err := s.StaleCurves(t.Context())
	must(t, err)
	same(t, "runs with curves behind their points", behind, []run.ID{id})
	r, changed, err := s.RollUp(t.Context(), id)
	must(t, err)
	if behind, err = s.StaleCurves(t.Context()); err != nil || len(behind) != 0 {
		t.Errorf("still behind: %v, %v", behind, err)
	}
	if !changed || r.From != 3 || r.To != 7 || len(r.Curves["loss"]) != 3 {
		t.Errorf("changed %v: %+v", changed, r)
	}
	if _, changed, err := s.RollUp(t.Context(), id); err != nil || changed {
		t.Errorf("a second time: changed %v, %v", changed, err)
	}
	add(1, points.Point{Metric: "loss", Step: 3, Value: 1}) // late, for a step that is there
	if c := curve(t, s, id); len(c) != 3 || c[0].Mean != 2 || c[0].Workers != 2 || c[1].Mean != 5 {
		t.Errorf("curve is %+v", c)
	}
	var many []points.Point
	for step := range int64(5000) { // more than one call does
		many = append(many, points.Point{Metric: "loss", Step: 10 + step, Value: 1})
	}
	add(2, many...)
	calls, from := 0, int64(10)
	for more := true; more; calls++ {
		r, changed, err := s.RollUp(t.Context(), id)
		must(t, err)
		if !changed || r.From != from {
			t.Fatalf("call %d: changed %v, from %d, want %d", calls, changed, r.From, from)
		}
		from, more = r.To+1, r.More
	}
	if c := curve(t, s, id); calls < 2 || len(c) != 5003 {
		t.Errorf("after %d calls the curve has %d points", calls, len(c))
	}
	other, err := s.Curve(t.Context(), id, "other", 0)
	must(t, err)
	if len(other) != 1 || other[0].Step != 900 {
		t.Errorf("a metric that is not rolled up is %+v", other)
	}
}

func testLongCurve(t *testing.T, s Store) {
	id := create(t, s, "r-0000000001", "a").ID
	other := create(t, s, "r-0000000002", "b").ID
	var pts []points.Point
	for step := int64(0); step < 5000; step += 7 { // more than one block, however long they are
		pts = append(pts, points.Point{Metric: "loss", Step: step, Value: float64(step)})
	}
	must(t, s.Commit(t.Context(), []*store.Batch{batch(id, 0, store.Cursor{}, "x\n", pts...), batch(other, 0, store.Cursor{}, "x\n", pts...)}))
	rollAll := func() {
		for _, id := range []run.ID{id, other} {
			for more := true; more; {
				r, _, err := s.RollUp(t.Context(), id)
				must(t, err)
				more = r.More
			}
		}
	}
	rollAll()
	check := func(what string, id run.ID, from, to int64) {
		t.Helper()
		c, err := s.Curve(t.Context(), id, "loss", from)
		must(t, err)
		next := (from + 6) / 7 * 7
		for _, p := range c {
			if p.Step != next || p.Mean != float64(next) {
				t.Fatalf("%s: step %d is %v where step %d should be", what, p.Step, p.Mean, next)
			}
			next += 7
		}
		if last := next - 7; last >= to || last+7 < to {
			t.Errorf("%s ends with step %d, want the last before %d", what, last, to)
		}
	}
	for _, from := range []int64{0, 1, 511, 512, 1024, 1234, 4998} {
		check("all", id, from, 5000)
	}
	if c, err := s.Curve(t.Context(), id, "loss", 4999); err != nil || len(c) != 0 {
		t.Errorf("beyond the end there is %v, %v", c, err)
	}
	for i, to := range []int64{4999, 3585, 3584, 1030, 512, 3} {
		b := batch(id, 0, store.Cursor{}, "x\n", points.Point{Metric: "tokens_per_second", Step: to, Value: 1})
		b.AllocID, b.Attempt = fmt.Sprint("again", i), i+2
		must(t, s.Commit(t.Context(), []*store.Batch{b}))
		check("repeated", id, 0, to)
		rollAll()
		check("repeated and rolled up", id, 0, to)
	}
	check("another run", other, 0, 5000)
}

func testCurve(t *testing.T, s Store) {
	id := create(t, s, "r-0000000001", "a").ID
	must(t, s.Commit(t.Context(), []*store.Batch{
		batch(id, 0, store.Cursor{}, "x\n", points.Point{Metric: "loss", Step: 1, Value: 4}, points.Point{Metric: "loss", Step: 2, Value: 3}, points.Point{Metric: "tokens_per_second", Step: 2, Value: 10}),
		batch(id, 1, store.Cursor{}, "x\n", points.Point{Metric: "loss", Step: 1, Value: 2}, points.Point{Metric: "tokens_per_second", Step: 2, Value: 20}),
	}))
	c := curve(t, s, id)
	same(t, "curve", c, []run.CurvePoint{
		{Step: 1, Mean: 3, Min: 2, Max: 4, Sum: 6, Workers: 2, At: epoch}, {Step: 2, Mean: 3, Min: 3, Max: 3, Sum: 3, Workers: 1, At: epoch},
	})
	part, err := s.Curve(t.Context(), id, "loss", 2)
	must(t, err)
	same(t, "part of the curve", part, c[1:])
	p, err := s.Headline(t.Context(), id)
	must(t, err)
	same(t, "headline", p, run.Progress{Step: 1, Loss: 3, HasLoss: true})
}
