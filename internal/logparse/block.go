package logparse

import "bytes"

// block reads records of several lines, the step in the first, as OLMo and Composer print them:
//
//	[step=100/739328,epoch=0]
//	    train/CrossEntropyLoss=7.210
//	    optim/total_grad_norm=1.30
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
	name, value, ok := bytes.Cut(msg, []byte("="))
	if !ok || bytes.IndexByte(name, '/') < 0 || bytes.IndexByte(name, ' ') >= 0 {
		p.State.Block = false
		return Result{}
	}
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
