package logparse

import "bytes"

// verl reads the console logger of verl, whose names have slashes:
//
//	step:86 - actor/entropy_loss:0.317 - actor/grad_norm:0.006 - training/epoch:2.000 - critic/rewards/mean:0.918
func (p *Parser) verl(msg []byte) Result {
	rest, ok := bytes.CutPrefix(msg, []byte("step:"))
	if !ok {
		return Result{}
	}
	step, rest, ok := bytes.Cut(rest, []byte(" - "))
	n, whole := parseStep(step)
	if !ok || !whole {
		return Result{}
	}
	var r reading
	for more := true; more; {
		var pair []byte
		pair, rest, more = bytes.Cut(rest, []byte(" - "))
		colon := bytes.LastIndexByte(pair, ':')
		if open := bytes.IndexByte(pair, '('); open >= 0 {
			colon = bytes.LastIndexByte(pair[:open], ':')
		}
		if colon <= 0 || !validName(pair[:colon]) {
			continue
		}
		s := items{b: pair, i: colon + 1}
		it := item{key: pair[:colon], assigned: true}
		s.valueOf(&it)
		if it.has {
			p.item(&r, it)
		}
	}
	p.settle(&r)
	if len(p.metrics) == 0 {
		return Result{}
	}
	r.step, r.rank = n, 5
	return p.record(r, 0)
}
