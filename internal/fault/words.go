package fault

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Words are looked for in a text all at once, without regard to case.
type Words struct {
	after [utf8.RuneSelf][]string // what follows a first letter
}

// NewWords returns words of ASCII in lower case.
func NewWords(words ...string) *Words {
	w := new(Words)
	for _, word := range words {
		first := rune(word[0])
		w.after[first] = append(w.after[first], word[1:])
		if upper := unicode.ToUpper(first); upper != first {
			w.after[upper] = append(w.after[upper], word[1:])
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
		if c := text[i]; c < utf8.RuneSelf {
			for _, rest := range w.after[c] {
				if startsWith(text[i+1:], rest) {
					return true
				}
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
