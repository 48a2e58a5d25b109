package series

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
)

// Values are coded as integers: decimals as v x 10^e, all others as the bits of their float64 without the trailing zeros they
// share, of which a float32 leaves 29. Values that are no such decimals are exceptions, stored apart.

// powers are exact in float64, so dividing an integer by one rounds once, as parsing the decimal does.
var powers = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

const (
	maxInteger     = 1 << 53 // every integer up to here is a float64
	asBits         = 64      // the first byte is e, or this plus the number of trailing zeros
	exceptionBytes = 8
	// oneIn is how rare exceptions must be. One costs 9 bytes, a decimal more 3.3 bits of every value.
	oneIn = 32
)

// scaled returns v x 10^e if dividing it by 10^e gives v back, to the bit: never for -0, infinities and NaN.
func scaled(v float64, e int) (int64, bool) {
	k := math.RoundToEven(v * powers[e])
	if !(math.Abs(k) <= maxInteger) || math.Float64bits(float64(int64(k))/powers[e]) != math.Float64bits(v) {
		return 0, false
	}
	return int64(k), true
}

// decimalsOf returns the fewest decimals that all values but exceptions have, or -1.
func decimalsOf(floats []float64) int {
	var counts [len(powers)]int // of values by decimals
	spare := len(floats) / oneIn
	for _, f := range floats {
		e := 0
		for ; e < len(powers); e++ {
			if _, ok := scaled(f, e); ok {
				counts[e]++
				break
			}
		}
		if e == len(powers) {
			if spare--; spare < 0 {
				return -1
			}
		}
	}
	e := len(powers) - 1
	for ; e > 0 && counts[e] <= spare; e-- {
		spare -= counts[e]
	}
	return e
}

// appendValues appends the shorter of both codes. Every NaN becomes [math.NaN].
func appendValues(out []byte, floats []float64) []byte {
	out, start := appendBits(out, floats), len(out)
	if e := decimalsOf(floats); e >= 0 {
		if d := appendDecimals(nil, floats, e); len(d) < len(out)-start {
			return append(out[:start], d...)
		}
	}
	return out
}

func appendDecimals(out []byte, floats []float64, e int) []byte {
	numbers := make([]int64, len(floats))
	var exceptions []byte
	count, after := uint64(0), 0
	for i, f := range floats {
		k, ok := scaled(f, e)
		if !ok {
			if math.IsNaN(f) {
				f = math.NaN()
			}
			exceptions = binary.AppendUvarint(exceptions, uint64(i-after))
			exceptions = binary.LittleEndian.AppendUint64(exceptions, math.Float64bits(f))
			count, after = count+1, i+1
			k = numbers[max(0, i-1)] // anything predictable
		}
		numbers[i] = k
	}
	out = append(out, byte(e))
	out = append(binary.AppendUvarint(out, count), exceptions...)
	return appendColumn(out, numbers)
}

// quietNaN has trailing zeros, unlike [math.NaN].
const quietNaN = 0x7ff8 << 48

func appendBits(out []byte, floats []float64) []byte {
	numbers := make([]int64, len(floats))
	all := uint64(1 << 63)
	for i, f := range floats {
		b := math.Float64bits(f)
		if math.IsNaN(f) {
			b = quietNaN
		}
		numbers[i] = int64(b)
		all |= b
	}
	zeros := bits.TrailingZeros64(all)
	for i, n := range numbers {
		numbers[i] = ordered(n>>zeros, zeros)
	}
	return appendColumn(append(out, byte(asBits+zeros)), numbers)
}

// ordered maps a float64's bits, shifted right by zeros, to an integer of the same order as the float64, and back.
func ordered(n int64, zeros int) int64 { return n ^ n>>63&(math.MaxInt64>>zeros) }

// values decodes what [appendValues] coded.
type values struct {
	column     column
	scale      float64 // 10^e; 0 for bits
	zeros      int
	exceptions []byte
	until      uint64 // values before the next exception
	left       uint64 // exceptions
}

var errValues = fmt.Errorf("%w: no values", ErrDamaged)

func (v *values) open(data []byte) error {
	if len(data) == 0 {
		return errValues
	}
	*v = values{zeros: int(data[0]) - asBits}
	form, data := int(data[0]), data[1:]
	switch {
	case form >= asBits && form < asBits+64:
	case form < len(powers):
		v.scale = powers[form]
		count, n := binary.Uvarint(data)
		if n <= 0 || count > MaxChunkPoints {
			return errValues
		}
		v.left, v.exceptions = count, data[n:]
		data = data[n:]
		for range count {
			_, n := binary.Uvarint(data)
			if n <= 0 || len(data) < n+exceptionBytes {
				return errValues
			}
			data = data[n+exceptionBytes:]
		}
		v.seek()
	default:
		return errValues
	}
	return v.column.open(data)
}

// seek reads the position of the next exception.
func (v *values) seek() {
	if v.until = math.MaxUint64; v.left > 0 {
		var n int
		v.until, n = binary.Uvarint(v.exceptions)
		v.exceptions = v.exceptions[n:]
		v.left--
	}
}

// next decodes a block; numbers is scratch space.
func (v *values) next(out []float64, numbers []int64) error {
	numbers = numbers[:len(out)]
	if err := v.column.next(numbers); err != nil {
		return err
	}
	if v.scale == 0 {
		for i, n := range numbers {
			f := math.Float64frombits(uint64(ordered(n, v.zeros)) << v.zeros)
			if math.IsNaN(f) {
				f = math.NaN()
			}
			out[i] = f
		}
		return nil
	}
	for i, n := range numbers {
		out[i] = float64(n) / v.scale
	}
	at := uint64(0)
	for v.until < uint64(len(out))-at {
		at += v.until
		out[at] = math.Float64frombits(binary.LittleEndian.Uint64(v.exceptions))
		v.exceptions = v.exceptions[exceptionBytes:]
		at++
		v.seek()
	}
	if v.until != math.MaxUint64 {
		v.until -= uint64(len(out)) - at
	}
	return nil
}
