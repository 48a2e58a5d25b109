package series

import (
	"fmt"
	"slices"
)

// EncodeColumns compresses 1 to [MaxChunkPoints] columns of ascending steps, without loss.
func EncodeColumns(columns []Column) ([]byte, error) {
	if len(columns) == 0 || len(columns) > MaxChunkPoints {
		return nil, fmt.Errorf("encode columns: %d, want 1 to %d", len(columns), MaxChunkPoints)
	}
	var integers [columnIntegers][]int64
	var floats [columnFloats][]float64
	for i, c := range columns {
		if i > 0 && c.First <= columns[i-1].Last || c.Last < c.First {
			return nil, fmt.Errorf("encode columns: steps %d to %d after step %d", c.First, c.Last, columns[max(i, 1)-1].Last)
		}
		for k, v := range [columnIntegers]int64{c.First, c.Last - c.First, c.FirstAt, c.LastAt - c.FirstAt, int64(c.Points), int64(c.Means), int64(c.Workers), int64(c.Odd)} {
			integers[k] = append(integers[k], v)
		}
		for k, v := range [columnFloats]float64{c.Min, c.Max, c.Value} {
			floats[k] = append(floats[k], v)
		}
	}
	out := begin(len(columns))
	for _, numbers := range integers {
		out = appendPart(out, appendColumn(nil, numbers))
	}
	for _, f := range floats {
		out = appendPart(out, appendValues(nil, f))
	}
	return seal(out), nil
}

const (
	columnIntegers = 8
	columnFloats   = 3
)

// AppendColumns appends those of [EncodeColumns]; other data is [ErrDamaged].
func AppendColumns(out []Column, data []byte) ([]Column, error) {
	before := len(out)
	body, err := verified(data)
	if err != nil {
		return out, err
	}
	if isOld(body) {
		return out, errLength
	}
	count, body, err := counted(body)
	if err != nil {
		return out, err
	}
	var integers [columnIntegers]column
	var floats [columnFloats]values
	for i := range integers {
		if body, err = openPart(body, integers[i].open); err != nil {
			return out, err
		}
	}
	for i := range floats {
		if body, err = openPart(body, floats[i].open); err != nil {
			return out, err
		}
	}
	out = slices.Grow(out, count)
	var n [columnIntegers][blockLen]int64
	var f [columnFloats][blockLen]float64
	var space [blockLen]int64
	for ; count > 0; count -= min(count, blockLen) {
		size := min(count, blockLen)
		for i := range integers {
			if err := integers[i].next(n[i][:size]); err != nil {
				return out[:before], err
			}
		}
		for i := range floats {
			if err := floats[i].next(f[i][:size], space[:]); err != nil {
				return out[:before], err
			}
		}
		for i := range size {
			c := Column{
				First: n[0][i], Last: n[0][i] + n[1][i], FirstAt: n[2][i], LastAt: n[2][i] + n[3][i], Points: int(n[4][i]), Means: int(n[5][i]), Workers: int(n[6][i]), Odd: Odd(n[7][i]), //nolint:gosec // a damaged one is odd, no more
				Min: f[0][i], Max: f[1][i], Value: f[2][i],
			}
			if c.Points < 1 || c.Means < 0 || c.Means > c.Points || c.Last < c.First || len(out) > before && c.First <= out[len(out)-1].Last {
				return out[:before], fmt.Errorf("%w: a column of %d points from step %d to %d", ErrDamaged, c.Points, c.First, c.Last)
			}
			out = append(out, c)
		}
	}
	return out, nil
}
