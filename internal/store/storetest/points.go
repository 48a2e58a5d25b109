package storetest

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/points"
)

// nearly allows sums to have been taken in another order.
var nearly = cmp.Options{
	cmpopts.EquateNaNs(), cmpopts.EquateApprox(1e-13, 0),
	cmp.Transformer("float", func(n run.Number) float64 { return float64(n) }),
}

// Pages is the part of a store that [AllPoints] reads.
type Pages interface {
	PointsPage(ctx context.Context, id run.ID, metric string, from int64, after *points.PageCursor, limit int) ([]points.WorkerPoint, error)
	ReplacedPage(ctx context.Context, id run.ID, metric string, attempt int, from int64, after *points.PageCursor, limit int) ([]points.WorkerPoint, error)
}

// AllPoints returns a metric's values of every worker, by rank and step.
func AllPoints(ctx context.Context, s Pages, id run.ID, metric string) ([]points.WorkerPoint, error) {
	return s.PointsPage(ctx, id, metric, math.MinInt64, nil, math.MaxInt)
}

// seal seals points until there is nothing more to do.
func seal(t testing.TB, s Store) {
	t.Helper()
	for more := true; more; {
		var err error
		if more, err = s.SealPoints(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// end makes a run fail.
func end(t testing.TB, s Store, id run.ID) {
	t.Helper()
	_, err := s.Update(t.Context(), id, func(u *store.Update) error {
		_, err := u.Run.Transition(run.Failed, "test", "", epoch)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// testSealPoints stores more than fits into a few chunks of any reasonable size, and compares everything that can be
// read before and after sealing, and once the run has ended.
func testSealPoints(t *testing.T, s Store) {
	const workers, steps = 2, 2500
	id := create(t, s, "r-0000000001", "a").ID
	for rank := range workers {
		cur := store.Cursor{}
		for from := 0; from < steps; from += 500 {
			b := batch(id, rank, cur, "x\n")
			for i := from; i < from+500; i++ {
				v := 1 / float64(i+rank+1)
				if i%97 == 0 {
					v = math.NaN()
				}
				for m, metric := range []string{"loss", "tokens_per_second", "other"} {
					b.Points = append(b.Points, points.Point{Metric: metric, Step: int64(10 * i), Value: v * float64(m+1), Exact: i%3 == 0})
				}
			}
			b.At = epoch.Add(time.Duration(from+rank) * time.Second)
			must(t, s.Commit(t.Context(), []*store.Batch{b}))
			cur = b.To
		}
	}
	read := func() []any {
		t.Helper()
		var out []any
		for more := true; more; {
			r, _, err := s.RollUp(t.Context(), id)
			must(t, err)
			more = r.More
		}
		for _, metric := range []string{"loss", "tokens_per_second", "other"} {
			pts, err := AllPoints(t.Context(), s, id, metric)
			must(t, err)
			same(t, "points of "+metric, len(pts), workers*steps)
			curve, err := s.Curve(t.Context(), id, metric, 700)
			must(t, err)
			same(t, "steps of "+metric, len(curve), steps-70)
			out = append(out, pts, curve)
		}
		head, err := s.Headline(t.Context(), id)
		must(t, err)
		return append(out, head)
	}
	want := read()
	compare := func(when string) {
		t.Helper()
		if d := cmp.Diff(want, read(), nearly); d != "" {
			t.Errorf("%s (-before +after):\n%.3000s", when, d)
		}
	}
	seal(t, s)
	compare("sealed")
	end(t, s, id)
	seal(t, s)
	compare("sealed after the end")
	must(t, s.DeleteRun(t.Context(), id))
	if pts, err := AllPoints(t.Context(), s, id, "loss"); err != nil || len(pts) != 0 {
		t.Errorf("once it is deleted it has %d points, %v", len(pts), err)
	}
}

func testPointsPage(t *testing.T, s Store) {
	id := create(t, s, "r-0000000001", "a").ID
	for rank, steps := range map[int][]int64{0: {1, 2, 9}, 2: {2}, 7: {0, 5, 9}} {
		b := batch(id, rank, store.Cursor{}, "x\n")
		for _, step := range steps {
			b.Points = append(b.Points, points.Point{Metric: "loss", Step: step, Value: float64(rank)}, points.Point{Metric: "other", Step: step, Value: 1})
		}
		must(t, s.Commit(t.Context(), []*store.Batch{b}))
	}
	all, err := AllPoints(t.Context(), s, id, "loss")
	must(t, err)
	place := func(rank int, step int64) *points.PageCursor { return &points.PageCursor{Rank: rank, Step: step} }
	for _, tc := range []struct {
		from  int64
		after *points.PageCursor
		limit int
		want  string
	}{
		{0, nil, 99, "0:1 0:2 0:9 2:2 7:0 7:5 7:9 "},
		{0, nil, 3, "0:1 0:2 0:9 "},
		{2, nil, 3, "0:2 0:9 2:2 "},
		{0, place(0, 2), 2, "0:9 2:2 "},
		{0, place(0, 9), 1, "2:2 "},
		{0, place(0, math.MaxInt64), 1, "2:2 "},
		{0, place(1, 0), 2, "2:2 7:0 "},
		{3, place(2, 2), 9, "7:5 7:9 "},
		{9, place(0, 1), 9, "0:9 7:9 "},
		{0, place(7, 9), 9, ""},
		{0, place(math.MaxInt, math.MaxInt64), 9, ""},
		{0, place(-1, 9), 1, "0:1 "},
		{10, nil, 9, ""},
		{0, nil, 0, ""},
		{0, nil, -1, ""},
	} {
		got, err := s.PointsPage(t.Context(), id, "loss", tc.from, tc.after, tc.limit)
		must(t, err)
		text := ""
		for _, p := range got {
			text += fmt.Sprintf("%d:%d ", p.Rank, p.Step)
		}
		same(t, fmt.Sprintf("from %d after %v, %d", tc.from, tc.after, tc.limit), text, tc.want)
	}
	var paged []points.WorkerPoint
	for after := (*points.PageCursor)(nil); ; {
		page, err := s.PointsPage(t.Context(), id, "loss", math.MinInt64, after, 2)
		must(t, err)
		if len(page) == 0 {
			break
		}
		paged = append(paged, page...)
		after = place(page[len(page)-1].Rank, page[len(page)-1].Step)
	}
	same(t, "page by page", paged, all)
}
