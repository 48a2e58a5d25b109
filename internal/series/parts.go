package series

import (
	"math"
	"math/bits"
	"slices"
	"sort"
	"time"

	"github.com/cotrain/cotrain/internal/run"
)

// Part is a stretch of a curve, such as a chunk, that need not be read where its column says enough.
type Part struct {
	Column
	Unknown bool // the column has only the bounds of its steps, and Points is the most that it may have
	Each    func(take func(run.CurvePoint) bool) error
	Blocks  func(take func(Block)) error // the same, faster, of one worker; or nil
}

// partPoints is how many points in memory make a part.
const partPoints = 512

// PartsOf are those of points in memory.
func PartsOf(points []run.CurvePoint) []Part {
	var out []Part
	for some := range slices.Chunk(points, partPoints) {
		out = append(out, inMemory(some))
	}
	return out
}

func inMemory(points []run.CurvePoint) Part {
	return Part{Column: ColumnOf(points), Each: func(take func(run.CurvePoint) bool) error {
		for _, p := range points {
			if !take(p) {
				break
			}
		}
		return nil
	}}
}

const (
	// fewPoints of a column are all read: then the columns are exactly as narrow as they can be.
	fewPoints = 25
	// maxSparse is how many parts are read because their points lie further apart than those of the others.
	maxSparse = 64
	// sparse is how much further.
	sparse = 8
)

// Summarize is [Columns] of the points from a step to another, both inclusive, reading only the parts that cross the bounds of a
// column. The parts ascend. Where points lie unevenly within a part, the columns may be wider than they need be. A width, a power
// of two, has the columns as wide as that, however many they are.
func Summarize(parts []Part, from, to int64, limit int, width int64, smoothing Smoothing) (View, error) {
	in := Clip(parts, from, to)
	var err error
	b := &Builder{}
	if width > 0 {
		b = NewBuilder(width)
	} else {
		if in, err = load(in, fewPoints*max(limit, 1)); err != nil {
			return View{}, err
		}
		b.shift = shiftOf(in, max(limit, 1))
	}
	for _, p := range in {
		if !p.Unknown && bucketOf(p.First, b.shift) == bucketOf(p.Last, b.shift) {
			b.column(p.Column)
			continue
		}
		if p.Blocks != nil {
			err = p.Blocks(b.block)
		} else {
			err = p.Each(func(p run.CurvePoint) bool {
				b.Add(p)
				return true
			})
		}
		if err != nil {
			return View{}, err
		}
	}
	v := b.View()
	if smoothing != (Smoothing{}) {
		err = smooth(parts, v.Columns, smoothing)
	}
	return v, err
}

// Clip returns the parts between two steps.
func Clip(parts []Part, from, to int64) []Part {
	var out []Part
	for _, p := range parts {
		if p.Last < from || p.First > to {
			continue
		}
		if p.First < from || p.Last > to {
			each := p.Each
			p.Blocks, p.Unknown, p.First, p.Last = nil, true, max(p.First, from), min(p.Last, to)
			p.Each = func(take func(run.CurvePoint) bool) error {
				return each(func(p run.CurvePoint) bool { return p.Step < from || p.Step <= to && take(p) })
			}
		}
		out = append(out, p)
	}
	return out
}

// load reads parts into memory: all if they are small, and those that say little of where their points are.
func load(parts []Part, few int) ([]Part, error) {
	total := 0
	strides := make([]float64, len(parts))
	for i, p := range parts {
		total += p.Points
		strides[i] = p.stride()
	}
	slices.Sort(strides)
	var out []Part
	loaded := 0
	for _, p := range parts {
		if total > few && (loaded == maxSparse || p.stride() <= sparse*strides[len(strides)/2]) {
			out = append(out, p)
			continue
		}
		loaded++
		var points []run.CurvePoint
		err := p.Each(func(p run.CurvePoint) bool {
			points = append(points, p)
			return true
		})
		if err != nil {
			return nil, err
		}
		for i := range points {
			out = append(out, inMemory(points[i:i+1]))
		}
	}
	return out, nil
}

// stride is about how many steps lie between two points.
func (p Part) stride() float64 {
	return (float64(p.Last) - float64(p.First)) / float64(max(p.Points-1, 1))
}

// shiftOf is [bucketShift] as far as the parts tell.
func shiftOf(parts []Part, limit int) uint {
	for shift := uint(0); shift < 64; shift++ {
		used, last := uint64(0), uint64(math.MaxUint64)
		for i, p := range parts {
			first := bucketOf(p.First, shift)
			if i > 0 && first == last {
				used--
			}
			last = bucketOf(p.Last, shift)
			span := last - first
			used += min(span, uint64(max(p.Points, 1))-1) + 1
			if used > uint64(limit) {
				break
			}
		}
		if used <= uint64(limit) {
			return shift
		}
	}
	return 64
}

// smooth sets the values of columns to those of the smoothed curve at their last points. It reads only the parts that matter to
// them.
func smooth(parts []Part, columns []Column, s Smoothing) error {
	for next := 0; next < len(columns); {
		first, last := reach(parts, columns[next].Last, s)
		end := next + 1
		for ; end < len(columns); end++ {
			f, l := reach(parts, columns[end].Last, s)
			if f > last+1 {
				break
			}
			last = max(last, l)
		}
		at := next
		m := s.Smoother(func(p run.CurvePoint) bool {
			if p.Step == columns[at].Last {
				columns[at].Value = p.Mean
				at++
			}
			return at < end
		})
		block := func(b Block) {
			for len(b.Steps) > 0 && at < end {
				n := sort.Search(len(b.Steps), func(i int) bool { return b.Steps[i] >= columns[at].Last })
				m.skip(b.Values[:n])
				if n < len(b.Steps) {
					m.Add(run.CurvePoint{Step: b.Steps[n], Mean: b.Values[n]})
					n++
				}
				b = b.tail(n)
			}
		}
		for i := first; i <= last && at < end; i++ {
			var err error
			if s.Kernel == EMA && parts[i].Blocks != nil {
				err = parts[i].Blocks(block)
			} else {
				err = parts[i].Each(m.Add)
			}
			if err != nil {
				return err
			}
		}
		m.End()
		next = end
	}
	return nil
}

// reach returns the first and last part that matter to the smoothed value at a step.
func reach(parts []Part, step int64, s Smoothing) (first, last int) {
	at := sort.Search(len(parts), func(i int) bool { return parts[i].Last >= step })
	before, after := s.reach()
	first, last = at, at
	if s.Kernel == TimedEMA {
		return reachInTime(parts, at, s), at
	}
	n := 0
	count := func(p Part) {
		switch {
		case p.Unknown:
		case s.Kernel == EMA:
			n += p.Means
		default:
			n += p.Points
		}
	}
	if at < len(parts) && parts[at].Last == step { // all of it comes before, but for the point itself
		if count(parts[at]); n > 0 {
			n--
		}
	}
	for first > 0 && n < before {
		first--
		count(parts[first])
	}
	for n := 0; last < len(parts)-1 && n < after; {
		if last++; !parts[last].Unknown {
			n += parts[last].Points
		}
	}
	return first, last
}

// halfLives is after how many of them no number of points matters.
const halfLives = 100

// reachInTime goes back from the last part that surely has a finite value until one that was received long before it.
func reachInTime(parts []Part, at int, s Smoothing) int {
	known := at - 1
	for ; known >= 0 && (parts[known].Unknown || parts[known].Means == 0); known-- {
	}
	if known < 0 {
		return 0
	}
	ago := parts[known].FirstAt - time.Duration(halfLives*s.Amount*float64(time.Second)).Milliseconds()
	for first := known; first > 0; first-- {
		if p := parts[first-1]; !p.Unknown && p.LastAt < ago {
			return first
		}
	}
	return 0
}

// bucketShift returns log2 of the bucket width. Steps share a bucket of width 2^k if they differ in no bit from k up, so
// one pass counts the buckets of every width.
func bucketShift(points []run.CurvePoint, buckets int) uint {
	var highest [65]int // neighbours whose highest differing bit is n-1
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

// bucketOf numbers buckets in step order, negative ones too.
func bucketOf(step int64, shift uint) uint64 {
	return (uint64(step) ^ 1<<63) >> shift //nolint:gosec // the sign bit is flipped on purpose
}
