package logparse

import (
	"bytes"

	"github.com/cotrain/cotrain/internal/run"
)

var pairSep = []byte(", ")

// looksLikePairs is a cheap pre-check: does msg start with "key: "?
func looksLikePairs(msg []byte) bool {
	for i, c := range msg {
		if !isKey(c) {
			return i > 0 && i < MaxName && c == ':' && i+1 < len(msg) && msg[i+1] == ' '
		}
	}
	return false
}

// plainKey is a key of a plain sample with its colon and space, and the metric that it names, "" for the step.
type plainKey struct {
	text []byte
	name string
}

// plainSample reads the samples that nearly all are, plain decimal numbers only, in one pass. ok is false for every other line, which
// sample reads. The keys of one sample are expected in the next.
func (p *Parser) plainSample(msg []byte) (res Result, ok bool) {
	s, strict, expected := run.Sample{}, true, true
	p.printed = p.printed[:0]
	for i, n := 0, 0; ; i, n = i+len(pairSep), n+1 {
		if expected = expected && n < len(p.keys) && bytes.HasPrefix(msg[i:], p.keys[n].text); !expected && !p.plainKey(msg[i:], n) {
			return Result{}, false
		}
		key := &p.keys[n]
		i += len(key.text)
		if key.name == "" {
			step, size, valid := scanStep(msg[i:])
			if !valid {
				return Result{}, false
			}
			s.Step, s.HasStep, i = step, true, i+size
		} else {
			v, size, valid := scanDecimal(msg[i:])
			if !valid {
				return Result{}, false
			}
			p.add(key.name, v)
			strict = strict && (msg[i] >= '1' && msg[i] <= '9' || msg[i] == '0' && (size == 1 || msg[i+1] == '.'))
			p.printed = append(p.printed, msg[i:i+size])
			i += size
		}
		if i == len(msg) {
			break
		}
		if i+2 >= len(msg) || msg[i] != ',' || msg[i+1] != ' ' {
			return Result{}, false
		}
	}
	if !s.HasStep || len(p.metrics) == 0 {
		return Result{}, false
	}
	s.Metrics = p.metrics
	p.State.Format = CotrainCore
	res = Result{Kind: KindSample, Sample: s, Format: CotrainCore}
	if strict {
		res.Printed = p.printed
	}
	return res, true
}

// plainKey reads the key with which msg starts into p.keys[n], behind those of the same line; not one that needs a closer look.
func (p *Parser) plainKey(msg []byte, n int) bool {
	size := 0
	for size < len(msg) && isKey(msg[size]) {
		size++
	}
	key := msg[:size]
	if size == 0 || size > MaxName || isDigit(key[0]) || size+2 >= len(msg) || msg[size] != ':' || msg[size+1] != ' ' {
		return false
	}
	name := ""
	if string(key) != "step" {
		if len(p.metrics) >= MaxMetrics || size >= 4 && key[size-1] == 'p' && equalFold(key[size-4:], "step") {
			return false
		}
		name = p.names.metric(key)
	}
	for _, before := range p.keys[:n] {
		if before.name == name {
			return false // the step twice, or a metric
		}
	}
	if p.keys = p.keys[:n]; n < cap(p.keys) {
		p.keys = p.keys[:n+1] // with its text's memory
	} else {
		p.keys = append(p.keys, plainKey{})
	}
	p.keys[n] = plainKey{append(p.keys[n].text[:0], msg[:size+2]...), name}
	return true
}

// sample reads "step: 12, loss: 4.1234, ...". Keys may be added and, after a head (free), come in any order; without one
// the step must be first. Non-numbers are left out. What could be two merged records, or prose, is ignored.
func (p *Parser) sample(msg []byte, free bool) Result {
	s := run.Sample{}
	pairs, last := 0, false
	for first := true; !last; first = false {
		seg := msg
		if end := bytes.Index(msg, pairSep); end >= 0 {
			seg, msg = msg[:end], msg[end+len(pairSep):]
		} else {
			last = true
		}
		key, value, ok := splitPair(seg)
		isStep := ok && (string(key) == "step" || string(key) == "Step")
		if first && !isStep && !free {
			return Result{}
		}
		switch {
		case isStep:
			step, valid := parseStep(value)
			if !valid || s.HasStep {
				return Result{}
			}
			s.Step, s.HasStep = step, true
		case ok:
			n, good := p.pair(key, value, last)
			if !good {
				return Result{}
			}
			pairs += n
		case !last || bytes.IndexByte(seg, ':') >= 0:
			return Result{} // not a list of pairs, except for a cut key at the end
		}
	}
	if !s.HasStep || pairs == 0 {
		return Result{}
	}
	s.Metrics = p.metrics
	res := Result{Kind: KindSample, Sample: s, Format: "steps"}
	if free {
		res.Format, p.State.Format = CotrainCore, CotrainCore
	}
	return res
}

// pair adds one metric. n is 1 if it is evidence of a sample: a number, or the start of one at the line's end. good is
// false if the line cannot be one record.
func (p *Parser) pair(key, value []byte, last bool) (n int, good bool) {
	if k, glued := bytes.CutSuffix(key, []byte("step")); glued && len(k) > 0 && k[len(k)-1] != '_' {
		return 0, false // "lossstep: 13": cut short by another record
	}
	v, ok := parsePrinted(value)
	if !ok {
		if bytes.IndexByte(value, ':') >= 0 {
			return 0, false // a second key inside
		}
		if last && isCutNumber(value) {
			return 1, true
		}
		return 0, true
	}
	if len(p.metrics) >= MaxMetrics {
		return 1, true
	}
	name := p.names.metric(key)
	for _, m := range p.metrics {
		if m.Name == name {
			return 0, false // same metric twice: two records
		}
	}
	p.add(name, v)
	return 1, true
}

func splitPair(seg []byte) (key, value []byte, ok bool) {
	i := bytes.IndexByte(seg, ':')
	if i <= 0 || i > MaxName {
		return nil, nil, false
	}
	key = seg[:i]
	if isDigit(key[0]) {
		return nil, nil, false
	}
	for _, c := range key {
		if !isKey(c) {
			return nil, nil, false
		}
	}
	return key, bytes.TrimSpace(seg[i+1:]), true
}

func isKey(c byte) bool { return keyBytes[c] }

// keyBytes are the bytes of names; a table, because every byte of every sample is looked up.
var keyBytes = func() (out [256]bool) {
	for c := range out {
		out[c] = isWord(byte(c)) || c == '/' || c == '.' || c == '-'
	}
	return out
}()
