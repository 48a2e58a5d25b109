package logparse

import "bytes"

var richGlyph = []byte("━")

// richBar reads the bars of Lightning's RichProgressBar:
//
//	Epoch 0/9 ━━━━━━━━━━━━━━━━ 18/18 0:00:12 • 0:00:00 1.43it/s v_num: 0.000 train_loss: 2.301
func (p *Parser) richBar(msg []byte) Result {
	first, last := bytes.Index(msg, richGlyph), bytes.LastIndex(msg, richGlyph)
	label, rest := bytes.TrimRight(msg[:first], " "), bytes.TrimLeft(msg[last+len(richGlyph):], " \xe2\x95\xb8\xba")
	if !hasFoldPrefix(label, "epoch") || held(label) {
		return Result{}
	}
	end := bytes.IndexByte(rest, ' ')
	if end < 0 {
		return Result{}
	}
	at, total, ok := bytes.Cut(rest[:end], []byte("/"))
	step, whole := parseStep(at)
	of, _ := parseStep(total)
	speed := bytes.Index(rest, []byte("it/s "))
	if !ok || !whole || speed < 0 {
		return Result{}
	}
	r := p.read(label)
	s := items{b: rest, i: speed + len("it/s ")}
	for {
		it, more := s.next()
		if !more {
			break
		}
		p.item(&r, it)
	}
	p.settle(&r)
	if len(p.metrics) == 0 {
		return Result{}
	}
	if r.rank < 2 {
		r.step, r.rank, r.of = step, 1, float64(of)
	}
	return p.record(r, 0)
}
