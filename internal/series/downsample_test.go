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

func parted(points []run.CurvePoint, width int64) map[int64][]run.CurvePoint {
	out := map[int64][]run.CurvePoint{}
	for _, p := range points {
		b := floorDiv(p.Step, width)
		out[b] = append(out[b], p)
	}
	return out
}

func TestADownsampledCurveNeverLies(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		points := curves().Draw(t, "curve")
		buckets := rapid.IntRange(2, 60).Draw(t, "buckets") // one bucket may need a width of 2^64 where steps change sign
		before := slices.Clone(points)
		out := Downsample(points, buckets)
		if d := cmp.Diff(before, points, nanEqual); d != "" {
			t.Fatalf("the input was changed: %s", d)
		}
		if len(out) > buckets*PointsPerBucket || len(out) > len(points) {
			t.Fatalf("%d points of %d in %d buckets", len(out), len(points), buckets)
		}
		width := widthFor(points, buckets)
		was, is := parted(points, width), parted(out, width)
		if len(was) != len(is) {
			t.Fatalf("%d buckets with points became %d", len(was), len(is))
		}
		for b, in := range was {
			checkBucket(t, in, is[b])
		}
		steps := map[int64]bool{}
		for _, p := range points {
			steps[p.Step] = true
		}
		for i, p := range out {
			if !steps[p.Step] {
				t.Fatalf("step %d was invented", p.Step)
			}
			if i > 0 && out[i-1].Step >= p.Step {
				t.Fatalf("step %d after step %d", p.Step, out[i-1].Step)
			}
		}
	})
}

// checkBucket holds what remains of a bucket against what was in it.
func checkBucket(t *rapid.T, in, out []run.CurvePoint) {
	if !cmp.Equal(in[0], out[0], nanEqual) || !cmp.Equal(in[len(in)-1], out[len(out)-1], nanEqual) {
		t.Fatalf("the ends changed:\n%v\n%v", in, out)
	}
	if got, want := extremes(out), extremes(in); got != want {
		t.Fatalf("extremes %v, want %v", got, want)
	}
	if hasBroken(in) != hasBroken(out) {
		t.Fatalf("values that are not finite vanished or appeared:\n%v\n%v", in, out)
	}
	if len(in) <= 3 {
		return
	}
	wantMean, wantWorkers := innerMean(in[1 : len(in)-1])
	for _, p := range out[1 : len(out)-1] {
		if finite(p.Mean) && (math.Abs(p.Mean-wantMean) > 1e-9*(1+math.Abs(wantMean)) || p.Workers != wantWorkers) {
			t.Fatalf("mean %v of %d workers, want %v of %d", p.Mean, p.Workers, wantMean, wantWorkers)
		}
		if finite(p.Mean) && (p.Mean < p.Min || p.Mean > p.Max) {
			t.Fatalf("mean %v outside [%v, %v]", p.Mean, p.Min, p.Max)
		}
	}
}

func extremes(points []run.CurvePoint) [2]float64 {
	e := [2]float64{math.Inf(1), math.Inf(-1)}
	for _, p := range points {
		if finite(p.Mean) {
			e[0], e[1] = min(e[0], p.Min), max(e[1], p.Max)
		}
	}
	return e
}

func hasBroken(points []run.CurvePoint) bool {
	return slices.ContainsFunc(points, func(p run.CurvePoint) bool { return !finite(p.Mean) })
}

func innerMean(points []run.CurvePoint) (mean float64, workers int) {
	var sum, all, n float64
	for _, p := range points {
		if finite(p.Mean) {
			sum += p.Mean * float64(p.Workers)
			all += float64(p.Workers)
			n++
		}
	}
	return sum / all, int(math.Round(all / n))
}

func TestAppendingPointsChangesOnlyTheLastBucket(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		points := curves().Draw(t, "curve")
		buckets := rapid.IntRange(2, 60).Draw(t, "buckets")
		n := rapid.IntRange(1, len(points)).Draw(t, "points at first")
		width := widthFor(points[:n], buckets)
		if width != widthFor(points, buckets) {
			return // the width has doubled
		}
		lastBucket := floorDiv(points[n-1].Step, width)
		settled := func(all []run.CurvePoint) []run.CurvePoint {
			var out []run.CurvePoint
			for _, p := range Downsample(all, buckets) {
				if floorDiv(p.Step, width) < lastBucket {
					out = append(out, p)
				}
			}
			return out
		}
		if d := cmp.Diff(settled(points[:n]), settled(points), nanEqual); d != "" {
			t.Fatal(d)
		}
	})
}

func TestACurveThatFitsIsLeftAlone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		points := curves().Draw(t, "curve")
		out := Downsample(points, len(points)+rapid.IntRange(0, 5).Draw(t, "spare"))
		if d := cmp.Diff(points, out, nanEqual); d != "" {
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
	out := Downsample(points, 500)
	if len(out) > 500*PointsPerBucket || len(out) < 500 {
		t.Errorf("%d points", len(out))
	}
	i := slices.IndexFunc(out, func(p run.CurvePoint) bool { return p.Max == 900 })
	if i < 0 || out[i].Mean <= 4 || out[i].Min != 4 || out[i].Step>>8 != 51234>>8 {
		t.Errorf("the spike is lost: %+v", out[max(i, 0)])
	}
}

func TestOneBucketWeighsByWorkersAndKeepsSumsPerStep(t *testing.T) {
	t.Parallel()
	points := []run.CurvePoint{point(0, 1, 1), point(1, 10, 1), point(2, 20, 3), point(3, 30, 2), point(4, 5, 1)}
	want := []run.CurvePoint{
		points[0],
		{Step: 2, Mean: (10 + 60 + 60) / 6., Min: 10, Max: 30, Sum: (10 + 60 + 60) / 3., Workers: 2, At: time.Unix(3, 0)},
		points[4],
	}
	if d := cmp.Diff(want, Downsample(points, 1), cmpopts.EquateApprox(1e-12, 0)); d != "" {
		t.Error(d)
	}
}

func TestNaNStaysVisibleBesideTheMeanOfItsNeighbours(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	points := []run.CurvePoint{point(0, 1, 1), point(1, 2, 1), point(2, nan, 1), point(3, 4, 1), point(4, nan, 1), point(5, 6, 1), point(6, 7, 1)}
	var got []float64
	for _, p := range Downsample(points, 1) {
		got = append(got, float64(p.Step), p.Mean)
	}
	if d := cmp.Diff([]float64{0, 1, 2, nan, 3, 4, 6, 7}, got, nanEqual); d != "" {
		t.Error(d)
	}
	allBroken := []run.CurvePoint{point(0, nan, 1), point(1, nan, 1), point(2, math.Inf(1), 1), point(3, nan, 1), point(4, nan, 1)}
	if d := cmp.Diff([]run.CurvePoint{allBroken[0], allBroken[1], allBroken[4]}, Downsample(allBroken, 1), nanEqual); d != "" {
		t.Error(d)
	}
}

func TestUnusualInputs(t *testing.T) {
	t.Parallel()
	if out := Downsample(nil, 10); len(out) != 0 {
		t.Errorf("nothing became %v", out)
	}
	ends := []run.CurvePoint{point(math.MinInt64, 1, 1), point(-1, 2, 1), point(0, 3, 1), point(1, 4, 1), point(math.MaxInt64, 5, 1)}
	for buckets := -1; buckets <= 1; buckets++ {
		if out := Downsample(ends, buckets); len(out) != 3 || out[0] != ends[0] || out[1].Mean != 3 || out[2] != ends[4] {
			t.Errorf("%d buckets: %+v", buckets, out)
		}
	}
	if out := Downsample(ends, 2); len(out) != 5 {
		t.Errorf("steps of both signs share a bucket: %+v", out)
	}
	huge := []run.CurvePoint{point(0, 1, 1), point(1, math.MaxFloat64, 1), point(2, -math.MaxFloat64, 1), point(3, math.MaxFloat64, 0), point(4, 1, 1)}
	if out := Downsample(huge, 1); !finite(out[1].Mean) || !finite(out[1].Sum) {
		t.Errorf("the mean of finite values is %v", out[1].Mean)
	}
}

func BenchmarkDownsample(b *testing.B) {
	points := make([]run.CurvePoint, 0, 88000)
	for step := range int64(88000) {
		points = append(points, point(step, 4, 3))
	}
	b.ReportAllocs()
	for b.Loop() {
		Downsample(points, 500)
	}
}
