package logparse

import "bytes"

// levanter reads the progress of Levanter. Above a thousand it is rounded, and then no step:
//
//	Progress on:train 99.0it/500it rate:4.6it/s remaining:03:14 elapsed:00:31 postfix:loss: 5.67
func (p *Parser) levanter(msg []byte) Result {
	rest, ok := bytes.CutPrefix(msg, []byte("Progress on:train "))
	if !ok {
		return Result{}
	}
	at, _, _ := bytes.Cut(rest, []byte("/"))
	_, postfix, ok := bytes.Cut(rest, []byte("postfix:"))
	if !ok {
		return Result{}
	}
	r := p.read(postfix)
	p.settle(&r)
	if r.measured == 0 {
		return Result{}
	}
	at, isCount := bytes.CutSuffix(at, []byte("it"))
	if step, whole := parseStep(bytes.TrimSuffix(at, []byte(".0"))); isCount && whole {
		r.step, r.rank = step, 4
	}
	return p.record(r, 0)
}
