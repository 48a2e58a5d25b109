package series

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"
)

// A column codes integers: a predictor, the first integer, the slope of the line through both ends, and the residuals: how far
// each integer, less the line, is from its prediction. Residuals are in blocks of Golomb-Rice codes, the quotient in unary and k
// low bits; a constant stride has none. All arithmetic wraps, so any int64 can be coded.

const (
	blockLen  = 128 // residuals that share k and limit
	kBits     = 7
	limitBits = 4
	// escape is the limit whose ones are followed by all 64 bits, so that a spike costs 10 bytes. The ones of a lower limit need
	// no closing zero; limit 0 is plain bit packing.
	escape = 15
)

// weights predict from the previous four integers: the line itself, then polynomials of degree 0 to 3, which suit smooth functions
// such as a learning rate.
var weights = [...][4]int64{{}, {1, 0, 0, 0}, {2, -1, 0, 0}, {3, -3, 1, 0}, {4, -6, 4, -1}}

// shifts predict by a moving average that takes a 2^-shift of each residual, which suits noise. They are numbered after weights.
var shifts = [...]int{2, 4}

const (
	predictors = len(weights) + len(shifts)
	onLine     = 0 // the predictor without residuals
)

// predict computes the residuals of integers less their line.
func predict(predictor int, flat []int64, residuals []uint64) {
	if predictor >= len(weights) {
		shift, level := shifts[predictor-len(weights)], int64(0)
		for i, v := range flat {
			r := v - level>>shift
			level += r
			residuals[i] = zigzag(r)
		}
		return
	}
	w := &weights[predictor]
	var a, b, c, d int64
	for i, v := range flat {
		residuals[i] = zigzag(v - (w[0]*a + w[1]*b + w[2]*c + w[3]*d))
		a, b, c, d = v, a, b, c
	}
}

// zigzag maps integers near 0 to small ones.
func zigzag(v int64) uint64   { return uint64(v)<<1 ^ uint64(v>>63) }
func unzigzag(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }

// fit returns the k and limit of a block's shortest code. A k well below the mean length never is.
func fit(block []uint64) (k, limit int) {
	most, sum := uint64(0), 0
	for _, u := range block {
		most, sum = max(most, u), sum+bits.Len64(u)
	}
	least := math.MaxInt
	for try := max(0, sum/len(block)-2); try <= bits.Len64(most); try++ {
		ones := min(escape, most>>try)
		size := try * len(block)
		for _, u := range block {
			if q := u >> try; q < ones {
				size += int(q) + 1
			} else if size += int(ones); ones == escape {
				size += 64 - try
			}
		}
		if size < least {
			k, limit, least = try, int(ones), size
		}
	}
	return k, limit
}

// appendColumn appends the code of at least one integer.
func appendColumn(out []byte, numbers []int64) []byte {
	first, slope := numbers[0], int64(0)
	if n := len(numbers) - 1; n > 0 {
		slope = (numbers[n] - first) / int64(n)
	}
	flat, line := make([]int64, len(numbers)), first
	for i, v := range numbers {
		flat[i] = v - line
		line += slope
	}
	residuals := make([]uint64, len(flat))
	predictor := bestPredictor(flat, residuals)
	out = append(out, byte(predictor))
	out = binary.AppendVarint(out, first)
	out = binary.AppendVarint(out, slope)
	if predictor == onLine {
		return out
	}
	predict(predictor, flat, residuals)
	w := bitWriter{out: out}
	for block := range slices.Chunk(residuals, blockLen) {
		w.block(block)
	}
	return w.end()
}

// bestPredictor returns the predictor whose residuals have the fewest bits. It uses residuals as scratch space.
func bestPredictor(flat []int64, residuals []uint64) (predictor int) {
	least := -1
	for p := range predictors {
		predict(p, flat, residuals)
		size := 0
		for _, u := range residuals {
			size += bits.Len64(u)
		}
		switch {
		case p == onLine && size == 0:
			return onLine
		case p != onLine && (least < 0 || size < least):
			predictor, least = p, size
		}
	}
	return predictor
}

// bitWriter fills bytes from the lowest bit.
type bitWriter struct {
	out  []byte
	held uint64
	n    int // bits held, fewer than 64
}

// put writes the low n bits of v, at most 64.
func (w *bitWriter) put(v uint64, n int) {
	v &= 1<<n - 1
	w.held |= v << w.n
	if w.n+n >= 64 {
		w.out = binary.LittleEndian.AppendUint64(w.out, w.held)
		w.held = v >> (64 - w.n)
		w.n -= 64
	}
	w.n += n
}

func (w *bitWriter) block(block []uint64) {
	k, limit := fit(block)
	w.put(uint64(k), kBits)
	w.put(uint64(limit), limitBits)
	for _, u := range block {
		switch q := u >> k; {
		case q < uint64(limit):
			w.put(1<<q-1, int(q)+1)
			w.put(u, k)
		case limit == escape:
			w.put(1<<limit-1, limit)
			w.put(u, 64)
		default:
			w.put(1<<limit-1, limit)
			w.put(u, k)
		}
	}
}

func (w *bitWriter) end() []byte {
	for ; w.n > 0; w.n -= 8 {
		w.out = append(w.out, byte(w.held))
		w.held >>= 8
	}
	return w.out
}

// column decodes what [appendColumn] coded.
type column struct {
	data        []byte
	bit         int // position in data
	predictor   int
	line, slope int64
	level       int64    // of the moving average
	previous    [4]int64 // newest first
}

var errColumn = fmt.Errorf("%w: no column", ErrDamaged)

func (c *column) open(data []byte) error {
	if len(data) == 0 || int(data[0]) >= predictors {
		return errColumn
	}
	first, n := binary.Varint(data[1:])
	if n <= 0 {
		return errColumn
	}
	slope, m := binary.Varint(data[1+n:])
	if m <= 0 {
		return errColumn
	}
	*c = column{data: data[1+n+m:], predictor: int(data[0]), line: first, slope: slope}
	return nil
}

// peeked is how many bits peek returns at least.
const peeked = 57

// peek returns the next bits; zeros follow the end.
func (c *column) peek() uint64 {
	at := c.bit >> 3
	if at+8 <= len(c.data) {
		return binary.LittleEndian.Uint64(c.data[at:]) >> (c.bit & 7)
	}
	var last [8]byte
	if at < len(c.data) {
		copy(last[:], c.data[at:])
	}
	return binary.LittleEndian.Uint64(last[:]) >> (c.bit & 7)
}

func (c *column) take(n int) uint64 {
	if n > peeked {
		low := c.take(32)
		return low | c.take(n-32)<<32
	}
	v := c.peek() & (1<<n - 1)
	c.bit += n
	return v
}

// next decodes a block of at most blockLen integers. Only the last may be shorter.
func (c *column) next(block []int64) error {
	if c.predictor == onLine {
		for i := range block {
			block[i] = c.line
			c.line += c.slope
		}
		return nil
	}
	k, limit := int(c.take(kBits)), int(c.take(limitBits))
	if k > 64 {
		return errColumn
	}
	c.residuals(block, k, limit)
	if c.bit > 8*len(c.data) {
		return errColumn
	}
	if c.predictor >= len(weights) {
		shift, level, line := shifts[c.predictor-len(weights)], c.level, c.line
		for i, d := range block {
			block[i] = d + level>>shift + line
			level += d
			line += c.slope
		}
		c.level, c.line = level, line
		return nil
	}
	w, line := &weights[c.predictor], c.line
	p, q, r, s := c.previous[0], c.previous[1], c.previous[2], c.previous[3]
	for i, v := range block {
		v += w[0]*p + w[1]*q + w[2]*r + w[3]*s
		p, q, r, s = v, p, q, r
		block[i] = v + line
		line += c.slope
	}
	c.previous, c.line = [4]int64{p, q, r, s}, line
	return nil
}

// short is the longest k that one peek covers, unary part included.
const short = peeked - escape

func (c *column) residuals(block []int64, k, limit int) {
	switch {
	case limit == 0 && k == 0:
		clear(block)
	case limit < escape && k <= short:
		mask := uint64(1)<<k - 1
		for i := range block {
			v := c.peek()
			q := bits.TrailingZeros64(^v)
			n := q + 1
			if q >= limit {
				q, n = limit, limit
			}
			block[i] = unzigzag(v>>n&mask | uint64(q)<<k)
			c.bit += n + k
		}
	default:
		for i := range block {
			q := bits.TrailingZeros64(^c.peek())
			switch {
			case q < limit:
				c.bit += q + 1
				block[i] = unzigzag(c.take(k) | uint64(q)<<k)
			case limit == escape:
				c.bit += limit
				block[i] = unzigzag(c.take(64))
			default:
				c.bit += limit
				block[i] = unzigzag(c.take(k) | uint64(limit)<<k)
			}
		}
	}
}
