package logarchive

import (
	"encoding/binary"
	"slices"

	"github.com/cotrain/cotrain/internal/run"
)

// Count is how much one stream of a worker has in a block.
type Count struct {
	Rank   int
	Stream string
	Lines  [run.LogLevels]int // by level
	Bytes  int                // as printed
}

// About is what is known of a block without opening it.
type About struct {
	First, Last  int64 // IDs of its chunks
	Since, Until int64 // times of its chunks, in milliseconds since 1970
	Counts       []Count
}

// Describe looks at the chunks of a block, of which there must be some.
func Describe(chunks []Chunk) About {
	a := About{First: chunks[0].ID, Last: chunks[len(chunks)-1].ID, Since: chunks[0].At, Until: chunks[0].At}
	for _, c := range chunks {
		a.Since, a.Until = min(a.Since, c.At), max(a.Until, c.At)
		i := slices.IndexFunc(a.Counts, func(n Count) bool { return n.Rank == c.Rank && n.Stream == c.Stream })
		if i < 0 {
			i = len(a.Counts)
			a.Counts = append(a.Counts, Count{Rank: c.Rank, Stream: c.Stream})
		}
		n := &a.Counts[i]
		n.Bytes += len(c.Data)
		for _, line := range c.Lines() {
			n.Lines[LevelOf(line)]++
		}
	}
	return a
}

// Bytes is the size of the output in the block.
func (a About) Bytes() (n int) {
	for _, c := range a.Counts {
		n += c.Bytes
	}
	return n
}

// AppendCounts encodes counts.
func AppendCounts(b []byte, counts []Count) []byte {
	for _, c := range counts {
		b = binary.AppendVarint(b, int64(c.Rank))
		b = append(binary.AppendUvarint(b, uint64(len(c.Stream))), c.Stream...)
		for _, n := range c.Lines {
			b = binary.AppendUvarint(b, uint64(n)) // #nosec G115 -- not negative
		}
		b = binary.AppendUvarint(b, uint64(c.Bytes)) // #nosec G115 -- not negative
	}
	return b
}

// DecodeCounts reads counts; what is not is [ErrDamaged].
func DecodeCounts(b []byte) (out []Count, err error) {
	for r := (&reader{b: b}); len(r.b) > 0; {
		c := Count{Rank: int(r.varint())}
		c.Stream = string(r.take(r.uvarint()))
		for i := range c.Lines {
			c.Lines[i] = int(r.uvarint()) // #nosec G115 -- as written
		}
		c.Bytes = int(r.uvarint()) // #nosec G115 -- as written
		if r.bad {
			return nil, ErrDamaged
		}
		out = append(out, c)
	}
	return out, nil
}
