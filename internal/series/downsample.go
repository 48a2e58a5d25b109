package series

import (
	"math"
	"math/bits"
	"slices"

	"github.com/cotrain/cotrain/internal/run"
)

// PerBucket is the most points that one bucket becomes.
const PerBucket = 4

// Downsample makes a curve of at most buckets*PerBucket points that looks like points when drawn. points must be
// sorted by step, each step once; it is not changed.
//
// Steps are parted into buckets of equal width, a power of two, aligned to multiples of it: the narrowest that needs
// no more than buckets of them (at least 1) that hold points. Of each bucket remain, in order of steps:
//
//   - its first and its last point unchanged, so that the curve, and the edges of every gap wider than a bucket, lie
//     where they were measured;
//   - between them, one point for all others: at the middle one's step, with the mean weighted by workers and the
//     extremes of all of them;
//   - the first of the others that has no finite mean, unchanged: an infinite or missing value neither vanishes nor
//     spoils the mean of its neighbours.
//
// No step is invented: a bucket without points gives none. Because buckets are aligned, appending points changes only
// the last bucket, until the width doubles.
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

// bucketShift returns the binary logarithm of the bucket's width. Two steps share a bucket of width 2^k exactly when
// they differ in none of the bits from k up, so one pass tells the number of buckets for every width.
func bucketShift(points []run.CurvePoint, buckets int) uint {
	var highest [65]int // how many neighbours differ in bit n-1 and none above
	for i := 1; i < len(points); i++ {
		highest[bits.Len64(uint64(points[i-1].Step^points[i].Step))]++
	}
	used := 1
	for n := 64; n > 0; n-- {
		if used += highest[n]; used > buckets {
			return uint(n) //nolint:gosec // 1 to 64
		}
	}
	return 0
}

// bucketOf numbers the buckets in the order of steps, negative ones too.
func bucketOf(step int64, shift uint) uint64 {
	return (uint64(step) ^ 1<<63) >> shift //nolint:gosec // the sign bit is flipped on purpose
}

// appendBucket appends what remains of one bucket.
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

// merge makes one point of those that have a finite mean, and says how many they are.
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
	// Sum and Workers are per step, so a throughput stays a throughput.
	m.Mean, m.Sum = min(max(mean, m.Min), m.Max), sum
	m.Workers = int(math.Round(weights / float64(count)))
	return m, count
}

// blend moves from a towards b by the share r. Of finite numbers it is finite, where a sum could overflow.
func blend(a, b, r float64) float64 { return a*(1-r) + b*r }

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
