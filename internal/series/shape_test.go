package series

import (
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/cotrain/cotrain/internal/run"
)

func TestAShapeIsThatOfItsView(t *testing.T) {
	t.Parallel()
	value := rapid.OneOf(rapid.Float64Range(-10, 10), rapid.Float64(), rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64}))
	rapid.Check(t, func(t *rapid.T) {
		var points []run.CurvePoint
		low, high := math.NaN(), math.NaN()
		for i, v := range rapid.SliceOfN(value, 0, 200).Draw(t, "values") {
			points = append(points, run.CurvePoint{Step: int64(i), Mean: v, Min: v, Max: v, Workers: 1})
			low, high = lower(low, v), higher(high, v)
		}
		got, err := DecodeShape(EncodeShape(Columns(points, 40)))
		if err != nil || len(got) > 40 || (len(got) == 0) != math.IsNaN(low) {
			t.Fatalf("%d columns, %v", len(got), err)
		}
		least, most, before := math.NaN(), math.NaN(), -1.0
		for _, c := range got {
			if c.X < before || c.X > 1 || c.Min > c.Max {
				t.Fatalf("%+v after %g", c, before)
			}
			least, most, before = lower(least, c.Min), higher(most, c.Max), c.X
		}
		if len(got) > 0 && (least != low || most != high) {
			t.Fatalf("from %g to %g, want %g to %g", least, most, low, high)
		}
	})
}

func TestAShapeOfOtherDataIsDamaged(t *testing.T) {
	t.Parallel()
	good := EncodeShape(Columns([]run.CurvePoint{{Step: 1, Mean: 1, Min: 1, Max: 1}, {Step: 5, Mean: 2, Min: 2, Max: 2}}, 40))
	for _, data := range [][]byte{{0}, good[:1], good[:16], good[:len(good)-1], append([]byte{2}, good[1:]...), append([]byte{1, 255, 255}, good[3:]...)} {
		if got, err := DecodeShape(data); !errors.Is(err, ErrDamaged) || got != nil {
			t.Errorf("%x: %v, %v", data, got, err)
		}
	}
}
