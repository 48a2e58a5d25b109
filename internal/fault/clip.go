package fault

import (
	"strings"
	"unicode/utf8"
)

// MaxQuoted is how many bytes of a text from outside a message repeats.
const MaxQuoted = 200

// Quote is a text from outside as a message repeats it: valid UTF-8 of at most [MaxQuoted] bytes.
func Quote(s string) string { return Clip(s, MaxQuoted) }

// Clip cuts a text to n bytes of valid UTF-8 at most, and shows that it did.
func Clip(s string, n int) string {
	const more = "…"
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= n {
		return s
	}
	return Cut(s, n-len(more)) + more
}

// Cut returns the first n bytes of a text at most, without a part of a character at its end.
func Cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
