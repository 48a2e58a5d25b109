package logparse

import "bytes"

// clu reads the metric writers of JAX's examples (Common Loop Utils), which print the step in brackets:
//
//	[500] accuracy=0.312300, learning_rate=0.1, loss=3.212300, steps_per_second=4.21
func (p *Parser) clu(msg []byte) Result {
	end := bytes.IndexByte(msg, ']')
	if msg[0] != '[' || end < 2 || end+2 >= len(msg) || msg[end+1] != ' ' {
		return Result{}
	}
	step, ok := parseStep(msg[1:end])
	if !ok {
		return Result{}
	}
	var r reading
	p.item(&r, item{key: []byte("step"), value: float64(step), has: true, assigned: true})
	// Every part is "name=number".
	for rest, more := msg[end+2:], true; more; {
		var part []byte
		part, rest, more = bytes.Cut(rest, pairSep)
		key, value, _ := bytes.Cut(part, []byte("="))
		v, ok := parsePrinted(value)
		if !ok || !validName(key) || bytes.IndexByte(key, ' ') >= 0 {
			return Result{}
		}
		if m := meaningOf(key, nil); m.role == roleStep || m.role == rolePart {
			return Result{} // what stands in the brackets is something else
		}
		p.item(&r, item{key: key, value: v, has: true, assigned: true})
	}
	p.settle(&r)
	if r.rank == 0 || r.double || r.measured == 0 || bytes.IndexByte(msg, ',') < 0 {
		return Result{}
	}
	return p.record(r, 0)
}
