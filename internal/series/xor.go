package series

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
)

// xorColumn decodes Prometheus' XOR chunks (tsdb/docs/format/chunks.md), in which points used to be stored: pairs of a timestamp,
// delta-of-delta, and a value, XOR with the previous one.
type xorColumn struct {
	data           []byte
	bit            int // position in data
	read           int // pairs
	time, delta    int64
	value          uint64
	leading, width int // of the last XOR that gave them
}

// xorHead is the length of the count of pairs.
const xorHead = 2

var errXOR = fmt.Errorf("%w: no XOR chunk", ErrDamaged)

// open returns how many pairs there are.
func (c *xorColumn) open(data []byte) (count int, err error) {
	if len(data) < xorHead {
		return 0, errXOR
	}
	*c = xorColumn{data: data[xorHead:]}
	return int(binary.BigEndian.Uint16(data)), nil
}

// peek returns the next bits, at least [peeked], from the highest down; zeros follow the end.
func (c *xorColumn) peek() uint64 {
	at := c.bit >> 3
	if at+8 <= len(c.data) {
		return binary.BigEndian.Uint64(c.data[at:]) << (c.bit & 7)
	}
	var last [8]byte
	if at < len(c.data) {
		copy(last[:], c.data[at:])
	}
	return binary.BigEndian.Uint64(last[:]) << (c.bit & 7)
}

// take returns the next n bits, at most 64.
func (c *xorColumn) take(n int) uint64 {
	if n > peeked {
		high := c.take(n - 32)
		return high<<32 | c.take(32)
	}
	v := c.peek() >> (64 - n)
	c.bit += n
	return v
}

// next decodes a pair.
func (c *xorColumn) next() (int64, float64, error) {
	switch c.read {
	case 0:
		t, n := binary.Varint(c.data)
		if n <= 0 {
			return 0, 0, errXOR
		}
		c.time, c.bit = t, 8*n
		c.value = c.take(64)
	case 1:
		d, n := binary.Uvarint(c.data[min(c.bit>>3, len(c.data)):])
		if n <= 0 {
			return 0, 0, errXOR
		}
		c.delta = int64(d)
		c.bit += 8 * n
		c.time += c.delta
		c.nextValue()
	default:
		c.delta += c.change()
		c.time += c.delta
		c.nextValue()
	}
	c.read++
	if c.bit > 8*len(c.data) || c.width > 64 {
		return 0, 0, errXOR
	}
	return c.time, math.Float64frombits(c.value), nil
}

// changeBits are the bits of a delta-of-delta, by the number of ones before it.
var changeBits = [...]int{0, 14, 17, 20, 64}

// change decodes a delta-of-delta.
func (c *xorColumn) change() int64 {
	most := len(changeBits) - 1
	ones := min(bits.LeadingZeros64(^c.peek()), most)
	c.bit += min(ones+1, most)
	n := changeBits[ones]
	v := int64(c.take(n))
	if n < 64 && v > 1<<n>>1 {
		v -= 1 << n
	}
	return v
}

func (c *xorColumn) nextValue() {
	switch head := c.peek(); {
	case head>>63 == 0:
		c.bit++
		return
	case head>>62 == 2: // leading and width as before
		c.bit += 2
	default:
		c.leading, c.width = int(head>>57&31), int(head>>51&63)
		if c.width == 0 {
			c.width = 64
		}
		c.bit += 2 + 5 + 6
	}
	if c.width == 0 || c.leading+c.width > 64 {
		c.width = 65 // damaged
		return
	}
	c.value ^= c.take(c.width) << (64 - c.leading - c.width)
}
