package logparse

import "bytes"

// dict reads the Python dictionaries that Hugging Face's Trainer and those built on it print:
//
//	{'loss': 1.2607, 'grad_norm': nan, 'learning_rate': 6.3e-06, 'epoch': 0.03}
//
// They tell no step; progress bars between them do. Numbers may be strings. A bar may share the line, and its start may be cut.
func (p *Parser) dict(msg []byte) Result {
	open := bytes.Index(msg, []byte("{'"))
	if open < 0 {
		return p.cutDict(msg)
	}
	if open > 0 && !endsWithBar(msg[:open]) && !isEpochLabel(msg[:open]) {
		return Result{}
	}
	label := msg[:open]
	for {
		d := pyDict{p: p, b: msg, i: open + 1}
		if !d.members() {
			return Result{}
		}
		rest := bytes.TrimLeft(msg[d.i:], " ")
		if hasAnyPrefix(rest, "{'") { // two processes share a pipe
			open = len(msg) - len(rest)
			p.metrics = p.metrics[:0]
			continue
		}
		if len(rest) > 0 && !startsWithBar(rest) {
			return Result{}
		}
		if isEpochLabel(label) && !d.r.inEpoch {
			s := items{b: label}
			if it, ok := s.next(); ok {
				p.item(&d.r, it)
			}
		}
		return p.dictRecord(&d)
	}
}

// cutDict reads the end of a dictionary whose start is lost; of its first member too little may be left.
func (p *Parser) cutDict(msg []byte) Result {
	first := bytes.Index(msg, []byte(", '"))
	if first < 0 || msg[len(msg)-1] != '}' || bytes.IndexByte(msg[:first], ' ') != bytes.Index(msg[:first], []byte("': "))+2 {
		return Result{}
	}
	d := pyDict{p: p, b: msg, i: first + 2}
	if !d.members() || d.i != len(msg) {
		return Result{}
	}
	return p.dictRecord(&d)
}

func (p *Parser) dictRecord(d *pyDict) Result {
	if p.index("train_runtime") >= 0 {
		d.r.like = 0 // its train_loss is the mean of the run
	}
	p.settle(&d.r)
	if d.r.partStep || d.r.measured == 0 && (!d.r.inEpoch || d.texts > 0) {
		return Result{}
	}
	return p.record(d.r, 0)
}

// pyDict reads the members of a dictionary as Python prints it.
type pyDict struct {
	p     *Parser
	b     []byte
	i     int // after "{"
	r     reading
	texts int // members that are no numbers
}

// members reads up to and with the closing brace.
func (d *pyDict) members() bool {
	d.p.aliases = d.p.aliases[:0]
	for {
		key, ok := d.quoted()
		if !ok || !hasAnyPrefix(d.b[d.i:], ": ") {
			return false
		}
		d.i += 2
		if !d.value(key) {
			return false
		}
		switch {
		case hasAnyPrefix(d.b[d.i:], ", "):
			d.i += 2
		case hasAnyPrefix(d.b[d.i:], "}"):
			d.i++
			return true
		default:
			return false
		}
	}
}

// quoted reads 'text' or "text" without escapes.
func (d *pyDict) quoted() ([]byte, bool) {
	if d.i >= len(d.b) || d.b[d.i] != '\'' && d.b[d.i] != '"' {
		return nil, false
	}
	n := bytes.IndexByte(d.b[d.i+1:], d.b[d.i])
	if n < 0 {
		return nil, false
	}
	text := d.b[d.i+1 : d.i+1+n]
	d.i += n + 2
	return text, bytes.IndexByte(text, '\\') < 0
}

func (d *pyDict) value(key []byte) bool {
	s := items{b: d.b, i: d.i}
	switch s.at(s.i) {
	case '\'', '"':
		text, ok := d.quoted()
		if !ok {
			return false
		}
		if v, good := parseDecimal(text); good {
			d.p.member1(&d.r, key, v)
		} else if v, good := parseNonFinite(text); good {
			d.p.member1(&d.r, key, v)
		} else {
			d.texts++
		}
		return true
	case '[', '{', '(':
		d.texts++
		return d.nested()
	}
	var it item
	if s.wrapped(&it) {
		d.i = s.i
		d.p.member1(&d.r, key, it.value)
		return true
	}
	end := d.i
	for end < len(d.b) && d.b[end] != ',' && d.b[end] != '}' {
		end++
	}
	text := d.b[d.i:end]
	d.i = end
	if v, ok := parseDecimal(text); ok {
		d.p.member1(&d.r, key, v)
	} else if v, ok := parseNonFinite(text); ok {
		d.p.member1(&d.r, key, v)
	} else {
		d.texts++
		return isPyWord(text)
	}
	return true
}

func isPyWord(b []byte) bool {
	return string(b) == "None" || string(b) == "True" || string(b) == "False"
}

// nested skips a list, tuple or dictionary.
func (d *pyDict) nested() bool {
	for depth := 0; d.i < len(d.b); {
		switch d.b[d.i] {
		case '[', '{', '(':
			depth++
		case ']', '}', ')':
			depth--
		case '\'', '"':
			if _, ok := d.quoted(); !ok {
				return false
			}
			continue
		}
		d.i++
		if depth == 0 {
			return true
		}
	}
	return false
}

// isEpochLabel knows the "epoch 3:" of accelerate's examples.
func isEpochLabel(b []byte) bool {
	rest, ok := bytes.CutPrefix(b, []byte("epoch "))
	return ok && len(rest) < 12 && bytes.HasSuffix(rest, []byte(": "))
}
