package logparse

import "slices"

// jsonLine reads a JSON object of numbers, as structured loggers and fairseq's and LLaMA-Factory's print:
//
//	{"step": 1200, "loss": 2.3125, "lr": 3e-4}
//	{"epoch": 10, "loss": "3.180", "ppl": "2.67", "num_updates": 21497}
//	{"msg": "train", "step": 1200, "metrics": {"loss": 2.3125}}
//	{"step": 1200, "accuracy": 0.5}
//
// Without a metric that trainers share it must be as the last: a step, and apart from times and the part of the data only numbers.
func (p *Parser) jsonLine(msg []byte) Result {
	if msg[0] != '{' || msg[len(msg)-1] != '}' {
		return Result{}
	}
	var r reading
	p.aliases = p.aliases[:0]
	s := scanner{b: msg, buf: p.text}
	ok := s.object(func(key []byte, v value) {
		if v.kind != objectValue || !holdsMetrics(key) {
			p.jsonMember(&r, key, v)
			return
		}
		inner := scanner{b: v.text, buf: s.buf}
		inner.object(func(key []byte, v value) { p.jsonMember(&r, key, v) }, 1)
		s.buf = inner.buf
	}, 0)
	p.text = s.buf
	if !ok || s.next() != 0 || s.i != len(s.b) || r.partStep {
		return Result{}
	}
	empty := r.empty
	p.settle(&r)
	own := r.rank >= 4 && len(p.metrics) > 0 && r.numbers > 0 && r.numbers == r.members
	if r.measured == 0 && !own && (!empty || r.rank == 0) {
		return Result{}
	}
	if r.rank == 0 && !r.inEpoch && p.index("loss") < 0 && p.index("val_loss") < 0 && p.index("eval_loss") < 0 {
		return Result{}
	}
	return p.record(r, 0)
}

// holdsMetrics knows the members in which structured loggers nest numbers.
func holdsMetrics(key []byte) bool {
	switch string(key) {
	case "metrics", "fields", "scalars", "logs", "data", "train":
		return true
	}
	return false
}

// describesRecord knows the members that say when and in which part of a training a record was made.
func describesRecord(key []byte) bool {
	switch string(key) {
	case "time", "timestamp", "_timestamp", "_runtime", "ts", "date", "datetime", "epoch", "split", "phase", "mode", "stage":
		return true
	}
	return false
}

func (p *Parser) jsonMember(r *reading, key []byte, v value) {
	if !describesRecord(key) && meaningOf(key, nil).role != roleStep {
		r.members++
		if v.kind == numberValue {
			r.numbers++
		}
	}
	switch v.kind {
	case stringValue:
		if n, good := parseDecimal(v.text); good {
			p.member1(r, key, n)
		} else if n, good := parseNonFinite(v.text); good {
			p.member1(r, key, n)
		}
	case numberValue:
		p.member1(r, key, v.number)
	case nullValue:
		r.empty = r.empty || meaningOf(key, nil).name == "loss"
	}
}

// alias is a metric of p.metrics that was printed under another name.
type alias struct {
	at  int
	key []byte
}

// member1 takes a member of a JSON object or a Python dictionary, whose numbers have no units. Of several members that mean one metric
// the one with its exact name counts, and the others keep their own; else the last counts.
func (p *Parser) member1(r *reading, key []byte, v float64) {
	if !validName(key) {
		return
	}
	it := item{key: key, value: v, has: true, assigned: true}
	m := p.meaningOf(key, nil)
	if m.role == roleStep && m.rank >= 4 {
		_, whole := wholeStep(v)
		r.partStep = r.partStep || !whole
	}
	before := len(p.metrics)
	p.item(r, it)
	if m.role != roleMetric {
		return
	}
	exact := string(key) == m.name
	if len(p.metrics) > before {
		if !exact {
			p.aliases = append(p.aliases, alias{before, key})
		}
		return
	}
	i := p.index(m.name)
	if i < 0 || m.name == "mfu" && v < 0 {
		return
	}
	r.double = false
	a := slices.IndexFunc(p.aliases, func(a alias) bool { return a.at == i })
	switch {
	case a < 0 && !exact:
		p.other(r, it)
		return
	case a >= 0 && exact:
		p.other(r, item{key: p.aliases[a].key, value: p.metrics[i].Value})
		p.aliases = slices.Delete(p.aliases, a, a+1)
	case a >= 0:
		p.aliases[a].key = key
	}
	p.metrics[i].Value = v
}
