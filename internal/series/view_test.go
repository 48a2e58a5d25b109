package series

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/cotrain/cotrain/internal/run"
)

var nanEqual = cmpopts.EquateNaNs()

// curves draws sorted curves with gaps, several workers, and now and then a value that is not finite.
func curves() *rapid.Generator[[]run.CurvePoint] {
	return rapid.Custom(func(t *rapid.T) []run.CurvePoint {
		n := rapid.IntRange(1, 300).Draw(t, "points")
		step := rapid.Int64Range(-50, 5000).Draw(t, "first step")
		broken := rapid.Bool().Draw(t, "with values that are not finite")
		out := make([]run.CurvePoint, 0, n)
		for i := range n {
			low := rapid.Float64Range(-1e3, 1e3).Draw(t, "low")
			high := low + rapid.Float64Range(0, 10).Draw(t, "spread")
			workers := rapid.IntRange(1, 8).Draw(t, "workers")
			p := run.CurvePoint{Step: step, Min: low, Max: high, Mean: (low + high) / 2, Workers: workers, At: time.Unix(int64(i), 0)}
			if broken && rapid.IntRange(0, 9).Draw(t, "broken") == 0 {
				p.Mean = rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1)}).Draw(t, "value")
				p.Min, p.Max = p.Mean, p.Mean
			}
			p.Sum = p.Mean * float64(workers)
			out = append(out, p)
			step += rapid.SampledFrom([]int64{1, 1, 1, 1, 10, 1000}).Draw(t, "gap")
		}
		return out
	})
}

// widthFor finds the width of buckets by trying, as the documentation states it.
func widthFor(points []run.CurvePoint, buckets int) int64 {
	for width := int64(1); ; width *= 2 {
		used := map[int64]bool{}
		for _, p := range points {
			used[floorDiv(p.Step, width)] = true
		}
		if len(used) <= buckets || width > 1<<40 {
			return width
		}
	}
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func TestAppendingPointsChangesOnlyTheLastColumn(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		points := curves().Draw(t, "curve")
		limit := rapid.IntRange(2, 60).Draw(t, "columns") // one may need a width of 2^64 where steps change sign
		n := rapid.IntRange(1, len(points)).Draw(t, "points at first")
		before, after := Columns(points[:n], limit), Columns(points, limit)
		if want := widthFor(points[:n], limit); before.Width != want || len(before.Columns) > limit {
			t.Fatalf("%d columns of width %d, want %d", len(before.Columns), before.Width, want)
		}
		if before.Width != after.Width {
			return // it has doubled
		}
		settled := len(before.Columns) - 1
		if d := cmp.Diff(before.Columns[:settled], after.Columns[:settled], nanEqual); d != "" {
			t.Fatal(d)
		}
	})
}

func point(step int64, mean float64, workers int) run.CurvePoint {
	return run.CurvePoint{Step: step, Mean: mean, Min: mean, Max: mean, Sum: mean * float64(workers), Workers: workers, At: time.Unix(step, 0)}
}

func TestASpikeOfOneStepSurvivesAmongThousands(t *testing.T) {
	t.Parallel()
	var points []run.CurvePoint
	for step := range int64(88000) {
		points = append(points, point(step, 4, 2))
	}
	points[51234].Max, points[51234].Mean = 900, 500
	columns := Columns(points, 500).Columns
	i := slices.IndexFunc(columns, func(c Column) bool { return c.Max == 900 })
	if i < 0 || columns[i].Value <= 4 || columns[i].Min != 4 || columns[i].First>>8 != 51234>>8 {
		t.Errorf("the spike is lost among %d columns", len(columns))
	}
}

func TestUnusualPointsMakeColumns(t *testing.T) {
	t.Parallel()
	if v := Columns(nil, 10); len(v.Columns) != 0 {
		t.Errorf("nothing became %v", v)
	}
	ends := []run.CurvePoint{point(math.MinInt64, 1, 1), point(-1, 2, 1), point(0, 3, 1), point(1, 4, 1), point(math.MaxInt64, 5, 1)}
	for limit := -1; limit <= 1; limit++ {
		if c := Columns(ends, limit).Columns; len(c) != 1 || c[0].First != math.MinInt64 || c[0].Last != math.MaxInt64 || c[0].Value != 3 {
			t.Errorf("%d columns: %+v", limit, c)
		}
	}
	huge := []run.CurvePoint{point(0, 1, 1), point(1, math.MaxFloat64, 1), point(2, -math.MaxFloat64, 1), point(3, math.MaxFloat64, 1), point(4, 1, 1)}
	if c := Columns(huge, 1).Columns[0]; !finite(c.Value) || c.Max != math.MaxFloat64 {
		t.Errorf("the mean of finite values is %v", c.Value)
	}
	for _, order := range [][]float64{{1, math.NaN(), 3}, {math.NaN(), 1, 3}, {1, 3, math.Inf(1)}} {
		var points []run.CurvePoint
		for step, v := range order {
			points = append(points, point(int64(step), v, 1))
		}
		if c := Columns(points, 1).Columns[0]; c.Value != 2 || c.Min != 1 || c.Max != 3 || c.Odd == 0 || c.Points != 3 || c.Means != 2 {
			t.Errorf("%v: %+v", order, c)
		}
	}
}

func BenchmarkColumns(b *testing.B) {
	points := make([]run.CurvePoint, 0, 88000)
	for step := range int64(88000) {
		points = append(points, point(step, 4, 3))
	}
	b.ReportAllocs()
	for b.Loop() {
		Columns(points, 500)
	}
}
