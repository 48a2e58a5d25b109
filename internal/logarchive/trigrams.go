package logarchive

import (
	"encoding/binary"
	"math/bits"
	"sync"
)

// Trigrams is a Bloom filter of the three-byte pieces of a block's visible text, in lower case: what it does not hold is not in the block.
// A nil one holds everything. With bitsPerTrigram and trigramHashes it holds one in sixteen pieces that are not there; a pattern has many.
type Trigrams []byte

const (
	bitsPerTrigram = 6
	trigramHashes  = 3
	// maxTrigrams bounds a filter: more is noise, such as binary output, in which a search skips nothing.
	maxTrigrams = 1 << 19
)

var seenPool = sync.Pool{New: func() any { return new([1 << 24 / 64]uint64) }}

// MakeTrigrams reads the text of a block.
func MakeTrigrams(chunks []Chunk) Trigrams {
	seen := seenPool.Get().(*[1 << 24 / 64]uint64)
	defer seenPool.Put(seen)
	clear(seen[:])
	var buf []byte
	for _, c := range chunks {
		buf = appendLower(buf[:0], Visible(c.Data))
		var t uint32
		for i, b := range buf {
			t = (t<<8 | uint32(b)) & 0xffffff
			if i >= 2 {
				seen[t>>6] |= 1 << (t & 63)
			}
		}
	}
	n := 0
	for _, word := range seen {
		n += bits.OnesCount64(word)
	}
	out := make(Trigrams, 8*((min(n, maxTrigrams)*bitsPerTrigram+63)/64))
	if len(out) == 0 {
		out = make(Trigrams, 8)
	}
	for i, word := range seen {
		for ; word != 0; word &= word - 1 {
			out.each(uint32(i)<<6|uint32(bits.TrailingZeros64(word)), func(at uint32) bool { // #nosec G115 -- below 2^24
				out[at/8] |= 1 << (at % 8)
				return true
			})
		}
	}
	return out
}

// each calls fn for the bits of a trigram until it returns false, and reports whether it never did.
func (t Trigrams) each(trigram uint32, fn func(at uint32) bool) bool {
	h := uint64(trigram)*0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019 // the golden ratio, and a constant of the splitmix generator
	h ^= h >> 29
	for i := range uint64(trigramHashes) {
		x := uint32((h + i*(h>>32|1)) & 0xffffffff)            // #nosec G115 -- masked
		if !fn(uint32(uint64(x) * uint64(len(t)) * 8 >> 32)) { // #nosec G115 -- below the number of bits
			return false
		}
	}
	return true
}

// May reports whether the block may hold a text, which must be in lower case as [lower] makes it.
func (t Trigrams) May(text string) bool {
	if len(t) == 0 {
		return true
	}
	for i := 0; i+3 <= len(text); i++ {
		trigram := binary.BigEndian.Uint32([]byte{0, text[i], text[i+1], text[i+2]})
		if !t.each(trigram, func(at uint32) bool { return t[at/8]&(1<<(at%8)) != 0 }) {
			return false
		}
	}
	return true
}

// lowerTable maps the capital letters of ASCII.
var lowerTable = func() (t [256]byte) {
	for i := range t {
		t[i] = byte(i)
		if i >= 'A' && i <= 'Z' {
			t[i] |= 0x20
		}
	}
	return t
}()

// appendLower appends b with ASCII's capital letters made small.
func appendLower(dst, b []byte) []byte {
	from := len(dst)
	dst = append(dst, b...)
	for i, c := range dst[from:] {
		dst[from+i] = lowerTable[c]
	}
	return dst
}
