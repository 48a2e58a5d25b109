package logarchive

import (
	"bytes"
	"iter"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cotrain/cotrain/internal/run"
)

// MaxLines is the most lines of a chunk, so that a line's number fits beside the chunk's ID in a [run.LogPos].
const MaxLines = 1<<16 - 1

// Chunk is a piece of a worker's output. A run's chunks are ordered by ID, as they were received.
type Chunk struct {
	ID     int64
	Rank   int
	Stream string // stdout or stderr
	At     int64  // received, or printed if that was long before, in milliseconds since 1970
	Data   []byte // as printed: whole lines, but for the end of a stream and pieces of an overlong line
	Lost   bool   // Data are no lines of the worker, but say where some cannot be read; never in a block
}

// Pos is the position of line i of a chunk.
func Pos(chunkID int64, line int) run.LogPos { return run.LogPos(chunkID<<16 | int64(line)) }

// ChunkOf is the ID of the chunk that holds a position.
func ChunkOf(p run.LogPos) int64 { return int64(p) >> 16 }

// LineOf is the number of a position's line in its chunk.
func LineOf(p run.LogPos) int { return int(p & MaxLines) }

// Lines yields a chunk's lines with their numbers, without the ends of lines. A last piece without one is a line too.
func (c Chunk) Lines() iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		for i, from := 0, 0; from < len(c.Data); i++ {
			to := len(c.Data)
			if n := bytes.IndexByte(c.Data[from:], '\n'); n >= 0 {
				to = from + n
			}
			if !yield(i, c.Data[from:to]) {
				return
			}
			from = to + 1
		}
	}
}

// Line is line i, whose bytes are given, as it is shown.
func (c Chunk) Line(i int, line []byte) run.LogLine {
	text := strings.ToValidUTF8(string(bytes.TrimSuffix(line, []byte("\r"))), "\uFFFD")
	l := run.LogLine{Pos: Pos(c.ID, i), Rank: c.Rank, Stream: c.Stream, At: time.UnixMilli(c.At).UTC(), Text: text, Level: LevelOf(line), Cut: len(line) >= CutAt, Lost: c.Lost}
	if isBinary(line) {
		quoted := strconv.Quote(string(line[:min(len(line), escapedBytes)]))
		l.Binary, l.Escaped = len(line), quoted[1:len(quoted)-1]
	}
	return l
}

// escapedBytes is how much of a line that is no text is shown.
const escapedBytes = 1 << 10

// isBinary reports whether a line is no text: it has a zero, or more than one in eight of its first characters is neither valid UTF-8 nor
// what a terminal understands.
func isBinary(line []byte) bool {
	head := line[:min(len(line), escapedBytes)]
	characters, strange := 0, 0
	for len(head) > 0 {
		r, n := utf8.DecodeRune(head)
		if r == utf8.RuneError && n == 1 && !utf8.FullRune(head) && len(line) > escapedBytes {
			break // cut here
		}
		switch {
		case r == 0:
			return true
		case r == utf8.RuneError && n == 1, r < ' ' && r != '\t' && r != '\r' && r != '\b' && r != '\a' && r != '\f' && r != '\v' && r != esc, r == 0x7f:
			strange++
		}
		characters++
		head = head[n:]
	}
	return strange*8 > characters
}

// Raw is line i, whose bytes are given, as it was printed.
func (c Chunk) Raw(i int, line []byte) run.RawLine {
	if cap(line) > len(line) && line[:len(line)+1][len(line)] == '\n' { // line is a piece of the chunk's data
		line = line[:len(line)+1]
	}
	return run.RawLine{Pos: Pos(c.ID, i), Rank: c.Rank, Stream: c.Stream, At: time.UnixMilli(c.At).UTC(), Text: line, Lost: c.Lost}
}

// CutAt is the length in bytes from which on a line is stored in pieces.
const CutAt = 64 << 10
