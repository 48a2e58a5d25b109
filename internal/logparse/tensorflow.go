package logparse

import "bytes"

// tensorFlow reads the hooks of TensorFlow's estimators, which print the loss before the step:
//
//	loss = 0.050051894, step = 100 (839.937 sec)
//	ctr_loss = 0.16573241, loss = 0.2018823
//	global step 100: loss = 2.3000 (0.310 sec/step)
func (p *Parser) tensorFlow(msg []byte) Result {
	if hasAnyPrefix(msg, "Saving", "Finished", "Best", "Iteration", "Epoch", "Step", "step") {
		return Result{}
	}
	// Every part is "name = number".
	for rest, more := msg, true; more; {
		var part []byte
		part, rest, more = bytes.Cut(rest, []byte(", "))
		name, _, ok := bytes.Cut(part, []byte(" = "))
		if !ok || bytes.IndexByte(name, ' ') >= 0 && !hasAnyPrefix(name, "global step ") {
			return Result{}
		}
	}
	r := p.read(msg)
	p.settle(&r)
	if p.index("loss") < 0 || r.double || r.bare > 0 || r.rank == 0 && r.others == 0 {
		return Result{}
	}
	return p.record(r, 0)
}
