package diagnose

import (
	"encoding/binary"
	"hash/maphash"
	"regexp"
	"slices"
)

const (
	// memoAfter is how many lines are looked at before notes are kept: most logs have fewer that tell anything.
	memoAfter = 256
	// memoSets and memoWays bound the kept notes.
	memoSets = 1 << 11
	memoWays = 4
)

// memo keeps the notes of lines that come again and again: in a log full of errors they are nearly all the work. Lines that differ by
// their digits alone share notes, as long as the rules look at none of those digits; else those that differ by the other digits do. Its
// memory is bounded, and newer notes take the place of older ones.
type memo struct {
	seed   maphash.Seed
	masked []byte
	fixed  []span // of the line, whose digits its notes depend on
	raw    []byte // what stands there
	sets   [][memoWays]slot
	turn   uint // the slot of a full set that is given up next
}

// slot is of lines that have been seen; those seen once have no notes yet.
type slot struct {
	key   uint64
	notes *notes
}

// span is a part of a line.
type span struct{ from, to int }

func newMemo(sets int) *memo {
	return &memo{seed: maphash.MakeSeed(), sets: make([][memoWays]slot, sets)}
}

// notesOf returns what a text says by itself, from memory where the like came before.
func (s *Scanner) notesOf(text []byte, whole bool) *notes {
	const depth = 8 // one is the rule
	if s.units++; s.units > memoAfter {
		if s.memo == nil {
			s.memo = newMemo(memoSets)
		}
		m := s.memo
		key := m.start(text, whole)
		for range depth {
			of := m.slot(key)
			if of == nil {
				break
			}
			if of.notes == nil {
				of.notes = s.shared(text, whole)
			}
			if len(of.notes.depends) == 0 {
				return of.notes
			}
			key = m.further(key, text, of.notes.depends)
		}
	}
	s.read(&s.notes, text, whole)
	return &s.notes
}

// shared are the notes of all lines that differ from one by digits outside of what is fixed alone, or else what must be fixed.
func (s *Scanner) shared(text []byte, whole bool) *notes {
	d := s.rules.digits()
	var depends []span
	add := func(of span) {
		if !slices.ContainsFunc(s.memo.fixed, func(o span) bool { return o.from <= of.from && o.to >= of.to }) {
			depends = append(depends, of)
		}
	}
	d.finder.each(s.memo.masked, func(id int32, at int) { add(span{at, at + len(d.finder.texts[id])}) })
	n := &notes{}
	s.read(n, text, whole)
	s.judge(n, text, func(e *regexp.Regexp, of []byte) bool {
		yes, from := d.matches(e, of)
		if from < len(of) {
			add(span{len(text) - len(of) + from, len(text)})
		}
		return yes
	})
	if len(depends) > 0 {
		return &notes{depends: depends}
	}
	return n
}

// start takes the next line and returns its key.
func (m *memo) start(text []byte, whole bool) uint64 {
	m.masked, m.fixed = mask(m.masked[:0], text), m.fixed[:0]
	key := maphash.Bytes(m.seed, m.masked)
	if whole {
		key ^= 1
	}
	return key
}

// further fixes more of the line and returns the next key.
func (m *memo) further(key uint64, text []byte, depends []span) uint64 {
	m.raw = binary.LittleEndian.AppendUint64(m.raw[:0], key)
	for _, of := range depends {
		m.fixed = append(m.fixed, of)
		m.raw = append(m.raw, text[of.from:of.to]...)
	}
	return maphash.Bytes(m.seed, m.raw)
}

// slot returns the slot of a key, nil the first time.
func (m *memo) slot(key uint64) *slot {
	set := &m.sets[key>>32%uint64(len(m.sets))]
	for i := range set {
		if set[i].key == key {
			return &set[i]
		}
	}
	m.turn++
	set[m.turn%memoWays] = slot{key: key}
	return nil
}

// mask appends text with all digits as 0.
func mask(dst, text []byte) []byte {
	const each = 0x0101010101010101
	for len(text) >= 8 {
		w := binary.LittleEndian.Uint64(text)
		low := w ^ '0'*each // 0 to 9 of digits
		digits := ^(low&(0x7f*each) + (0x80-10)*each | low) & (0x80 * each)
		dst = binary.LittleEndian.AppendUint64(dst, w&^(digits>>7*0x0f))
		text = text[8:]
	}
	for _, c := range text {
		if isDigit(c) {
			c = '0'
		}
		dst = append(dst, c)
	}
	return dst
}
