package logparse

import "bytes"

// deepSpeed reads what DeepSpeed's engines print:
//
//	[Rank 0] step=10, skipped=0, lr=[0.0001, 0.0001], mom=[[0.9, 0.999], [0.9, 0.999]]
//	steps: 10 loss: 2.3001 iter time (s): 1.200 samples/sec: 12.300
//	epoch=0/micro_step=10/global_step=10, RunningAvgSamplesPerSec=12.3, CurrSamplesPerSec=12.4
func (p *Parser) deepSpeed(msg []byte) Result {
	switch {
	case hasAnyPrefix(msg, "step="):
		if !bytes.Contains(msg, []byte(", skipped=")) {
			return Result{}
		}
	case hasAnyPrefix(msg, "steps: "):
		if !bytes.Contains(msg, []byte(" loss: ")) {
			return Result{}
		}
	case hasAnyPrefix(msg, "epoch="):
		i := bytes.Index(msg, []byte("/global_step="))
		if i < 0 {
			return Result{}
		}
		msg = msg[i+1:]
	default:
		return Result{}
	}
	r := p.read(msg)
	p.settle(&r)
	if r.rank == 0 || r.double || len(p.metrics) == 0 {
		return Result{}
	}
	return p.record(r, 0)
}
