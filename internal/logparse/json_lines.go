package logparse

// jsonLine reads a JSON object of numbers, as structured loggers and fairseq's and LLaMA-Factory's print:
//
//	{"step": 1200, "loss": 2.3125, "lr": 3e-4}
//	{"epoch": 10, "loss": "3.180", "ppl": "2.67", "num_updates": 21497}
//	{"msg": "train", "step": 1200, "metrics": {"loss": 2.3125}}
func (p *Parser) jsonLine(msg []byte) Result {
	if msg[0] != '{' || msg[len(msg)-1] != '}' {
		return Result{}
	}
	var r reading
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
	if r.measured == 0 && (!empty || r.rank == 0) {
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

func (p *Parser) jsonMember(r *reading, key []byte, v value) {
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

// member1 takes a member of a JSON object or a Python dictionary, whose numbers have no units. The last of a name counts.
func (p *Parser) member1(r *reading, key []byte, v float64) {
	if !validName(key) {
		return
	}
	it := item{key: key, value: v, has: true, assigned: true}
	if m := meaningOf(key, nil); m.role == roleStep && m.rank >= 4 {
		_, whole := wholeStep(v)
		r.partStep = r.partStep || !whole
	}
	before := len(p.metrics)
	p.item(r, it)
	if m := meaningOf(key, nil); m.role == roleMetric && len(p.metrics) == before {
		if i := p.index(m.name); i >= 0 && !(m.name == "mfu" && v < 0) {
			p.metrics[i].Value = v
			r.double = false
		}
	}
}
