package logparse

import "bytes"

// nanoGPT reads nanoGPT and those that print like it (lit-gpt, minGPT, modded-nanogpt):
//
//	iter 10: loss 3.2202, time 893.76ms, mfu 16.68%
//	step 250: train loss 1.5440, val loss 1.7220
//	step:125/4578 val_loss:4.7012 train_time:12345ms step_avg:98.7ms
func (p *Parser) nanoGPT(msg []byte) Result {
	if !hasAnyPrefix(msg, "iter ", "step ", "iter_dt ", "step:", "Iteration ", "iteration ") || bytes.IndexByte(msg, '|') >= 0 {
		return Result{}
	}
	r := p.read(msg)
	if p.index("val_loss") >= 0 && p.index("loss") < 0 {
		r.like = 0 // both are estimates
	}
	p.settle(&r)
	if r.rank < 3 || r.double || r.measured == 0 || r.bare > 2 || oddProse(msg) {
		return Result{}
	}
	return p.record(r, 0)
}
