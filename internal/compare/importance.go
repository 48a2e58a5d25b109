package compare

import (
	"cmp"
	"math"
	"slices"
	"strconv"
)

// FewRuns is the number of runs below which a correlation may well be chance: at 10, one of 0.65 in size comes up in 1 of 20 cases.
const FewRuns = 10

// Field is a setting and its value in each run, "" where it is not set.
type Field struct {
	Name, Label string
	Values      []string
}

// Numbers are the values as numbers, or false if one is none.
func (f Field) Numbers() ([]float64, bool) {
	out := make([]float64, len(f.Values))
	for i, text := range f.Values {
		v, err := strconv.ParseFloat(text, 64)
		if err != nil || !finite(v) {
			return nil, false
		}
		out[i] = v
	}
	return out, true
}

// Importance tells how a metric depends on a setting.
type Importance struct {
	Field     Field // of the runs that count
	Different int   // values
	Rho       float64
	Explained float64 // see [Explained]
}

// Size is what importances are sorted by: the stronger of the two measures, 0 where there is none.
func (i Importance) Size() float64 {
	size := 0.0
	for _, v := range []float64{math.Abs(i.Rho), math.Sqrt(i.Explained)} {
		if v > size { // not NaN
			size = v
		}
	}
	return size
}

// Importances tells how a metric depends on each setting, the most important first, over the runs that have a finite value of it:
// their number is the second result. A setting that does not differ between those is left out. Rho is NaN for one with values that
// are no numbers.
func Importances(fields []Field, metric []float64) ([]Importance, int) {
	var y []float64
	for _, v := range metric {
		if finite(v) {
			y = append(y, v)
		}
	}
	var out []Importance
	for _, f := range fields {
		f.Values = slices.DeleteFunc(slices.Clone(f.Values), deleteAt(func(i int) bool { return !finite(metric[i]) }))
		different := map[string]bool{}
		for _, v := range f.Values {
			different[v] = true
		}
		if len(different) < 2 {
			continue
		}
		one := Importance{Field: f, Different: len(different), Rho: math.NaN(), Explained: Explained(f.Values, y)}
		if x, ok := f.Numbers(); ok {
			one.Rho = Spearman(x, y)
		}
		out = append(out, one)
	}
	slices.SortStableFunc(out, func(a, b Importance) int { return cmp.Compare(b.Size(), a.Size()) })
	return out, len(y)
}

// deleteAt turns a test of an index into one of the elements of a slice in their order.
func deleteAt(test func(int) bool) func(string) bool {
	i := -1
	return func(string) bool {
		i++
		return test(i)
	}
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
