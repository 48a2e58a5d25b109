package compare

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestAnAxisPlacesValuesAsTheyAre(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	for name, c := range map[string]struct {
		values []string
		want   []float64
		ticks  []string
	}{
		"numbers":                    {[]string{"1", "2", "5"}, []float64{0, 0.25, 1}, []string{"1", "2", "5"}},
		"numbers far apart":          {[]string{"0.001", "0.1", "0.01"}, []float64{0, 1, 0.5}, []string{"0.001", "0.01", "0.1"}},
		"zero is on no logarithm":    {[]string{"0", "100", "1"}, []float64{0, 1, 0.01}, []string{"0", "1", "100"}},
		"a value that is missing":    {[]string{"1", "", "2"}, []float64{0, nan, 1}, []string{"1", "2"}},
		"words":                      {[]string{"b", "a", "c", "a"}, []float64{0.5, 0, 1, 0}, []string{"a", "b", "c"}},
		"a number among words":       {[]string{"auto", "1"}, []float64{1, 0}, []string{"1", "auto"}},
		"a constant":                 {[]string{"3", "3"}, []float64{0.5, 0.5}, []string{"3"}},
		"what only looks like one":   {[]string{"NaN", "1"}, []float64{1, 0}, []string{"1", "NaN"}},
		"nothing":                    {[]string{"", ""}, []float64{nan, nan}, nil},
		"more than have a tick each": {[]string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"}, nil, []string{"0", "2", "4", "6", "8", "10", "12"}},
	} {
		a := NewAxis(Field{Values: c.values})
		var ticks []string
		for _, tick := range a.Ticks {
			ticks = append(ticks, tick.Value)
		}
		if diff := cmp.Diff(c.ticks, ticks); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if diff := cmp.Diff(c.want, a.Places, cmpopts.EquateNaNs(), cmpopts.EquateApprox(1e-12, 0)); c.want != nil && diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if m := MetricAxis("loss", []float64{2, math.Inf(1), 4}); !math.IsNaN(m.Places[1]) || m.Places[2] != 1 || len(m.Ticks) != 2 {
		t.Errorf("%+v", m)
	}
}
