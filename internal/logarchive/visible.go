package logarchive

import "bytes"

const esc = 0x1b

// Visible is text without the escape sequences of terminals, which colour it: the same bytes if it has none, and never fewer lines.
func Visible(text []byte) []byte {
	at := bytes.IndexByte(text, esc)
	if at < 0 {
		return text
	}
	out := make([]byte, 0, len(text))
	for at >= 0 {
		out = append(out, text[:at]...)
		text = text[at+escapeLen(text[at:]):]
		at = bytes.IndexByte(text, esc)
	}
	return append(out, text...)
}

// escapeLen is the length of the sequence that b begins with, at most to the end of its line: CSI (colours), OSC (titles, links) or a
// short one.
func escapeLen(b []byte) int {
	if end := bytes.IndexByte(b, '\n'); end >= 0 {
		b = b[:end]
	}
	if len(b) < 2 {
		return len(b)
	}
	switch b[1] {
	case '[':
		if end := bytes.IndexFunc(b[2:], func(r rune) bool { return r >= 0x40 && r <= 0x7e }); end >= 0 {
			return 2 + end + 1
		}
		return len(b)
	case ']':
		bell, st := bytes.IndexByte(b, 0x07), bytes.Index(b, []byte{esc, '\\'})
		switch {
		case bell >= 0 && (st < 0 || bell < st):
			return bell + 1
		case st >= 0:
			return st + 2
		}
		return len(b)
	}
	i := 1
	for i < len(b)-1 && b[i] >= 0x20 && b[i] <= 0x2f { // such as the choice of a character set: ESC ( B
		i++
	}
	return i + 1
}
