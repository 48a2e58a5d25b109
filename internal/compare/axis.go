package compare

import (
	"cmp"
	"math"
	"slices"
	"strconv"
)

const (
	logFrom  = 20 // ratio of the largest to the smallest value from which an axis is logarithmic
	maxTicks = 7
)

// Axis is a setting or a metric as one axis of parallel coordinates.
type Axis struct {
	Field   Field
	Numeric bool
	Places  []float64 // of each run, from 0 at the low end to 1; NaN where it has no value
	Ticks   []Tick    // ascending
}

// Tick is a labelled place of an axis.
type Tick struct {
	Place float64
	Value string
}

// NewAxis places the values of a setting: numbers by their size, others in alphabetical order. "" is no value where others are
// numbers.
func NewAxis(f Field) Axis {
	values := make([]float64, len(f.Values))
	for i, text := range f.Values {
		v, err := strconv.ParseFloat(text, 64)
		switch {
		case text == "":
			v = math.NaN()
		case err != nil || !finite(v):
			return wordAxis(f)
		}
		values[i] = v
	}
	return numberAxis(f, values)
}

// MetricAxis places values of a metric, of which those that are not finite have no place.
func MetricAxis(name string, values []float64) Axis {
	return numberAxis(Field{Name: name, Label: name}, values)
}

func wordAxis(f Field) Axis {
	a := Axis{Field: f, Places: make([]float64, len(f.Values))}
	words := slices.Compact(slices.Sorted(slices.Values(f.Values)))
	for i, word := range words {
		a.Ticks = append(a.Ticks, Tick{place(float64(i), 0, float64(len(words)-1)), word})
	}
	for i, v := range f.Values {
		at, _ := slices.BinarySearch(words, v)
		a.Places[i] = a.Ticks[at].Place
	}
	return a
}

func numberAxis(f Field, values []float64) Axis {
	a := Axis{Field: f, Numeric: true, Places: make([]float64, len(values))}
	known := slices.DeleteFunc(slices.Clone(values), func(v float64) bool { return !finite(v) })
	slices.Sort(known)
	known = slices.Compact(known)
	if len(known) == 0 {
		for i := range a.Places {
			a.Places[i] = math.NaN()
		}
		return a
	}
	low, high := known[0], known[len(known)-1]
	scale := func(v float64) float64 { return v }
	if low > 0 && high/low >= logFrom {
		scale = math.Log10
	}
	for i, v := range values {
		a.Places[i] = math.NaN()
		if finite(v) {
			a.Places[i] = place(scale(v), scale(low), scale(high))
		}
	}
	if len(known) > maxTicks {
		known = slices.Compact(spread(known, scale))
	}
	for _, v := range known {
		a.Ticks = append(a.Ticks, Tick{place(scale(v), scale(low), scale(high)), strconv.FormatFloat(v, 'g', -1, 64)})
	}
	return a
}

// spread are those of ascending values that are nearest to evenly spaced places, with both ends.
func spread(values []float64, scale func(float64) float64) []float64 {
	low, high := scale(values[0]), scale(values[len(values)-1])
	out := make([]float64, maxTicks)
	for i := range out {
		want := low + (high-low)*float64(i)/(maxTicks-1)
		out[i] = slices.MinFunc(values, func(a, b float64) int { return cmp.Compare(math.Abs(scale(a)-want), math.Abs(scale(b)-want)) })
	}
	return out
}

// place is v between low and high, from 0 to 1; the middle where those are the same.
func place(v, low, high float64) float64 {
	if high <= low {
		return 0.5
	}
	return (v - low) / (high - low)
}
