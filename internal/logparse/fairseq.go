package logparse

import "bytes"

// fairseq reads the simple and tqdm logs of fairseq; its JSON is read as JSON:
//
//	epoch 001:    450 / 1891 loss=11.521, nll_loss=10.881, ppl=1886.05, num_updates=445, lr=8.9e-05, gnorm=1.543
//	epoch 001 | valid on 'valid' subset | valid_loss 8.11425 | valid_ppl 118.06 | num_updates 600
func (p *Parser) fairseq(msg []byte) Result {
	if !hasAnyPrefix(msg, "epoch ") || !bytes.Contains(msg, []byte("num_updates")) && !bytes.Contains(msg, []byte("valid on ")) {
		return Result{}
	}
	validation := bytes.Index(msg, []byte("valid on "))
	text := msg
	if validation >= 0 {
		if end := bytes.IndexByte(msg[validation:], '|'); end > 0 {
			text = msg[validation+end:]
		}
	}
	r := p.read(text)
	if validation >= 0 {
		label := items{b: msg[:validation]}
		if it, ok := label.next(); ok {
			p.item(&r, it)
		}
	}
	p.settle(&r)
	if r.rank < 5 {
		r.rank = 0 // the count of batches is none of steps
	}
	if r.double || r.measured == 0 {
		return Result{}
	}
	if validation >= 0 {
		p.heldOut("val_loss")
	}
	return p.record(r, 1)
}
