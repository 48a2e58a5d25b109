package fault

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxQuoted is how many bytes of outside text a message quotes.
const MaxQuoted = 200

// Quote clips outside text to [MaxQuoted] bytes for a message.
func Quote(s string) string { return Clip(s, MaxQuoted) }

// Clip cuts s to at most n bytes of valid UTF-8, marked by an ellipsis.
func Clip(s string, n int) string {
	const more = "…"
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= n {
		return s
	}
	return Cut(s, n-len(more)) + more
}

// Cut returns at most the first n bytes of s, never a partial character.
func Cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// Unseen reports characters that change a line without being seen in it: control characters, line and paragraph
// separators, and the controls that override the direction of text. Marks that scripts and emoji need are not.
func Unseen(r rune) bool {
	return unicode.IsControl(r) || r == 0x2028 || r == 0x2029 || (r >= 0x202A && r <= 0x202E) || (r >= 0x2066 && r <= 0x2069)
}

// Cell is a text as a cell of CSV: what a spreadsheet would take for a formula begins with an apostrophe.
func Cell(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r\n|%", rune(text[0])) {
		return "'" + text
	}
	return text
}
