package series

import (
	"math"
	"math/bits"
	"slices"

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
	FirstAt, LastAt int64   // when the earliest and the latest of them was received, Unix milliseconds
	Points          int     // steps with a value
	Means           int     // steps with a finite mean
	Workers         int     // the most workers of a step
	Min, Max        float64 // over steps and workers, of finite values; NaN if there are none
	Value           float64 // mean of the finite means of its steps or, of a smoothed curve, its value at Last; NaN if there are none
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
	b := Builder{shift: bucketShift(points, max(limit, 1))}
	for _, p := range points {
		b.Add(p)
	}
	return b.View()
}

// Same reports whether two steps are in the same column.
func (v View) Same(a, b int64) bool {
	shift := shiftOfWidth(v.Width)
	return bucketOf(a, shift) == bucketOf(b, shift)
}

// Builder makes a view of points and of columns, in the order of their steps.
type Builder struct {
	shift   uint
	points  int64
	columns []Column
}

// NewBuilder returns a builder of columns of a width, a power of two.
func NewBuilder(width int64) *Builder { return &Builder{shift: shiftOfWidth(width)} }

func shiftOfWidth(width int64) uint { return uint(bits.TrailingZeros64(uint64(width))) } //nolint:gosec // a power of two

// View returns the columns so far.
func (b *Builder) View() View {
	return View{Width: 1 << min(b.shift, 62), Points: b.points, Columns: b.columns}
}

// Add adds the point of a further step.
func (b *Builder) Add(p run.CurvePoint) {
	if n := len(b.columns); n > 0 && bucketOf(b.columns[n-1].Last, b.shift) == bucketOf(p.Step, b.shift) && b.columns[n-1].addFinite(p) {
		b.points++
		return
	}
	b.column(pointColumn(p))
}

func (b *Builder) column(c Column) {
	b.points += int64(c.Points)
	if n := len(b.columns); n > 0 && bucketOf(b.columns[n-1].Last, b.shift) == bucketOf(c.First, b.shift) {
		b.columns[n-1].add(c)
		return
	}
	b.columns = append(b.columns, c)
}

// block adds points of one worker.
func (b *Builder) block(points Block) {
	for len(points.Steps) > 0 {
		bucket := bucketOf(points.Steps[0], b.shift)
		n := len(points.Steps)
		if bucketOf(points.Steps[n-1], b.shift) != bucket {
			n, _ = slices.BinarySearchFunc(points.Steps, bucket, func(step int64, bucket uint64) int {
				if bucketOf(step, b.shift) <= bucket {
					return -1
				}
				return 1
			})
		}
		b.column(points.head(n).column())
		points = points.tail(n)
	}
}

func (b Block) head(n int) Block { return Block{b.Steps[:n], b.Times[:n], b.Values[:n]} }

func (b Block) tail(n int) Block { return Block{b.Steps[n:], b.Times[n:], b.Values[n:]} }

func (b Block) column() Column {
	c := Column{
		First: b.Steps[0], Last: b.Steps[len(b.Steps)-1], FirstAt: slices.Min(b.Times), LastAt: slices.Max(b.Times), Points: len(b.Steps), Workers: 1,
		Min: math.NaN(), Max: math.NaN(), Value: math.NaN(),
	}
	low, high, sum := math.Inf(1), math.Inf(-1), 0.0
	for _, v := range b.Values {
		if v-v != 0 {
			c.Odd |= oddOf(v)
			continue
		}
		c.Means++
		low, high, sum = min(low, v), max(high, v), sum+v
	}
	if c.Means == 0 {
		return c
	}
	c.Min, c.Max, c.Value = low, high, sum/float64(c.Means)
	if math.IsInf(sum, 0) {
		c.Value = low/2 + high/2
		for i, n := 0, 0.0; i < len(b.Values); i++ {
			if v := b.Values[i]; finite(v) {
				n++
				c.Value = blend(c.Value, v, 1/n)
			}
		}
	}
	return c
}

// ColumnOf summarizes at least one point.
func ColumnOf(points []run.CurvePoint) Column {
	c := pointColumn(points[0])
	for _, p := range points[1:] {
		c.add(pointColumn(p))
	}
	return c
}

func pointColumn(p run.CurvePoint) Column {
	at := p.At.UnixMilli()
	c := Column{
		First: p.Step, Last: p.Step, FirstAt: at, LastAt: at, Points: 1, Workers: p.Workers,
		Min: p.Min, Max: p.Max, Value: p.Mean, Means: 1, Odd: oddOf(p.Min) | oddOf(p.Max) | oddOf(p.Mean),
	}
	if c.Odd != 0 {
		c.Min, c.Max = lower(math.NaN(), p.Min), higher(math.NaN(), p.Max)
		if !finite(p.Mean) {
			c.Means, c.Value = 0, math.NaN()
		}
	}
	return c
}

// add appends a column of later steps.
func (c *Column) add(o Column) {
	c.Last = o.Last
	c.FirstAt, c.LastAt = min(c.FirstAt, o.FirstAt), max(c.LastAt, o.LastAt)
	c.Points += o.Points
	c.Workers = max(c.Workers, o.Workers)
	c.Min, c.Max, c.Odd = lower(c.Min, o.Min), higher(c.Max, o.Max), c.Odd|o.Odd
	if o.Means == 0 {
		return
	}
	if c.Means == 0 {
		c.Value = o.Value
	} else {
		c.Value = blend(c.Value, o.Value, float64(o.Means)/float64(c.Means+o.Means))
	}
	c.Means += o.Means
}

// addFinite is add for nearly all points, and twice as fast; it reports whether the point is one of them.
func (c *Column) addFinite(p run.CurvePoint) bool {
	if c.Means == 0 || !finite(p.Min) || !finite(p.Max) || !finite(p.Mean) || !finite(c.Min) || !finite(c.Max) {
		return false
	}
	at := p.At.UnixMilli()
	c.Last, c.FirstAt, c.LastAt = p.Step, min(c.FirstAt, at), max(c.LastAt, at)
	c.Points, c.Workers = c.Points+1, max(c.Workers, p.Workers)
	c.Min, c.Max = min(c.Min, p.Min), max(c.Max, p.Max)
	c.Means++
	c.Value = blend(c.Value, p.Mean, 1/float64(c.Means))
	return true
}

func oddOf(v float64) Odd {
	switch {
	case finite(v):
		return 0
	case math.IsInf(v, 1):
		return HasInf
	case math.IsInf(v, -1):
		return HasNegativeInf
	}
	return HasNaN
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

// blend interpolates from a to b by r, without the overflow of a sum.
func blend(a, b, r float64) float64 { return a*(1-r) + b*r }

// finite is false for NaN and infinities, which are not 0 less themselves.
func finite(v float64) bool { return v-v == 0 }
