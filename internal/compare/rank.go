package compare

import (
	"cmp"
	"math"
	"slices"
)

// Spearman is the rank correlation of pairs, from -1 to 1; equal values share their mean rank. It is NaN where one side has no two
// different values.
func Spearman(x, y []float64) float64 { return pearson(ranks(x), ranks(y)) }

// ranks are the places of values in their order, from 1; equal ones share the mean of theirs.
func ranks(values []float64) []float64 {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(values[a], values[b]) })
	out := make([]float64, len(values))
	for i := 0; i < len(order); {
		end := i + 1
		for end < len(order) && values[order[end]] == values[order[i]] {
			end++
		}
		for _, at := range order[i:end] {
			out[at] = float64(i+1+end) / 2
		}
		i = end
	}
	return out
}

func pearson(x, y []float64) float64 {
	n := float64(len(x))
	var meanX, meanY, xx, yy, xy float64
	for i := range x {
		meanX += x[i] / n
		meanY += y[i] / n
	}
	for i := range x {
		dx, dy := x[i]-meanX, y[i]-meanY
		xx, yy, xy = xx+dx*dx, yy+dy*dy, xy+dx*dy
	}
	if xx == 0 || yy == 0 {
		return math.NaN()
	}
	return max(-1, min(1, xy/math.Sqrt(xx*yy)))
}

// Explained is the share of the variance of y's ranks that lies between groups of equal keys, corrected for chance (epsilon squared
// of the Kruskal-Wallis test), from 0 to 1. Unlike a correlation it needs no order of the keys, and sees a dependence that rises
// and falls. It is NaN with one group, or with no two runs in any.
func Explained(keys []string, y []float64) float64 {
	n := float64(len(y))
	r := ranks(y)
	type group struct{ n, sum float64 }
	groups := map[string]group{}
	mean := (n + 1) / 2
	var total float64
	for i, key := range keys {
		g := groups[key]
		groups[key] = group{g.n + 1, g.sum + r[i]}
		total += (r[i] - mean) * (r[i] - mean)
	}
	k := float64(len(groups))
	if k < 2 || n <= k || total == 0 {
		return math.NaN()
	}
	var between float64
	for _, g := range groups {
		d := g.sum/g.n - mean
		between += g.n * d * d
	}
	return max(0, 1-(1-between/total)*(n-1)/(n-k))
}
