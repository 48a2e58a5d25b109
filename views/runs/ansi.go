package runs

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxLogText is how many bytes of one log line a page shows; the download has all of it.
const MaxLogText = 4096

// PlainLog is what a terminal would show of a log line, without colours: what a carriage return overwrote is gone,
// escape sequences and other control characters too, and it is cut to [MaxLogText].
func PlainLog(s string) string {
	s = strings.TrimRight(s, "\r")
	if i := strings.LastIndexByte(s, '\r'); i >= 0 {
		s = s[i+1:]
	}
	var b strings.Builder
	for len(s) > 0 && b.Len() < MaxLogText {
		if s[0] == 0x1b {
			s = s[escapeLen(s):]
			continue
		}
		r, n := utf8.DecodeRuneInString(s)
		if r == '\t' || !unicode.IsControl(r) {
			b.WriteRune(r)
		}
		s = s[n:]
	}
	if len(s) > 0 {
		b.WriteString(" … (cut)")
	}
	return b.String()
}

// escapeLen is the length of the escape sequence that s begins with: CSI, OSC, or a short one.
func escapeLen(s string) int {
	if len(s) < 2 {
		return len(s)
	}
	switch s[1] {
	case '[':
		for i := 2; i < len(s); i++ {
			if s[i] >= 0x40 && s[i] <= 0x7e {
				return i + 1
			}
		}
		return len(s)
	case ']':
		for i := 2; i < len(s); i++ {
			if s[i] == 0x07 {
				return i + 1
			}
			if s[i] == 0x1b && i+1 < len(s) && s[i+1] == '\\' {
				return i + 2
			}
		}
		return len(s)
	}
	i := 1
	for i < len(s) && s[i] >= 0x20 && s[i] <= 0x2f { // such as the choice of a character set: ESC ( B
		i++
	}
	_, n := utf8.DecodeRuneInString(s[i:])
	return i + n
}

// coloured is the text for the script that colours it: the same line with escape characters made visible, so that
// it survives in an attribute; "" when there is nothing to colour.
func coloured(s string) string {
	if !strings.Contains(s, "\x1b[") || len(s) > MaxLogText {
		return ""
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x1b", "␛")
}
