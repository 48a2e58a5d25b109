package logparse

import "bytes"

// metricLogger reads the meters of PyTorch's examples and of those that follow them (torchvision, DETR, MAE, DeiT, Swin, timm,
// detectron2), where a mean may follow each value:
//
//	Epoch: [0]  [1480/1504]  lr: 0.000026  closs: 1.0800 (1.1317)  grad_norm: 0.4995 (1.1826)  max mem: 51710
//	Epoch: [0][415/1736]	Loss 0.5844 (0.6)	Acc@1 0.00 (0.10)
//	Train: 0 [   0/1251 (  0%)]  Loss: 6.95 (6.95)  LR: 1.000e-06
//	eta: 1:02:03  iter: 19  total_loss: 1.23  time: 0.21  lr: 0.0001  max_mem: 2345M
func (p *Parser) metricLogger(msg []byte) Result {
	text, samples := msg, false
	switch {
	case hasAnyPrefix(msg, "Epoch: [", "Epoch:[", "eta: ", "iter: "):
	case hasAnyPrefix(msg, "Train: ", "Train Epoch: "):
		samples = hasAnyPrefix(msg, "Train E") // they count samples, not steps
	default:
		return Result{}
	}
	var r reading
	if rest, ok := bytes.CutPrefix(msg, []byte("Train: ")); ok {
		text = rest
		if n, after, cut := bytes.Cut(rest, []byte(" ")); cut && isDigit(rest[0]) {
			if epoch, whole := parseStep(n); whole {
				r.epoch, r.inEpoch, text = float64(epoch), true, after
			}
		}
	}
	s := items{b: text}
	for {
		it, more := s.next()
		if !more {
			break
		}
		p.item(&r, it)
	}
	p.settle(&r)
	if r.rank == 2 && samples {
		r.rank = 0
	}
	if r.rank == 0 && !samples || r.double || r.measured == 0 && !r.rate {
		return Result{}
	}
	return p.record(r, 0)
}
