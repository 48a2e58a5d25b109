package logparse

import "bytes"

// logfmt reads "name=value" separated by spaces, quoted values among them:
//
//	level=info msg="train step" step=1200 loss=2.3125 lr=3e-4
func (p *Parser) logfmt(msg []byte) Result {
	var r reading
	rest := msg
	for len(rest) > 0 {
		eq := bytes.IndexByte(rest, '=')
		if eq <= 0 || eq > MaxName {
			return Result{}
		}
		key := rest[:eq]
		for _, c := range key {
			if !isKey(c) && c != '@' {
				return Result{}
			}
		}
		value := rest[eq+1:]
		end := bytes.IndexByte(value, ' ')
		if len(value) > 0 && value[0] == '"' {
			n := bytes.IndexByte(value[1:], '"')
			if n < 0 {
				return Result{}
			}
			end = n + 2
		} else if end < 0 {
			end = len(value)
		}
		if v, ok := parsePrinted(value[:end]); ok {
			p.item(&r, item{key: key, value: v, has: true, assigned: true})
		}
		rest = bytes.TrimLeft(value[end:], " ")
	}
	p.settle(&r)
	if r.rank == 0 || r.double || r.measured == 0 {
		return Result{}
	}
	return p.record(r, 0)
}
