package logparse

import (
	"bytes"
	"encoding/binary"
)

const esc = 0x1b

// window returns the part of a line to look at, and whether it is whole. Progress bars make lines of many short
// segments, and a log truncated while open starts with NULs: of both, only the last segment counts. Long lines without
// them are cut.
func window(line []byte) (part []byte, whole bool) {
	if len(line) <= MaxLine {
		return line, true
	}
	tail := trimEnd(line[len(line)-MaxLine:])
	if i := lastBreak(tail); i >= 0 {
		return tail[i+1:], true
	}
	head := line[:MaxLine]
	if lastBreak(head) >= 0 {
		return nil, false // the last segment starts out of sight
	}
	return head, false
}

// clean strips escape sequences, all but the last segment, and surrounding space.
func (p *Parser) clean(line []byte) []byte {
	if hasLow(line) { // few lines
		if i := bytes.IndexByte(line, esc); i >= 0 {
			p.stripped = stripEscapes(p.stripped[:0], line, i)
			line = p.stripped
		}
		line = trimEnd(line)
		if i := lastBreak(line); i >= 0 {
			line = line[i+1:]
		}
	}
	for len(line) > 0 && (line[0] == ' ' || line[0] == '\t') {
		line = line[1:]
	}
	for len(line) > 0 && (line[len(line)-1] == ' ' || line[len(line)-1] == '\t') {
		line = line[:len(line)-1]
	}
	return line
}

// trimEnd strips line ends and NULs.
func trimEnd(b []byte) []byte {
	for len(b) > 0 {
		switch b[len(b)-1] {
		case '\r', '\n', 0:
			b = b[:len(b)-1]
		default:
			return b
		}
	}
	return b
}

// hasLow reports whether b has a control character below 0x20, eight bytes at a time.
func hasLow(b []byte) bool {
	const each, high = 0x0101010101010101, 0x8080808080808080
	for ; len(b) >= 8; b = b[8:] {
		if x := binary.LittleEndian.Uint64(b); (x-0x20*each)&^x&high != 0 {
			return true
		}
	}
	for _, c := range b {
		if c < 0x20 {
			return true
		}
	}
	return false
}

// lastBreak is the index of the last carriage return or NUL, or -1. Data is missing at a NUL: joining its sides could
// make up a number.
func lastBreak(b []byte) int {
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] == '\r' || b[i] == 0 {
			return i
		}
	}
	return -1
}

// stripEscapes appends src without terminal escape sequences (ECMA-48: CSI, OSC and other strings, two-byte escapes);
// first is the first ESC. An unfinished sequence swallows the rest of the line.
func stripEscapes(dst, src []byte, first int) []byte {
	dst = append(dst, src[:first]...)
	for i := first; i < len(src); {
		if src[i] == esc {
			i = skipEscape(src, i+1)
			continue
		}
		n := bytes.IndexByte(src[i:], esc)
		if n < 0 {
			n = len(src) - i
		}
		dst = append(dst, src[i:i+n]...)
		i += n
	}
	return dst
}

// skipEscape returns the index after the sequence whose ESC is just before i.
func skipEscape(b []byte, i int) int {
	if i >= len(b) {
		return i
	}
	switch b[i] {
	case '[': // CSI: parameters, intermediates, one final byte
		for i++; i < len(b); i++ {
			if b[i] >= 0x40 && b[i] <= 0x7e {
				return i + 1
			}
			if b[i] < 0x20 || b[i] > 0x7e {
				return i // not a sequence; keep the byte, it may be a carriage return
			}
		}
		return i
	case ']', 'P', 'X', '^', '_': // OSC and other strings: to BEL or ST
		for i++; i < len(b); i++ {
			if b[i] == 0x07 {
				return i + 1
			}
			if b[i] == esc {
				if i+1 < len(b) && b[i+1] == '\\' {
					return i + 2
				}
				return i
			}
		}
		return i
	default:
		for i < len(b) && b[i] >= 0x20 && b[i] <= 0x2f {
			i++
		}
		return min(i+1, len(b))
	}
}
