package web

import (
	"math"
	"slices"

	"github.com/cotrain/cotrain/internal/run"
)

// maxPoints is how many points of one curve a page gets; more than a wide screen has pixels.
const maxPoints = 6000

// columns is the form of feed.Samples, with the snapshot's sequence; numbers that are not finite are strings.
type columns struct {
	Seq    int64                               `json:"seq"`
	Steps  []int64                             `json:"steps"`
	Series map[string]map[string][]*run.Number `json:"series"`
}

func meanOf(p run.CurvePoint) float64 { return p.Mean }
func sumOf(p run.CurvePoint) float64  { return p.Sum }

// columnsOf joins both curves of a run's page by step; a value that a step does not have is null.
func columnsOf(seq int64, loss, throughput []run.CurvePoint) columns {
	c := columns{Seq: seq, Steps: []int64{}, Series: map[string]map[string][]*run.Number{}}
	for _, curve := range [][]run.CurvePoint{loss, throughput} {
		for _, p := range curve {
			c.Steps = append(c.Steps, p.Step)
		}
	}
	slices.Sort(c.Steps)
	c.Steps = slices.Compact(c.Steps)
	column := func(curve []run.CurvePoint, value func(run.CurvePoint) float64) []*run.Number {
		out := make([]*run.Number, len(c.Steps))
		i := 0
		for _, p := range curve {
			for c.Steps[i] != p.Step {
				i++
			}
			v := run.Number(value(p))
			out[i] = &v
		}
		return out
	}
	c.Series["loss"] = map[string][]*run.Number{
		"mean": column(loss, meanOf),
		"min":  column(loss, func(p run.CurvePoint) float64 { return p.Min }),
		"max":  column(loss, func(p run.CurvePoint) float64 { return p.Max }),
	}
	c.Series["tokens_per_second"] = map[string][]*run.Number{"sum": column(throughput, sumOf)}
	return c
}

// thin reduces a curve to at most about maxPoints points, keeping of each bucket its lowest and highest, so that no
// spike is lost, and the first and last point of all.
func thin(curve []run.CurvePoint, value func(run.CurvePoint) float64) []run.CurvePoint {
	if len(curve) <= maxPoints {
		return curve
	}
	const buckets = maxPoints/2 - 1
	out := make([]run.CurvePoint, 0, maxPoints)
	inner := curve[1 : len(curve)-1]
	out = append(out, curve[0])
	for b := range buckets {
		from, to := b*len(inner)/buckets, (b+1)*len(inner)/buckets
		low, high := from, from
		for i := from; i < to; i++ {
			switch v := value(inner[i]); {
			case math.IsNaN(v): // NaN is what one most wants to see
				low = i
			case v < value(inner[low]):
				low = i
			case v > value(inner[high]):
				high = i
			}
		}
		first, second := min(low, high), max(low, high)
		out = append(out, inner[first])
		if second != first {
			out = append(out, inner[second])
		}
	}
	return append(out, curve[len(curve)-1])
}
