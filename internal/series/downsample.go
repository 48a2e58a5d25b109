package series

import (
	"math"
	"slices"

	"github.com/cotrain/cotrain/internal/run"
)

// PointsPerBucket is the most points of a bucket.
const PointsPerBucket = 4

// Downsample reduces a curve to at most buckets*PointsPerBucket points that draw alike. points must be sorted by unique
// steps; they are not changed.
//
// Buckets have equal widths, a power of two, and are aligned to it: the narrowest such that at most buckets (at least 1)
// of them hold points. Of each remain, by step:
//
// - the first and the last point, so that the curve and the edges of gaps lie where they were measured;
//
// - one point for those between, at the middle one's step, with the mean weighted by workers and the extremes;
//
// - the first without a finite mean, so that infinite or missing values neither vanish nor spoil the mean.
//
// Steps are never invented. Appending changes only the last bucket, until the width doubles.
func Downsample(points []run.CurvePoint, buckets int) []run.CurvePoint {
	if len(points) == 0 {
		return nil
	}
	shift := bucketShift(points, max(buckets, 1))
	if shift == 0 {
		return slices.Clone(points)
	}
	var out []run.CurvePoint
	for start := 0; start < len(points); {
		bucket := bucketOf(points[start].Step, shift)
		end := start + 1
		for end < len(points) && bucketOf(points[end].Step, shift) == bucket {
			end++
		}
		out = appendBucket(out, points[start:end])
		start = end
	}
	return out
}

// appendBucket appends the reduced bucket.
func appendBucket(out, bucket []run.CurvePoint) []run.CurvePoint {
	if len(bucket) <= 3 {
		return append(out, bucket...)
	}
	last := len(bucket) - 1
	out = append(out, bucket[0])
	inner := bucket[1:last]
	merged, count := merge(inner)
	broken := slices.IndexFunc(inner, func(p run.CurvePoint) bool { return !finite(p.Mean) })
	switch {
	case broken < 0:
		out = append(out, merged)
	case count == 0:
		out = append(out, inner[broken])
	case inner[broken].Step < merged.Step:
		out = append(out, inner[broken], merged)
	default:
		out = append(out, merged, inner[broken])
	}
	return append(out, bucket[last])
}

// merge merges the points with finite means and counts them.
func merge(points []run.CurvePoint) (m run.CurvePoint, count int) {
	var weights, mean, sum float64
	for _, p := range points {
		if !finite(p.Mean) {
			continue
		}
		if count == 0 {
			m.Min, m.Max = p.Min, p.Max
		}
		count++
		w := float64(max(p.Workers, 1))
		weights += w
		mean = blend(mean, p.Mean, w/weights)
		sum = blend(sum, p.Sum, 1/float64(count))
		m.Min, m.Max = math.Min(m.Min, p.Min), math.Max(m.Max, p.Max)
		if p.At.After(m.At) {
			m.At = p.At
		}
	}
	if count == 0 {
		return m, 0
	}
	seen := 0
	for _, p := range points {
		if !finite(p.Mean) {
			continue
		}
		if seen == count/2 {
			m.Step = p.Step
			break
		}
		seen++
	}
	// Sum and Workers stay per step, so throughput stays throughput.
	m.Mean, m.Sum = min(max(mean, m.Min), m.Max), sum
	m.Workers = int(math.Round(weights / float64(count)))
	return m, count
}

// blend interpolates from a to b by r, without the overflow of a sum.
func blend(a, b, r float64) float64 { return a*(1-r) + b*r }

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
