package web

import (
	"math"
	"testing"

	"github.com/cotrain/cotrain/internal/run"
)

func TestAThinnedCurveKeepsItsEndsAndEverySpike(t *testing.T) {
	t.Parallel()
	const n = 100_000
	curve := make([]run.CurvePoint, n)
	for i := range curve {
		curve[i] = run.CurvePoint{Step: int64(i), Mean: 3 + math.Sin(float64(i)/500)}
	}
	curve[12345].Mean, curve[54321].Mean, curve[77777].Mean = 100, -100, math.NaN()
	out := thin(curve, meanOf)
	if len(out) > maxPoints {
		t.Fatalf("%d points", len(out))
	}
	kept := map[int64]bool{}
	for i, p := range out {
		kept[p.Step] = true
		if i > 0 && p.Step <= out[i-1].Step {
			t.Fatalf("step %d after %d", p.Step, out[i-1].Step)
		}
	}
	for _, step := range []int64{0, n - 1, 12345, 54321, 77777} {
		if !kept[step] {
			t.Errorf("step %d is lost", step)
		}
	}
	if short := thin(curve[:maxPoints], meanOf); len(short) != maxPoints {
		t.Errorf("a short curve was thinned to %d", len(short))
	}
}
