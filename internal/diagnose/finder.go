package diagnose

import "encoding/binary"

// minText is the length of the shortest text that rules may search for: longer ones let the search skip further.
const minText = 6

// finder searches for many texts at once, whatever the case of ASCII letters (Wu and Manber, 1994): it looks at the last three bytes
// of a window of minText bytes, which mostly stand in no text, and skips as far as they say.
type finder struct {
	texts [][]byte // folded
	// skip has for each hash of three bytes how far the window may move, 0 where a text may be.
	skip [1 << hashBits]uint8
	// heads has the first text whose window ends with that hash, nexts the one after each, -1 none.
	heads [1 << hashBits]int32
	nexts []int32
}

const hashBits = 15

// fold makes the cases of an ASCII letter equal, and some other bytes, too.
const fold = 0x20

func newFinder(texts []string) *finder {
	f := &finder{nexts: make([]int32, len(texts))}
	for i := range f.skip {
		f.skip[i], f.heads[i] = minText-2, -1
	}
	for id, text := range texts {
		folded := make([]byte, len(text))
		for i := range len(text) {
			folded[i] = text[i] | fold
		}
		f.texts = append(f.texts, folded)
		for end := 3; end <= minText; end++ {
			h := hash(uint32(folded[end-3]) | uint32(folded[end-2])<<8 | uint32(folded[end-1])<<16)
			f.skip[h] = min(f.skip[h], uint8(minText-end))
			if end == minText {
				f.nexts[id], f.heads[h] = f.heads[h], int32(id)
			}
		}
	}
	return f
}

func hash(v uint32) uint32 { return (v | fold*0x10101) * 0x9E3779B1 >> (32 - hashBits) }

// next returns where the first text at or after from starts, len(b) if none does.
func (f *finder) next(b []byte, from int) int {
	for end := from + minText - 1; end < len(b); {
		h := hash(binary.LittleEndian.Uint32(b[end-3:]) >> 8)
		if n := f.skip[h]; n > 0 {
			end += int(n)
			continue
		}
		start := end - minText + 1
		for id := f.heads[h]; id >= 0; id = f.nexts[id] {
			if f.stands(id, b[start:]) {
				return start
			}
		}
		end++
	}
	return len(b)
}

// each calls found with every text that starts in b, once for each place.
func (f *finder) each(b []byte, found func(id int32)) {
	for at := f.next(b, 0); at < len(b); at = f.next(b, at+1) {
		h := hash(binary.LittleEndian.Uint32(b[at+minText-4:]) >> 8)
		for id := f.heads[h]; id >= 0; id = f.nexts[id] {
			if f.stands(id, b[at:]) {
				found(id)
			}
		}
	}
}

func (f *finder) stands(id int32, b []byte) bool {
	text := f.texts[id]
	if len(b) < len(text) {
		return false
	}
	for i, c := range text {
		if b[i]|fold != c {
			return false
		}
	}
	return true
}
