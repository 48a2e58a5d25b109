package series

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"

	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// Point is a value of a series.
type Point struct {
	Step  int64
	Value float64
	At    int64 // received, Unix milliseconds
}

// MaxChunkPoints bounds what a damaged count costs a reader; Prometheus' encoding allows 65 535.
const MaxChunkPoints = 4096

// ErrDamaged means that a chunk is not what was stored.
var ErrDamaged = errors.New("damaged chunk of points")

// A chunk is a CRC-32C of the rest, the length of the values as varint, the values and the times: two of Prometheus' XOR
// chunks. The values' timestamps are steps; the times have the value 0, which costs one bit.
const sumBytes = crc32.Size

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// verified checks and strips the checksum.
func verified(data []byte) ([]byte, error) {
	if len(data) < sumBytes || checksum(data[sumBytes:]) != binary.BigEndian.Uint32(data) {
		return nil, fmt.Errorf("%w: wrong checksum", ErrDamaged)
	}
	return data[sumBytes:], nil
}

// EncodeChunk compresses 1 to [MaxChunkPoints] points of ascending steps, without loss.
func EncodeChunk(points []Point) ([]byte, error) {
	if len(points) == 0 || len(points) > MaxChunkPoints {
		return nil, fmt.Errorf("encode chunk: %d points, want 1 to %d", len(points), MaxChunkPoints)
	}
	values, times := chunkenc.NewXORChunk(), chunkenc.NewXORChunk()
	value, err := values.Appender()
	if err != nil {
		return nil, fmt.Errorf("encode chunk: %w", err)
	}
	at, err := times.Appender()
	if err != nil {
		return nil, fmt.Errorf("encode chunk: %w", err)
	}
	for i, p := range points {
		if i > 0 && p.Step <= points[i-1].Step {
			return nil, fmt.Errorf("encode chunk: step %d comes after step %d", p.Step, points[i-1].Step)
		}
		value.Append(p.Step, p.Value)
		at.Append(p.At, 0)
	}
	v, t := values.Bytes(), times.Bytes()
	out := make([]byte, sumBytes, sumBytes+binary.MaxVarintLen32+len(v)+len(t))
	out = binary.AppendUvarint(out, uint64(len(v)))
	out = append(append(out, v...), t...)
	binary.BigEndian.PutUint32(out, checksum(out[sumBytes:]))
	return out, nil
}

// ChunkReader reads a chunk's points in order. The zero value is ready for Open, which may be called repeatedly.
type ChunkReader struct {
	values, times   chunkenc.XORChunk
	valueAt, timeAt chunkenc.Iterator
	left            int
	read            bool // a point of this chunk
	point           Point
	err             error
}

// Open starts reading the first count points of a chunk; data must not change until done. Anything but the result of
// [EncodeChunk] for at least count points is [ErrDamaged].
func (r *ChunkReader) Open(data []byte, count int) error {
	body, err := verified(data)
	if err != nil {
		return err
	}
	return r.open(body, count)
}

// headBytes is the length of an XOR chunk's point count.
const headBytes = 2

func (r *ChunkReader) open(body []byte, count int) error {
	size, n := binary.Uvarint(body)
	if n <= 0 || size > uint64(len(body)-n) {
		return fmt.Errorf("%w: wrong length of values", ErrDamaged)
	}
	values, times := body[n:n+int(size)], body[n+int(size):]
	for _, b := range [...][]byte{values, times} {
		if len(b) < headBytes {
			return fmt.Errorf("%w: too short", ErrDamaged)
		}
		if has := int(binary.BigEndian.Uint16(b)); count < 1 || count > MaxChunkPoints || has < count {
			return fmt.Errorf("%w: %d of its %d points are wanted", ErrDamaged, count, has)
		}
	}
	r.values.Reset(values)
	r.times.Reset(times)
	r.valueAt, r.timeAt = r.values.Iterator(r.valueAt), r.times.Iterator(r.timeAt)
	r.left, r.read, r.err = count, false, nil
	return nil
}

// Next advances and reports whether there is a point; if not, see Err.
func (r *ChunkReader) Next() bool {
	if r.left == 0 || r.err != nil {
		return false
	}
	if r.valueAt.Next() != chunkenc.ValFloat || r.timeAt.Next() != chunkenc.ValFloat {
		r.err = fmt.Errorf("%w: %d points are missing", ErrDamaged, r.left)
		return false
	}
	step, value := r.valueAt.At()
	if r.read && step <= r.point.Step {
		r.err = fmt.Errorf("%w: step %d comes after step %d", ErrDamaged, step, r.point.Step)
		return false
	}
	r.point = Point{Step: step, Value: value, At: r.timeAt.AtT()}
	r.read = true
	r.left--
	return true
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
