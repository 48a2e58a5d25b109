package logparse

import (
	"bytes"
	"math"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds the nesting of a machine line; nested values are checked and skipped.
const maxDepth = 32

type valueKind uint8

const (
	otherValue  valueKind = iota // true, false, list
	objectValue                  // text is the object as it stands
	nullValue
	numberValue
	stringValue
)

type value struct {
	kind   valueKind
	number float64
	text   []byte
}

// scanner reads JSON as Python writes it: RFC 8259 with NaN, Infinity and -Infinity, which encoding/json refuses. It
// does not allocate.
type scanner struct {
	b   []byte
	i   int
	buf []byte // unescaped strings
}

// scanMachine reads an object that must fill b.
func (p *Parser) scanMachine(b []byte) (m machine, ok bool) {
	s := scanner{b: b, buf: p.text}
	ok = s.object(func(key []byte, v value) { p.member(&m, key, v) }, 0)
	p.text = s.buf
	return m, ok && s.next() == 0 && s.i == len(s.b)
}

// next skips white space and returns the byte there, 0 at the end.
func (s *scanner) next() byte {
	for ; s.i < len(s.b); s.i++ {
		switch s.b[s.i] {
		case ' ', '\t', '\n', '\r':
		default:
			return s.b[s.i]
		}
	}
	return 0
}

func (s *scanner) take(c byte) bool {
	if s.next() != c {
		return false
	}
	s.i++
	return true
}

// object calls each member in order.
func (s *scanner) object(each func(key []byte, v value), depth int) bool {
	if depth > maxDepth || !s.take('{') {
		return false
	}
	if s.take('}') {
		return true
	}
	for {
		if s.next() != '"' {
			return false
		}
		key, ok := s.str()
		if !ok || !s.take(':') {
			return false
		}
		v, ok := s.value(depth + 1)
		if !ok {
			return false
		}
		if each != nil {
			each(key, v)
		}
		if s.take('}') {
			return true
		}
		if !s.take(',') {
			return false
		}
	}
}

func (s *scanner) list(depth int) bool {
	if depth > maxDepth || !s.take('[') {
		return false
	}
	if s.take(']') {
		return true
	}
	for {
		if _, ok := s.value(depth + 1); !ok {
			return false
		}
		if s.take(']') {
			return true
		}
		if !s.take(',') {
			return false
		}
	}
}

func (s *scanner) value(depth int) (value, bool) {
	switch c := s.next(); {
	case c == '"':
		text, ok := s.str()
		return value{kind: stringValue, text: text}, ok
	case c == '{':
		start := s.i
		ok := s.object(nil, depth)
		return value{kind: objectValue, text: s.b[start:s.i]}, ok
	case c == '[':
		return value{}, s.list(depth)
	case c == '-' || isDigit(c):
		return s.num()
	}
	switch {
	case s.word("null"):
		return value{kind: nullValue}, true
	case s.word("true"), s.word("false"):
		return value{}, true
	case s.word("NaN"):
		return value{kind: numberValue, number: math.NaN()}, true
	case s.word("Infinity"):
		return value{kind: numberValue, number: math.Inf(1)}, true
	}
	return value{}, false
}

// word consumes a literal not followed by a letter.
func (s *scanner) word(w string) bool {
	rest := s.b[s.i:]
	if len(rest) < len(w) || string(rest[:len(w)]) != w || len(rest) > len(w) && isWord(rest[len(w)]) {
		return false
	}
	s.i += len(w)
	return true
}

func (s *scanner) num() (value, bool) {
	rest := s.b[s.i:]
	sign := 0
	if rest[0] == '-' {
		sign = 1
		s.i++
		if s.word("Infinity") {
			return value{kind: numberValue, number: math.Inf(-1)}, true
		}
		s.i--
	}
	if len(rest) > sign+1 && rest[sign] == '0' && isDigit(rest[sign+1]) {
		return value{}, false // no leading zeros in JSON
	}
	if v, n, ok := scanDecimal(rest); ok {
		s.i += n
		return value{kind: numberValue, number: v}, true
	}
	// A valid number that is too long or large is no measurement; else it is no JSON.
	end := sign
	for end < len(rest) && (isDigit(rest[end]) || bytes.IndexByte([]byte(".eE+-"), rest[end]) >= 0) {
		end++
	}
	s.i += end
	return value{}, wellFormedNumber(rest[sign:end])
}

// wellFormedNumber checks digits[.digits][e[+-]digits].
func wellFormedNumber(b []byte) bool {
	digits := func() bool {
		n := 0
		for n < len(b) && isDigit(b[n]) {
			n++
		}
		b = b[n:]
		return n > 0
	}
	if !digits() {
		return false
	}
	if len(b) > 0 && b[0] == '.' {
		if b = b[1:]; !digits() {
			return false
		}
	}
	if len(b) > 0 && (b[0] == 'e' || b[0] == 'E') {
		b = b[1:]
		if len(b) > 0 && (b[0] == '+' || b[0] == '-') {
			b = b[1:]
		}
		return digits() && len(b) == 0
	}
	return len(b) == 0
}

// str reads a string at its quote. Without escapes it aliases the line.
func (s *scanner) str() ([]byte, bool) {
	s.i++
	for i, c := range s.b[s.i:] {
		if c == '"' {
			text := s.b[s.i : s.i+i]
			s.i += i + 1
			return text, true
		}
		if c == '\\' || c < 0x20 {
			break
		}
	}
	from := len(s.buf)
	for s.i < len(s.b) {
		switch c := s.b[s.i]; {
		case c == '"':
			s.i++
			return s.buf[from:len(s.buf):len(s.buf)], true
		case c < 0x20:
			return nil, false
		case c == '\\':
			if !s.escape() {
				return nil, false
			}
		default:
			s.buf = append(s.buf, c)
			s.i++
		}
	}
	return nil, false
}

func (s *scanner) escape() bool {
	if s.i+1 >= len(s.b) {
		return false
	}
	c := s.b[s.i+1]
	s.i += 2
	switch c {
	case '"', '\\', '/':
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		return s.unicode()
	default:
		return false
	}
	s.buf = append(s.buf, c)
	return true
}

// unicode reads four digits after \u and a second surrogate; a lone one becomes U+FFFD.
func (s *scanner) unicode() bool {
	r, ok := s.hex4()
	if !ok {
		return false
	}
	if utf16.IsSurrogate(r) {
		pair := rune(utf8.RuneError)
		if s.i+1 < len(s.b) && s.b[s.i] == '\\' && s.b[s.i+1] == 'u' {
			at := s.i
			s.i += 2
			low, lowOK := s.hex4()
			if !lowOK {
				return false
			}
			if pair = utf16.DecodeRune(r, low); pair == utf8.RuneError {
				s.i = at // not a surrogate
			}
		}
		r = pair
	}
	s.buf = utf8.AppendRune(s.buf, r)
	return true
}

func (s *scanner) hex4() (rune, bool) {
	if s.i+4 > len(s.b) {
		return 0, false
	}
	var r rune
	for _, c := range s.b[s.i : s.i+4] {
		switch {
		case isDigit(c):
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	s.i += 4
	return r, true
}
