package fault

import (
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Words are looked for in a text all at once, without regard to case.
type Words struct {
	after   [utf8.RuneSelf][]string // what follows a first letter
	seconds [utf8.RuneSelf]uint32   // and the last five bits of what follows it first, which upper and lower case share
}

// NewWords returns words of ASCII in lower case.
func NewWords(words ...string) *Words {
	w := new(Words)
	for _, word := range words {
		first := rune(word[0])
		for _, c := range slices.Compact([]rune{first, unicode.ToUpper(first)}) {
			w.after[c] = append(w.after[c], word[1:])
			if len(word) == 1 {
				w.seconds[c] = math.MaxUint32
				continue
			}
			w.seconds[c] |= 1 << (word[1] & 31)
		}
	}
	return w
}

// In reports whether a text contains any of them.
func (w *Words) In(text string) bool {
	if !isASCII(text) {
		text = strings.ToLower(text) // the Kelvin sign is a k
	}
	for i := range len(text) {
		c := text[i]
		if c >= utf8.RuneSelf || w.seconds[c] == 0 {
			continue
		}
		if rest := text[i+1:]; w.seconds[c] == math.MaxUint32 || rest != "" && w.seconds[c]>>(rest[0]&31)&1 == 1 {
			if slices.ContainsFunc(w.after[c], func(word string) bool { return startsWith(rest, word) }) {
				return true
			}
		}
	}
	return false
}

func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// startsWith is strings.HasPrefix for a prefix in lower case and a text in any.
func startsWith(text, prefix string) bool {
	if len(text) < len(prefix) {
		return false
	}
	for i := range len(prefix) {
		c := text[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != prefix[i] {
			return false
		}
	}
	return true
}
