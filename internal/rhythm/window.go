package rhythm

import (
	"math"
	"slices"
)

// madScale makes the median absolute deviation of normal values their standard deviation.
const madScale = 1.4826

// window holds the newest values, up to its capacity.
type window struct {
	values []float64
	next   int // where the following one goes, once it is full
}

func (w *window) add(v float64, capacity int) {
	if len(w.values) < capacity {
		w.values = append(w.values, v)
		return
	}
	w.values[w.next] = v
	w.next = (w.next + 1) % capacity
}

func (w *window) len() int { return len(w.values) }

// newest returns the last n values, in no order.
func (w *window) newest(n int) []float64 {
	if len(w.values) <= n {
		return w.values
	}
	out := make([]float64, 0, n)
	at := w.next // equals 0 until it is full, when the last is at the end
	for range n {
		at--
		if at < 0 {
			at = len(w.values) - 1
		}
		out = append(out, w.values[at])
	}
	return out
}

// spread is the median of values and their scaled median absolute deviation; zero for none.
func spread(values []float64) (median, deviation float64) {
	if len(values) == 0 {
		return 0, 0
	}
	sorted := slices.Clone(values)
	median = middle(sorted)
	for i, v := range sorted {
		sorted[i] = math.Abs(v - median)
	}
	return median, madScale * middle(sorted)
}

// middle sorts values and returns their median.
func middle(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	if n%2 == 1 {
		return values[n/2]
	}
	return (values[n/2-1] + values[n/2]) / 2
}
