package logparse

import "bytes"

// columns reads records in columns that start with the step, as llm.c, nanochat, llama2.c, LitGPT, torchtune and prime-rl print
// them:
//
//	step   62/74 | loss 3.464926 (+0.31z)| norm 1.3662 (-0.42z)| lr 3.00e-04 | 44.57 ms | 39.4% bf16 MFU | 91886 tok/s
//	step 26085/26087 (99.99%) | loss: 2.712348 | grad norm: 0.1680 | lrm: 0.00 | dt: 5157.80ms | tok/sec: 83,384 | mfu: 4.91
//	Step 28 | Time: 73.77s | Reward: 0.3887 | Throughput: 2408.9 tokens/s
//	Step 1 | loss:2.085338592529297 lr:2e-05 tokens_per_second_per_gpu:57.828881833956174
//	10 | loss 5.1012 | lr 1.0e-04 | 500.12ms | mfu 3.21%
//	Epoch 1 | iter 100 step 25 | loss train: 5.100, val: n/a | iter time: 300.00 ms (step)
func (p *Parser) columns(msg []byte) Result {
	first, rest, ok := bytes.Cut(msg, []byte("|"))
	first = bytes.TrimSpace(first)
	if !ok {
		return p.aloneLoss(msg)
	}
	numbered := allDigits(first)
	if !numbered && !hasFoldPrefix(first, "step") && !hasFoldPrefix(first, "iter") && !hasFoldPrefix(first, "epoch") && !hasFoldPrefix(first, "ep ") {
		return Result{}
	}
	var r reading
	if numbered {
		if !hasAnyPrefix(bytes.TrimLeft(rest, " "), "loss") {
			return Result{}
		}
		r.step, _ = parseStep(first)
		r.rank = 4
	} else if r = p.read(first); r.bare > 0 || r.rank == 0 && !r.inEpoch {
		return Result{}
	}
	named := r.rank
	for more := true; more; {
		var column []byte
		column, rest, more = bytes.Cut(rest, []byte("|"))
		p.column(&r, column)
	}
	p.settle(&r)
	if r.rank == 0 || r.double || len(p.metrics) == 0 || named == 0 && r.measured == 0 || oddProse(msg) {
		return Result{}
	}
	return p.record(r, 0)
}

// aloneLoss reads the loss on held-out data, which stands on a line of its own between such records.
func (p *Parser) aloneLoss(msg []byte) Result {
	if p.State.Format != "columns" || !hasAnyPrefix(msg, "val loss ", "validation loss: ", "val loss: ") {
		return Result{}
	}
	r := p.read(msg)
	if len(p.metrics) != 1 || p.metrics[0].Name != "val_loss" || r.bare > 0 {
		return Result{}
	}
	return p.record(r, 0)
}

// column reads one column. The short names of llm.c mean something only here.
func (p *Parser) column(r *reading, column []byte) {
	s := items{b: column}
	for {
		it, ok := s.next()
		if !ok {
			return
		}
		if string(it.key) == "norm" {
			it.key = gradNorm
		}
		if string(it.key) == "loss train" {
			it.key = lossName
		}
		p.item(r, it)
	}
}

var (
	gradNorm = []byte("grad_norm")
	lossName = []byte("loss")
)
