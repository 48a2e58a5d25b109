package logparse

import "bytes"

// mmengine reads the loggers of mmcv and mmengine:
//
//	Epoch [1][658/742]     lr: 5.000e-05, eta: 2:15:01, time: 0.396, loss_cls: 0.4123, loss: 0.7124
//	Epoch(train)  [1][ 50/742]  lr: 1.0000e-03  eta: 2:15:01  time: 0.39  loss: 0.7124
//	Iter(train) [   50/40000]  base_lr: 1.0e-04 lr: 1.0e-05  loss: 0.7124
func (p *Parser) mmengine(msg []byte) Result {
	word, _, ok := bytes.Cut(msg, []byte("["))
	word = bytes.TrimRight(word, " ")
	switch string(word) {
	case "Epoch", "Epoch(train)", "Iter", "Iter(train)":
	case "Epoch(val)", "Iter(val)":
	default:
		return Result{}
	}
	r := p.read(msg)
	p.settle(&r)
	if !ok || r.rank == 0 || r.double || len(p.metrics) == 0 || r.measured == 0 && !r.rate && r.others == 0 {
		return Result{}
	}
	if bytes.HasSuffix(word, []byte("(val)")) {
		p.heldOut("val_loss")
	}
	return p.record(r, 1)
}
