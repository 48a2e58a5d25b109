package diagnose

import (
	"hash/maphash"
	"regexp"
)

const (
	// memoAfter is how many lines are looked at before answers are kept: most logs have fewer that tell anything.
	memoAfter = 4096
	// memoTimes is how often an expression gives the same answer to lines that differ by their numbers alone before it is not asked again.
	memoTimes = 8
	memoBits  = 16
)

// memo keeps the answers of expressions to lines that come again and again: in a log full of errors they are nearly all the work. Its
// memory is fixed, and a newer answer takes the place of an older one.
type memo struct {
	seed    maphash.Seed
	masked  []byte
	line    uint64 // of the present line, with its numbers masked
	answers []answer
}

// answer is what an expression said of a line.
type answer struct {
	key   uint64
	value uint8
	times uint8
}

// start takes the next line.
func (m *memo) start(text []byte) {
	if m.answers == nil {
		m.seed, m.answers = maphash.MakeSeed(), make([]answer, 1<<memoBits)
	}
	m.masked = mask(m.masked[:0], text)
	m.line = maphash.Bytes(m.seed, m.masked)
}

// mask appends text with each number as one digit.
func mask(dst, text []byte) []byte {
	number := false
	for _, c := range text {
		if isDigit(c) {
			if !number {
				dst = append(dst, '0')
			}
			number = true
			continue
		}
		number = false
		dst = append(dst, c)
	}
	return dst
}

// recall returns the answer numbered id to the present line, of ask where it has not been the same often enough.
func (m *memo) recall(id int, ask func() uint8) uint8 {
	key := (m.line ^ uint64(id)*0x9E3779B97F4A7C15) * 0xD6E8FEB86659FD93 // #nosec G115 -- an index
	a := &m.answers[key>>(64-memoBits)]
	if a.key == key && a.times >= memoTimes {
		return a.value
	}
	value := ask()
	if a.key != key || a.value != value {
		*a = answer{key: key, value: value}
	}
	a.times++
	return value
}

// matches is e.Match(text), from memory where the scanner has seen the like often. Expressions have numbers of their own.
func (s *Scanner) matches(id int, e *regexp.Regexp, text []byte) bool {
	if s.units <= memoAfter {
		return e.Match(text)
	}
	return s.memo.recall(id, func() uint8 {
		if e.Match(text) {
			return 1
		}
		return 0
	}) == 1
}

// levelOfText is [markedLevel] from memory.
func (s *Scanner) levelOfText(text []byte) level {
	if s.units <= memoAfter {
		return markedLevel(text)
	}
	return level(s.memo.recall(-1, func() uint8 { return uint8(markedLevel(text)) }))
}
