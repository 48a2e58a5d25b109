package logparse

// maxText reads the metrics of MaxText:
//
//	completed step: 2, seconds: 10.228, TFLOP/s/device: 350.869, Tokens/s/device: 19222.175, loss: 12.980, perplexity: 433463.719
func (p *Parser) maxText(msg []byte) Result {
	if !hasAnyPrefix(msg, "completed step: ") {
		return Result{}
	}
	r := p.read(msg)
	p.settle(&r)
	if r.rank == 0 || r.double || r.measured == 0 {
		return Result{}
	}
	return p.record(r, 0)
}
