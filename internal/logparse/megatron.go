package logparse

import "bytes"

// megatron reads training_log of Megatron-LM and of those built on it (Megatron-DeepSpeed, GPT-NeoX):
//
//	iteration     5426/  250000 | consumed samples: 43408 | learning rate: 2.999E-04 | lm loss: 2.1E+00 | grad norm: 1.2 |
//	samples/sec: 60.1 | iteration 100/ 320000 | elapsed time per iteration (ms): 8508.9 | lm_loss: 8.9E+00 |
//	validation loss at iteration 1000 | lm loss value: 5.13E+00 | lm loss PPL: 1.69E+02 |
func (p *Parser) megatron(msg []byte) Result {
	if rest, ok := bytes.CutPrefix(msg, []byte("validation loss at iteration ")); ok {
		return p.megatronValidation(rest)
	}
	if !hasAnyPrefix(msg, "iteration ") && (!hasAnyPrefix(msg, "samples/sec: ") || !bytes.Contains(msg, []byte("| iteration "))) {
		return Result{}
	}
	if bytes.Count(msg, []byte("|")) < 2 {
		return Result{}
	}
	r := p.read(msg)
	p.settle(&r)
	if r.rank != 3 || r.double || r.measured == 0 && !r.rate {
		return Result{}
	}
	return p.record(r, 0)
}

func (p *Parser) megatronValidation(rest []byte) Result {
	at, rest, ok := bytes.Cut(rest, []byte("|"))
	at, set, _ := bytes.Cut(at, []byte(" "))
	step, whole := parseStep(at)
	if !ok || !whole || bytes.Contains(set, []byte("test")) {
		return Result{}
	}
	r := p.read(rest)
	p.settle(&r)
	if p.index("loss") < 0 {
		return Result{}
	}
	p.heldOut("val_loss")
	r.step, r.rank = step, 3
	return p.record(r, 0)
}
