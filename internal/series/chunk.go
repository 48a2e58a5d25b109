package series

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
)

// Point is a value of a series.
type Point struct {
	Step  int64
	Value float64
	At    int64 // received, Unix milliseconds
}

// MaxChunkPoints bounds what a damaged count costs a reader.
const MaxChunkPoints = 4096

// ErrDamaged means that a chunk is not what was stored.
var ErrDamaged = errors.New("damaged chunk of points")

// A chunk is a CRC-32C of the rest, a format byte, the number of points, and three columns: steps and times, each after its length,
// and values. Counts and lengths are varints. Old chunks have no format byte: two of Prometheus' XOR chunks, steps with values
// after their length, then times with zeros.
const sumBytes = crc32.Size

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// verified checks and strips the checksum.
func verified(data []byte) ([]byte, error) {
	if len(data) < sumBytes || checksum(data[sumBytes:]) != binary.BigEndian.Uint32(data) {
		return nil, fmt.Errorf("%w: wrong checksum", ErrDamaged)
	}
	return data[sumBytes:], nil
}

// format differs from an old chunk's first byte: no XOR chunk is so short.
const format = 1

// EncodeChunk compresses 1 to [MaxChunkPoints] points of ascending steps, without loss but for the payload of NaN.
func EncodeChunk(points []Point) ([]byte, error) {
	if len(points) == 0 || len(points) > MaxChunkPoints {
		return nil, fmt.Errorf("encode chunk: %d points, want 1 to %d", len(points), MaxChunkPoints)
	}
	steps, times, floats := make([]int64, len(points)), make([]int64, len(points)), make([]float64, len(points))
	for i, p := range points {
		if i > 0 && p.Step <= points[i-1].Step {
			return nil, fmt.Errorf("encode chunk: step %d comes after step %d", p.Step, points[i-1].Step)
		}
		steps[i], times[i], floats[i] = p.Step, p.At, p.Value
	}
	out := begin(len(points))
	out = appendPart(out, appendColumn(nil, steps))
	out = appendPart(out, appendColumn(nil, times))
	return seal(appendValues(out, floats)), nil
}

// begin starts a chunk; [seal] adds its checksum.
func begin(count int) []byte {
	return binary.AppendUvarint(append(make([]byte, sumBytes), format), uint64(count))
}

func seal(out []byte) []byte {
	binary.BigEndian.PutUint32(out, checksum(out[sumBytes:]))
	return out
}

// isOld reports whether a body has no format byte.
func isOld(body []byte) bool { return len(body) > 0 && body[0] != format }

// counted returns the number of points and what follows it.
func counted(body []byte) (count int, rest []byte, err error) {
	if len(body) == 0 {
		return 0, nil, errLength
	}
	n, size := binary.Uvarint(body[1:])
	if size <= 0 || n < 1 || n > MaxChunkPoints {
		return 0, nil, errLength
	}
	return int(n), body[1+size:], nil
}

// appendPart appends the length of a part and the part.
func appendPart(out, part []byte) []byte {
	return append(binary.AppendUvarint(out, uint64(len(part))), part...)
}

// openPart calls fn with the next part and returns what follows it.
func openPart(body []byte, fn func([]byte) error) (rest []byte, err error) {
	part, rest, err := cut(body)
	if err != nil {
		return nil, err
	}
	return rest, fn(part)
}

// ChunkReader reads a chunk's points in order. The zero value is ready for Open, which may be called repeatedly.
type ChunkReader struct {
	steps, times        column
	values              values
	old                 bool // the next two have the points
	oldValues, oldTimes xorColumn
	left                int // points after the block

	step, time, space [blockLen]int64 // the block
	value             [blockLen]float64
	at, size          int // the next point in it, and its end

	read  bool // a point of this chunk
	point Point
	err   error
}

// Open starts reading the first count points of a chunk; data must not change until done. Anything but the result of
// [EncodeChunk] for at least count points is [ErrDamaged].
func (r *ChunkReader) Open(data []byte, count int) error {
	r.left, r.at, r.size, r.read, r.err = 0, 0, 0, false, nil
	body, err := verified(data)
	if err != nil {
		return err
	}
	var has int
	if r.old = isOld(body); r.old {
		has, err = r.openOld(body)
	} else {
		has, err = r.open(body)
	}
	if err != nil {
		return err
	}
	if count < 1 || count > MaxChunkPoints || has < count {
		return fmt.Errorf("%w: %d of its %d points are wanted", ErrDamaged, count, has)
	}
	r.left = count
	return nil
}

func (r *ChunkReader) open(body []byte) (has int, err error) {
	has, body, err = counted(body)
	if err != nil {
		return 0, err
	}
	for _, c := range [...]*column{&r.steps, &r.times} {
		if body, err = openPart(body, c.open); err != nil {
			return 0, err
		}
	}
	return has, r.values.open(body)
}

func (r *ChunkReader) openOld(body []byte) (has int, err error) {
	v, t, err := cut(body)
	if err != nil {
		return 0, err
	}
	values, err := r.oldValues.open(v)
	if err != nil {
		return 0, err
	}
	times, err := r.oldTimes.open(t)
	return min(values, times), err
}

var errLength = fmt.Errorf("%w: wrong length", ErrDamaged)

// cut splits off the next part.
func cut(data []byte) (part, rest []byte, err error) {
	size, n := binary.Uvarint(data)
	if n <= 0 || size > uint64(len(data)-n) {
		return nil, nil, errLength
	}
	return data[n : n+int(size)], data[n+int(size):], nil
}

// fill decodes the next block.
func (r *ChunkReader) fill() error {
	n := min(r.left, blockLen)
	r.left, r.at, r.size = r.left-n, 0, n
	if r.old {
		for i := range n {
			var err error
			if r.step[i], r.value[i], err = r.oldValues.next(); err == nil {
				r.time[i], _, err = r.oldTimes.next()
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	if err := r.steps.next(r.step[:n]); err != nil {
		return err
	}
	if err := r.times.next(r.time[:n]); err != nil {
		return err
	}
	return r.values.next(r.value[:n], r.space[:])
}

// Next advances and reports whether there is a point; if not, see Err.
func (r *ChunkReader) Next() bool {
	if r.at == r.size {
		if r.left == 0 || r.err != nil {
			return false
		}
		if r.err = r.fill(); r.err != nil {
			r.size = r.at
			return false
		}
	}
	step := r.step[r.at]
	if r.read && step <= r.point.Step {
		r.err = fmt.Errorf("%w: step %d comes after step %d", ErrDamaged, step, r.point.Step)
		r.left, r.size = 0, r.at
		return false
	}
	r.point = Point{Step: step, Value: r.value[r.at], At: r.time[r.at]}
	r.read = true
	r.at++
	return true
}

// Block returns the points of the next block, up to 128, as columns that are valid until the next call; or false as Next does. Use
// either.
func (r *ChunkReader) Block() (b Block, ok bool) {
	if r.left == 0 || r.err != nil {
		return Block{}, false
	}
	before, first := r.point.Step, !r.read
	if r.err = r.fill(); r.err != nil {
		return Block{}, false
	}
	b = Block{r.step[:r.size], r.time[:r.size], r.value[:r.size]}
	for _, step := range b.Steps {
		if !first && step <= before {
			r.err = fmt.Errorf("%w: step %d comes after step %d", ErrDamaged, step, before)
			return Block{}, false
		}
		before, first = step, false
	}
	r.point.Step, r.read = before, true
	return b, true
}

// Block are points of one worker, by column.
type Block struct {
	Steps, Times []int64
	Values       []float64
}

// Point is the current point.
func (r *ChunkReader) Point() Point { return r.point }

// Err is nil or [ErrDamaged].
func (r *ChunkReader) Err() error { return r.err }

// DecodeChunk returns the first count points of a chunk; errors are [ErrDamaged].
func DecodeChunk(data []byte, count int) ([]Point, error) {
	var r ChunkReader
	if err := r.Open(data, count); err != nil {
		return nil, err
	}
	out := make([]Point, 0, count)
	for r.Next() {
		out = append(out, r.Point())
	}
	return out, r.Err()
}

// Stats summarizes a chunk for readers that need not decode it.
type Stats struct {
	Count, NaNs     int
	Min, Max, Sum   float64 // without NaN; NaN if there are no others
	First, Last     int64   // steps
	FirstAt, LastAt int64   // Unix milliseconds
}

// StatsOf summarizes at least one point.
func StatsOf(points []Point) Stats {
	first, last := points[0], points[len(points)-1]
	s := Stats{
		Count: len(points), First: first.Step, Last: last.Step, FirstAt: first.At, LastAt: first.At,
		Min: math.NaN(), Max: math.NaN(), Sum: math.NaN(),
	}
	for _, p := range points {
		s.FirstAt, s.LastAt = min(s.FirstAt, p.At), max(s.LastAt, p.At)
		switch {
		case math.IsNaN(p.Value):
			s.NaNs++
		case math.IsNaN(s.Min): // the first number
			s.Min, s.Max, s.Sum = p.Value, p.Value, p.Value
		default:
			s.Min, s.Max, s.Sum = min(s.Min, p.Value), max(s.Max, p.Value), s.Sum+p.Value
		}
	}
	return s
}
