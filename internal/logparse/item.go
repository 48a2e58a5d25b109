package logparse

import "bytes"

// item is a name with its value in the text of a record: "loss: 3.2", "loss=3.2", "loss 3.2", "39.4% MFU".
type item struct {
	key, unit []byte
	value     float64
	of        float64 // the total of "3/10", 0 for none
	has       bool    // value is a number
	list      bool    // the first of several numbers in brackets
	bracket   bool    // a number in brackets without a name: "[3/10]"
	number    bool    // printed before its name
	assigned  bool    // ":" or "=" stands between name and value
	rounded   bool    // a multiple, "22.8K"
	glued     bool    // another name begins inside of the value: two records on one line
}

// items reads the text of a record from left to right.
type items struct {
	b []byte
	i int
}

// maxUnit bounds what may stand after a number as its name.
const maxUnit = 40

// maxKeyWords bounds names that have spaces.
const maxKeyWords = 6

// next returns the next name, with or without a value.
func (s *items) next() (item, bool) {
	for s.i < len(s.b) {
		c := s.b[s.i]
		switch {
		case isWord(c) && !isDigit(c), c == '%':
			return s.named(), true
		case c == '[':
			if it, ok := s.position(); ok {
				return it, true
			}
			s.i++
		case isDigit(c), (c == '-' || c == '+' || c == '.') && s.i+1 < len(s.b) && isDigit(s.b[s.i+1]):
			if it, ok := s.unnamed(); ok {
				return it, true
			}
		default:
			s.i++
		}
	}
	return item{}, false
}

func (s *items) at(i int) byte {
	if i < len(s.b) {
		return s.b[i]
	}
	return 0
}

func (s *items) spaces(i int) int {
	for i < len(s.b) && s.b[i] == ' ' {
		i++
	}
	return i
}

// named reads a name of up to maxKeyWords words, and its value.
func (s *items) named() item {
	start := s.i
	for range maxKeyWords {
		s.keyWord()
		end := s.i
		next := s.spaces(end)
		switch c := s.at(next); {
		case (c == ':' || c == '=') && s.at(next+1) != c && s.at(next+1) != '/':
			it := item{key: s.b[start:end], assigned: true}
			s.i = s.spaces(next + 1)
			s.valueOf(&it)
			return it
		case c == '[' || (next > end || c == '#') && (isDigit(c) || c == '#' || s.signed(next)):
			it := item{key: s.b[start:end]}
			s.i = next
			if c == '#' {
				s.i++
			}
			s.valueOf(&it)
			return it
		case next > end && s.nonFiniteWord(next):
			it := item{key: s.b[start:end]}
			s.i = next
			s.valueOf(&it)
			return it
		case next == end+1 && (isWord(c) || c == '%'):
			s.i = next
		default:
			return item{key: s.b[start:end]}
		}
	}
	return item{key: s.b[start:s.i]}
}

// nonFiniteWord reports whether nan or inf at i is a value, unlike in "number of nan iterations".
func (s *items) nonFiniteWord(i int) bool {
	n := s.nonFinite(i)
	after := s.at(i + n + 1)
	return n > 0 && (s.at(i+n) != ' ' || !isWord(after) || isDigit(after))
}

// signed reports whether "-3", "+3" or ".3" starts at i.
func (s *items) signed(i int) bool {
	c := s.at(i)
	return (c == '-' || c == '+' || c == '.') && isDigit(s.at(i+1))
}

// keyWord skips a word of a name, with its unit in parentheses: "time (ms)", "Epoch(train)".
func (s *items) keyWord() {
	for s.i < len(s.b) && isKeyByte(s.b[s.i]) {
		s.i++
	}
	open := s.i
	if s.at(open) == ' ' {
		open++
	}
	if s.at(open) != '(' {
		return
	}
	n := bytes.IndexByte(s.b[open:min(len(s.b), open+24)], ')')
	if n < 2 {
		return
	}
	for _, c := range s.b[open+1 : open+n] {
		if !isWord(c) && c != '/' && c != '%' && c != ' ' || isDigit(c) {
			return
		}
	}
	after := open + n + 1
	if c := s.at(s.spaces(after)); c == ':' || c == '=' || c == '[' || isDigit(c) {
		s.i = after
	}
}

func isKeyByte(c byte) bool {
	return isWord(c) || c == '/' || c == '.' || c == '-' || c == '@' || c == '%' || c == '^'
}

// position reads "[3]" or "[3/10]".
func (s *items) position() (item, bool) {
	end := bytes.IndexByte(s.b[s.i:min(len(s.b), s.i+40)], ']')
	if end < 0 {
		return item{}, false
	}
	in := items{b: s.b[:s.i+end], i: s.spaces(s.i + 1)}
	it := item{bracket: true}
	if !isDigit(in.at(in.i)) || !in.scalar(&it) {
		return item{}, false
	}
	in.annotation()
	if in.spaces(in.i) != len(in.b) {
		return item{}, false
	}
	s.i += end + 1
	return it, true
}

// unnamed reads a number before its name or unit: "39.4% bf16 MFU |", "[ 3/10]".
func (s *items) unnamed() (item, bool) {
	it := item{number: true}
	if !s.scalar(&it) {
		s.token()
		return item{}, false
	}
	start := s.spaces(s.i)
	end := start
	for end < min(len(s.b), start+maxUnit) && (end > start || isWord(s.b[end]) && !isDigit(s.b[end])) && (isKeyByte(s.b[end]) || s.b[end] == ' ' && s.at(end+1) != ' ' && s.at(end+1) != '-') {
		end++
	}
	if c := s.at(end); end > start && (c == '|' || c == ',' || c == ')' || c == 0 || c == ';') {
		it.key = bytes.TrimSpace(s.b[start:end])
		s.i = end
	} else if len(it.unit) > 0 {
		it.key, it.unit = it.unit, nil
	}
	return it, true
}

// token skips what is no number, such as a time.
func (s *items) token() {
	start := s.i
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', ',', '|', ';', '\t', ')', ']':
			if s.i > start {
				return
			}
		}
		s.i++
	}
}

// valueOf reads the value of a name, where it is one or several numbers.
func (s *items) valueOf(it *item) {
	switch c := s.at(s.i); {
	case c == '[':
		s.listOf(it)
	case isDigit(c), c == '-', c == '+', c == '.', s.nonFinite(s.i) > 0:
		if start := s.i; s.scalar(it) {
			it.has = true
			s.annotation()
		} else if s.i = start; !s.afterDash() {
			s.token()
			it.glued = it.assigned && gluedName(s.b[start:s.i])
		}
	default:
		if s.wrapped(it) {
			return
		}
	}
}

// gluedName reports whether a name follows the digits of "2.0step:".
func gluedName(b []byte) bool {
	name, _ := bytes.CutSuffix(b, []byte(":"))
	word := bytes.TrimLeft(name, "0123456789.")
	return len(name) < len(b) && len(word) > 1 && len(word) < len(name) && bytes.IndexByte(word, ':') < 0
}

// afterDash reports whether a dash only separates.
func (s *items) afterDash() bool { return s.at(s.i) == '-' && s.at(s.i+1) == ' ' }

// wrapped reads what Python prints for numbers of libraries: "np.float64(3.2)", "tensor(3.2, device='cuda:0')".
func (s *items) wrapped(it *item) bool {
	rest := s.b[s.i:]
	if !hasAnyPrefix(rest, "tensor(", "np.float", "np.int", "array(") {
		return false
	}
	open := bytes.IndexByte(rest[:min(len(rest), 16)], '(')
	if open < 0 {
		return false
	}
	in := items{b: s.b, i: s.i + open + 1}
	it.has = in.scalar(it)
	if end := bytes.IndexByte(s.b[in.i:min(len(s.b), in.i+80)], ')'); end >= 0 {
		s.i = in.i + end + 1
	}
	return it.has
}

// listOf reads "[0.1, 0.2]", where the first number counts, "[[0.9, 0.99]]", and "[0.1 0.2]/0.3", where the last does.
func (s *items) listOf(it *item) {
	in := items{b: s.b, i: s.i}
	for in.at(in.i) == '[' || in.at(in.i) == ' ' {
		in.i++
	}
	if isDigit(in.at(in.i)) || in.signed(in.i) {
		it.has = in.scalar(it)
	}
	depth := 0
	end := min(len(s.b), s.i+4096)
	for ; s.i < end; s.i++ {
		switch s.b[s.i] {
		case '[':
			depth++
		case ']':
			depth--
		case ',', ' ':
			it.list = it.list || s.i >= in.i && it.has
		}
		if depth == 0 {
			s.i++
			break
		}
	}
	if s.at(s.i) == '/' {
		after := items{b: s.b, i: s.i + 1}
		total := item{key: it.key}
		if after.scalar(&total) {
			total.has, total.assigned = true, it.assigned
			*it, s.i = total, after.i
		}
	}
}

// scalar reads a number with its unit and total. What only starts like one, such as a time, a date or a range, is none.
func (s *items) scalar(it *item) bool {
	v, n := s.number(s.i)
	if n == 0 {
		return false
	}
	at := s.i + n
	it.rounded = false
	if e := multiple(s.at(at)); e != "" && s.ends(at+1) {
		if exact, ok := parseDecimal([]byte(string(s.b[s.i:at]) + e)); ok {
			v, it.rounded = exact, true
			at++
		}
	}
	of := 0.0
	if slash := s.spaces(at); s.at(slash) == '/' {
		if next := s.spaces(slash + 1); isDigit(s.at(next)) {
			m, k := s.number(next)
			if k == 0 {
				return false
			}
			of, at = m, next+k
		}
	}
	unit, end, ok := s.unitAt(at)
	if !ok {
		return false
	}
	it.value, it.of, it.unit, it.has, s.i = v, of, unit, true, end
	return true
}

// ends reports whether a value ends before i.
func (s *items) ends(i int) bool {
	switch s.at(i) {
	case 0, ' ', ',', ';', '|', ')', ']', '\t':
		return true
	}
	return false
}

// number reads the number at i and returns its length, 0 for none: decimal, with thousands separators, nan or inf.
func (s *items) number(i int) (float64, int) {
	b := s.b[i:]
	if n := s.nonFinite(i); n > 0 {
		v, _ := parseNonFinite(b[:n])
		return v, n
	}
	end := 0
	for end < len(b) && end <= maxNumber && (isDigit(b[end]) || b[end] == ',' && end+1 < len(b) && isDigit(b[end+1])) {
		end++
	}
	if bytes.IndexByte(b[:end], ',') > 0 {
		if end < len(b) && b[end] == '.' {
			for end++; end < len(b) && isDigit(b[end]); end++ {
			}
		}
		if v, ok := parseGrouped(b[:end]); ok {
			return v, end
		}
	}
	if v, n, ok := scanDecimal(b); ok {
		return v, n
	}
	// "6." may be cut at the end of a line, or numpy's way of writing 6.
	start := 0
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		start = 1
	}
	_, n := scanDigits(0, b, start)
	if n > start && n+1 < len(b) && b[n] == '.' {
		v, ok := parseDecimal(b[:n])
		if ok {
			return v, n + 1
		}
	}
	return 0, 0
}

// nonFinite returns the length of nan or inf at i, which must be a word.
func (s *items) nonFinite(i int) int {
	start := i
	if c := s.at(i); c == '-' || c == '+' {
		i++
	}
	if c := s.at(i) | 0x20; c != 'n' && c != 'i' {
		return 0
	}
	end := i
	for end < len(s.b) && isKey(s.b[end]) {
		end++
	}
	word := bytes.TrimRight(s.b[i:end], ".")
	if equalFold(word, "nan") || equalFold(word, "inf") || equalFold(word, "infinity") {
		return i + len(word) - start
	}
	return 0
}

// unitAt reads what follows a number: "%", "ms", "GiB(37%)", "tokens/s". ok is false where the number is part of something
// else.
func (s *items) unitAt(i int) (unit []byte, end int, ok bool) {
	start := i
	for i < len(s.b) && (isWord(s.b[i]) && (i == start || !isDigit(s.b[i])) || s.b[i] == '%' || s.b[i] == '/') {
		i++
	}
	unit = s.b[start:i]
	if len(unit) > 0 && (isDigit(unit[0]) || len(unit) > 16) {
		return nil, 0, false
	}
	if len(unit) > 0 && !isUnit(unit) {
		return nil, 0, false
	}
	switch c := s.at(i); {
	case c == ':' && i+1 < len(s.b) && isDigit(s.at(i+1)), c == '-' && s.at(i+1) != ' ' && i+1 < len(s.b), c == '_', c == '@', c == '=', c == '\'', c == '"':
		return nil, 0, false
	case c == '.' && i+1 < len(s.b) && s.b[i+1] != ' ':
		return nil, 0, false
	}
	if len(unit) == 0 && s.at(i) == ' ' { // "3324 tokens/s"
		word := i + 1
		for word < len(s.b) && (isWord(s.b[word]) && !isDigit(s.b[word]) || s.b[word] == '/' || s.b[word] == '%') {
			word++
		}
		if c := s.at(s.spaces(word)); word > i+1 && isUnit(s.b[i+1:word]) && (c == 0 || c == '.' || c == '|' || c == ',' || c == ';' || c == '(' || c == ')' || s.at(word) == '\t' || s.at(word) == ' ' && s.at(word+1) == ' ') {
			return s.b[i+1 : word], word, true
		}
	}
	return unit, i, true
}

// isUnit knows the units that trainers print.
func isUnit(b []byte) bool {
	if bytes.IndexByte(b, '/') > 0 {
		return true
	}
	switch string(b) {
	case "%", "s", "ms", "us", "ns", "sec", "secs", "seconds", "m", "min", "h", "x", "z", "MB", "GB", "KB", "TB", "MiB", "GiB", "KiB", "TiB",
		"TFLOPS", "TFLOPs", "GFLOPS", "tokens", "samples", "it", "its":
		return true
	}
	return false
}

// annotation skips what stands in parentheses after a value: "(1.13)", "(+nanz)", "(37.5%)"; pairs are read.
func (s *items) annotation() {
	at := s.spaces(s.i)
	if s.at(at) != '(' || at > s.i+1 {
		return
	}
	n := bytes.IndexByte(s.b[at:min(len(s.b), at+48)], ')')
	if n > 0 && bytes.IndexByte(s.b[at:at+n], ':') < 0 && bytes.IndexByte(s.b[at:at+n], '=') < 0 && bytes.IndexByte(s.b[at:at+n], '|') < 0 {
		s.i = at + n + 1
	}
}
