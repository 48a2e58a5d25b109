package logparse

// hivemind reads the monitor of hivemind's examples:
//
//	Step #1      loss = 11.04938
//	Step #2	alive peers: 3	loss = 11.05589
func (p *Parser) hivemind(msg []byte) Result {
	if !hasAnyPrefix(msg, "Step #") {
		return Result{}
	}
	r := p.read(msg)
	p.settle(&r)
	if r.rank != 4 || r.double || r.measured == 0 {
		return Result{}
	}
	return p.record(r, 0)
}
