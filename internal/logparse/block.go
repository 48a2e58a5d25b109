package logparse

import "bytes"

// block reads records of several lines, the step in the first, as OLMo and Composer print them:
//
//	[step=100/739328,epoch=0]
//	    train/CrossEntropyLoss=7.210
//	    optim/total_grad_norm=1.30
//
//	[batch=10/4800]:
//		 Train loss/train/total: 11.2512
//
// The lines after the first belong to its step; see [Parser.Step].
func (p *Parser) block(msg []byte) Result {
	if hasAnyPrefix(msg, "[step=", "[batch=") {
		at := msg[bytes.IndexByte(msg, '=')+1:]
		n := 0
		for n < len(at) && isDigit(at[n]) {
			n++
		}
		if step, ok := parseStep(at[:n]); ok && n < len(at) && (at[n] == '/' || at[n] == ']' || at[n] == ',') {
			p.State.Block, p.State.Bar = true, bar{At: step}
		}
		return Result{}
	}
	if !p.State.Block {
		return Result{}
	}
	msg = bytes.TrimPrefix(msg, []byte("Train "))
	sep := bytes.IndexAny(msg, "=:")
	if sep <= 0 || bytes.IndexByte(msg[:sep], '/') < 0 || !validName(msg[:sep]) {
		p.State.Block = false
		return Result{}
	}
	name, value := msg[:sep], bytes.TrimLeft(msg[sep+1:], " ")
	v, ok := parsePrinted(value)
	if !ok {
		return Result{}
	}
	var r reading
	p.item(&r, item{key: name, value: v, has: true, assigned: true})
	p.settle(&r)
	if len(p.metrics) == 0 {
		return Result{}
	}
	return p.record(r, 0)
}
