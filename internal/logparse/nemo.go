package logparse

// nemo reads the progress lines of NeMo:
//
//	Training epoch 0, iteration 10/999 | lr: 2.9e-06 | global_step: 10 | reduced_train_loss: 10.3 | train_step_timing in s: 5.3
func (p *Parser) nemo(msg []byte) Result {
	if !hasAnyPrefix(msg, "Training epoch ") {
		return Result{}
	}
	r := p.read(msg)
	p.settle(&r)
	if r.rank == 0 || r.double || r.measured == 0 {
		return Result{}
	}
	return p.record(r, 0)
}
