package series

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

func TestSmoothingIsParsedAndPrinted(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Smoothing{
		"": {}, "ema:0.9": {EMA, 0.9}, "ema:0.999": {EMA, 0.999}, "twema:600s": {TimedEMA, 600}, "twema:1500ms": {TimedEMA, 1.5}, "twema:2h": {TimedEMA, 7200}, "gauss:50": {Gaussian, 50}, "gauss:0.5": {Gaussian, 0.5},
	} {
		got, err := ParseSmoothing(text)
		if err != nil || got != want {
			t.Errorf("%q is %+v, %v", text, got, err)
		}
		if again, err := ParseSmoothing(got.String()); err != nil || again != want {
			t.Errorf("%q prints %q, which is %+v, %v", text, got, again, err)
		}
	}
	for _, text := range []string{"ema", "ema:", "ema:1", "ema:0", "ema:-1", "ema:NaN", "ema:1e-400", "ema:x", "twema:600", "twema:0s", "twema:-1s", "twema:9999999h", "gauss:0", "gauss:1001", "gauss:NaN", "gauss:Inf", "median:5", " ema:0.9", strings.Repeat("x", 1000)} {
		_, err := ParseSmoothing(text)
		var fields run.FieldErrors
		if !errors.Is(err, fault.ErrInvalid) || !errors.As(err, &fields) || fields[0].Field != "smooth" || fields[0].Rule == "" || fields[0].Fix == "" || len(fields[0].Value) > 250 {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// plainly smooths in the plainest way: each value is the weighted mean of all.
func plainly(s Smoothing, points []run.CurvePoint) []float64 {
	out := make([]float64, len(points))
	for i := range points {
		var sum, weights float64
		decay := 1.0
		for j := i; j >= 0; j-- {
			w := decay
			if s.Kernel == Gaussian {
				w = gauss(float64(i-j) / s.Amount)
			}
			if finite(points[j].Mean) {
				sum, weights = sum+w*points[j].Mean, weights+w
			}
			if s.Kernel == Gaussian || !finite(points[j].Mean) {
				continue
			}
			if s.Kernel == EMA {
				decay *= s.Amount
				continue
			}
			for k := j - 1; k >= 0; k-- { // the finite one before
				if finite(points[k].Mean) {
					decay *= math.Exp2(-max(0, points[j].At.Sub(points[k].At).Seconds()) / s.Amount)
					break
				}
			}
		}
		for j := i + 1; s.Kernel == Gaussian && j < len(points); j++ {
			if w := gauss(float64(j-i) / s.Amount); finite(points[j].Mean) {
				sum, weights = sum+w*points[j].Mean, weights+w
			}
		}
		out[i] = sum / weights
	}
	return out
}

func gauss(x float64) float64 { return math.Exp(-x * x / 2) }

func drawSmoothing() *rapid.Generator[Smoothing] {
	return rapid.SampledFrom([]Smoothing{{EMA, 0.5}, {EMA, 0.9}, {EMA, 0.99}, {TimedEMA, 0.5}, {TimedEMA, 30}, {Gaussian, 0.3}, {Gaussian, 2}, {Gaussian, 11}})
}

func TestSmoothingIsAWeightedMean(t *testing.T) {
	t.Parallel()
	value := rapid.OneOf(rapid.Float64Range(1, 10), rapid.Float64Range(1, 10), rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1), 5}))
	rapid.Check(t, func(t *rapid.T) {
		s := drawSmoothing().Draw(t, "smoothing")
		var points []run.CurvePoint
		at := time.UnixMilli(1_700_000_000_000)
		for i, v := range rapid.SliceOfN(value, 1, 300).Draw(t, "values") {
			at = at.Add(time.Duration(rapid.IntRange(-500, 2000).Draw(t, "ms")) * time.Millisecond)
			points = append(points, run.CurvePoint{Step: int64(i), Mean: v, Min: v - 1, Max: v + 1, Workers: 2, At: at})
		}
		var got []run.CurvePoint
		m := s.Smoother(func(p run.CurvePoint) bool { got = append(got, p); return true })
		for _, p := range points {
			if !m.Add(p) {
				t.Fatal("it wants no more")
			}
		}
		m.End()
		if len(got) != len(points) {
			t.Fatalf("%d points became %d", len(points), len(got))
		}
		for i, want := range plainly(s, points) {
			p := got[i]
			if math.IsNaN(p.Mean) != math.IsNaN(want) || math.Abs(p.Mean-want) > 1e-12*math.Abs(want) {
				t.Fatalf("%v: point %d is %v, want %v", s, i, p.Mean, want)
			}
			if p.Mean = points[i].Mean; p.Step != points[i].Step || p.Workers != 2 || p.At != points[i].At || !(p.Min == points[i].Min || math.IsNaN(p.Min)) {
				t.Fatalf("more than the mean has changed: %+v, %+v", p, points[i])
			}
		}
	})
}

func TestASmootherStopsWhenNoMoreIsWanted(t *testing.T) {
	t.Parallel()
	for _, s := range []Smoothing{{}, {EMA, 0.9}, {Gaussian, 2}} {
		taken := 0
		m := s.Smoother(func(run.CurvePoint) bool { taken++; return taken < 3 })
		for i := range 100 {
			m.Add(run.CurvePoint{Step: int64(i), Mean: 1})
		}
		if m.End(); taken != 3 {
			t.Errorf("%v: %d were taken", s, taken)
		}
	}
}
