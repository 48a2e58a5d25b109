package series

import (
	"encoding/binary"
	"fmt"
	"math"
)

// ShapeColumn is a column of a small curve.
type ShapeColumn struct {
	X        float64 // from 0 to 1, the last
	Min, Max float64
}

// shapeFormat is the first byte of a shape, and shapeLevels how finely values are told apart: finer than a small curve is drawn.
const (
	shapeFormat = 1
	shapeLevels = 255
	shapeRange  = 2 * 8 // bytes
	shapeColumn = 4     // bytes
)

// EncodeShape keeps of a view what a small curve in a list shows, in 4 bytes a column: columns with a finite value, nil if there
// are none.
func EncodeShape(v View) []byte {
	low, high := math.NaN(), math.NaN()
	for _, c := range v.Columns {
		low, high = lower(lower(low, c.Min), c.Max), higher(higher(high, c.Max), c.Min)
	}
	if math.IsNaN(low) {
		return nil
	}
	out := binary.BigEndian.AppendUint64([]byte{shapeFormat}, math.Float64bits(low))
	out = binary.BigEndian.AppendUint64(out, math.Float64bits(high))
	first, last := float64(v.Columns[0].First), float64(v.Columns[len(v.Columns)-1].Last)
	for _, c := range v.Columns {
		least, most := lower(c.Min, c.Max), higher(c.Max, c.Min)
		if !finite(least) {
			continue
		}
		x := 0.0
		if last > first {
			x = (float64(c.First)/2 + float64(c.Last)/2 - first) / (last - first)
		}
		out = binary.BigEndian.AppendUint16(out, uint16(math.Round(min(max(x, 0), 1)*math.MaxUint16)))
		out = append(out, level(least, low, high), level(most, low, high))
	}
	return out
}

func level(v, low, high float64) byte {
	if !(high > low) {
		return 0
	}
	return byte(math.Round((v/2 - low/2) / (high/2 - low/2) * shapeLevels)) // halves, or the difference could be infinite
}

// DecodeShape returns the columns of [EncodeShape], none for nil; other data is [ErrDamaged].
func DecodeShape(data []byte) ([]ShapeColumn, error) {
	if len(data) == 0 {
		return nil, nil
	}
	if data[0] != shapeFormat || len(data) < 1+shapeRange || (len(data)-1-shapeRange)%shapeColumn != 0 {
		return nil, fmt.Errorf("%w: no shape", ErrDamaged)
	}
	low, high := math.Float64frombits(binary.BigEndian.Uint64(data[1:])), math.Float64frombits(binary.BigEndian.Uint64(data[9:]))
	if !finite(low) || !finite(high) || low > high {
		return nil, fmt.Errorf("%w: a shape from %g to %g", ErrDamaged, low, high)
	}
	var out []ShapeColumn
	for data = data[1+shapeRange:]; len(data) > 0; data = data[shapeColumn:] {
		out = append(out, ShapeColumn{
			X:   float64(binary.BigEndian.Uint16(data)) / math.MaxUint16,
			Min: blend(low, high, float64(data[2])/shapeLevels), Max: blend(low, high, float64(data[3])/shapeLevels),
		})
	}
	return out, nil
}
