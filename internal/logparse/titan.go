package logparse

import "bytes"

// titan reads the metrics of torchtitan:
//
//	step:  4  loss:  7.62585  grad_norm: 26.6250  memory: 66.91GiB(37.51%)  tps: 10,050  tflops: 314.71  mfu: 13.99%
//	validate step: 10  loss:  5.1012  memory: 1.41GiB(1.79%)  tps: 10,050
func (p *Parser) titan(msg []byte) Result {
	rest, validation := bytes.CutPrefix(msg, []byte("validate "))
	if !hasAnyPrefix(rest, "step:") {
		return Result{}
	}
	r := p.read(rest)
	p.settle(&r)
	if r.rank != 4 || r.double || r.measured == 0 {
		return Result{}
	}
	if validation {
		p.heldOut("val_loss")
	}
	return p.record(r, 0)
}
