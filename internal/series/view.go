package series

import (
	"math"

	"github.com/cotrain/cotrain/internal/run"
)

// Odd tells which values of a column are no finite numbers.
type Odd uint8

// The values that are no finite numbers.
const (
	HasNaN Odd = 1 << iota
	HasInf
	HasNegativeInf
)

// Column summarizes the points of a curve within one interval of steps.
type Column struct {
	First, Last     int64   // steps of its first and last point
	FirstAt, LastAt int64   // when those were received, Unix milliseconds
	Points          int     // steps with a value
	Workers         int     // the most workers of a step
	Min, Max        float64 // over steps and workers, of finite values; NaN if there are none
	Value           float64 // mean of the finite values of its steps or, of a smoothed curve, its value at Last; NaN if there are none
	Odd             Odd
}

// View is a curve between two steps, in columns of equal width: a power of two, to whose multiples they are aligned. A column
// without points is left out. So whoever asks for a part of a curve, at any zoom, gets columns that are the same for everybody and
// that later points do not change, except for the last.
type View struct {
	Width   int64 // steps of a column
	Points  int64 // steps with a value in range
	Columns []Column
}

// Columns summarizes points of ascending steps into at most limit columns (at least 1), as narrow as possible. Of width 1, each is
// one point.
func Columns(points []run.CurvePoint, limit int) View {
	if len(points) == 0 {
		return View{Width: 1}
	}
	shift := bucketShift(points, max(limit, 1))
	v := View{Width: 1 << min(shift, 62), Points: int64(len(points))}
	for start := 0; start < len(points); {
		bucket := bucketOf(points[start].Step, shift)
		end := start + 1
		for end < len(points) && bucketOf(points[end].Step, shift) == bucket {
			end++
		}
		v.Columns = append(v.Columns, columnOf(points[start:end]))
		start = end
	}
	return v
}

func columnOf(points []run.CurvePoint) Column {
	first, last := points[0], points[len(points)-1]
	c := Column{
		First: first.Step, Last: last.Step, FirstAt: first.At.UnixMilli(), LastAt: last.At.UnixMilli(),
		Points: len(points), Min: math.NaN(), Max: math.NaN(), Value: math.NaN(),
	}
	count := 0
	for _, p := range points {
		c.Workers = max(c.Workers, p.Workers)
		for _, v := range [...]float64{p.Min, p.Max, p.Mean} {
			c.Odd |= oddOf(v)
		}
		c.Min, c.Max = lower(c.Min, p.Min), higher(c.Max, p.Max)
		if !finite(p.Mean) {
			continue
		}
		if count++; count == 1 {
			c.Value = p.Mean
		} else {
			c.Value = blend(c.Value, p.Mean, 1/float64(count))
		}
	}
	return c
}

func oddOf(v float64) Odd {
	switch {
	case math.IsNaN(v):
		return HasNaN
	case math.IsInf(v, 1):
		return HasInf
	case math.IsInf(v, -1):
		return HasNegativeInf
	}
	return 0
}

// lower is the smaller of two numbers that are finite, or else the one that is.
func lower(a, b float64) float64 {
	if !finite(b) || a < b {
		return a
	}
	return b
}

func higher(a, b float64) float64 {
	if !finite(b) || a > b {
		return a
	}
	return b
}
