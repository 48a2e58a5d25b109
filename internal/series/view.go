package series

import (
	"math"
	"math/bits"

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
	b := NewBuilder(1 << min(bucketShift(points, max(limit, 1)), 62))
	for _, p := range points {
		b.Add(p)
	}
	return b.View()
}

// Builder makes a view of points as they come.
type Builder struct {
	view   View
	shift  uint
	bucket uint64 // of the last column
	means  int    // finite ones in it
}

// NewBuilder returns a builder of columns of a width, a power of two.
func NewBuilder(width int64) *Builder {
	return &Builder{view: View{Width: width}, shift: uint(bits.TrailingZeros64(uint64(width)))} //nolint:gosec // a power of two
}

// Add adds the point of a further step.
func (b *Builder) Add(p run.CurvePoint) {
	if bucket := bucketOf(p.Step, b.shift); len(b.view.Columns) == 0 || bucket != b.bucket {
		b.bucket, b.means = bucket, 0
		b.view.Columns = append(b.view.Columns, Column{
			First: p.Step, FirstAt: p.At.UnixMilli(), Min: math.NaN(), Max: math.NaN(), Value: math.NaN(),
		})
	}
	c := &b.view.Columns[len(b.view.Columns)-1]
	b.view.Points++
	c.Points++
	c.Last, c.LastAt, c.Workers = p.Step, p.At.UnixMilli(), max(c.Workers, p.Workers)
	c.Odd |= oddOf(p.Min) | oddOf(p.Max) | oddOf(p.Mean)
	c.Min, c.Max = lower(c.Min, p.Min), higher(c.Max, p.Max)
	if !finite(p.Mean) {
		return
	}
	if b.means++; b.means == 1 {
		c.Value = p.Mean
	} else {
		c.Value = blend(c.Value, p.Mean, 1/float64(b.means))
	}
}

// View returns the columns so far.
func (b *Builder) View() View { return b.view }

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

// Same reports whether two steps are in the same column.
func (v View) Same(a, b int64) bool {
	shift := uint(bits.TrailingZeros64(uint64(v.Width))) //nolint:gosec // a power of two
	return bucketOf(a, shift) == bucketOf(b, shift)
}
