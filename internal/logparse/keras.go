package logparse

import "bytes"

// keras reads the bars of Keras 2 and 3 and its lines without bars; "Epoch 3/10" stands on a line of its own before them:
//
//	1875/1875 [==============================] - 3s 2ms/step - loss: 0.2912 - accuracy: 0.9156
//	1875/1875 ━━━━━━━━━━━━━━━━━━━━ 3s 2ms/step - accuracy: 0.8792 - loss: 0.4215
//	1875/1875 - 3s - loss: 0.2912 - val_loss: 0.1411 - 3s/epoch - 2ms/step
func (p *Parser) keras(msg []byte) Result {
	if rest, ok := bytes.CutPrefix(msg, []byte("Epoch ")); ok {
		at, total, both := bytes.Cut(rest, []byte("/"))
		n, whole := parseStep(at)
		if m, wholeTotal := parseStep(total); both && whole && wholeTotal && n <= m {
			p.State.Epoch = n
		}
		return Result{}
	}
	if !isDigit(msg[0]) {
		return Result{}
	}
	count, rest, _ := bytes.Cut(msg, []byte(" "))
	at, total, both := bytes.Cut(count, []byte("/"))
	step, whole := parseStep(at)
	of, wholeTotal := parseStep(total)
	if !both || !whole || !wholeTotal || step > of {
		return Result{}
	}
	rest = bytes.TrimLeft(rest, " ")
	if !hasAnyPrefix(rest, "[=", "[>", "[.", "- ", "━", "\x1b") || !bytes.Contains(rest, []byte(" - ")) {
		return Result{}
	}
	_, rest, _ = bytes.Cut(rest, []byte(" - "))
	r := p.read(rest)
	p.settle(&r)
	p.drop("ETA", "ms/step", "s/epoch", "us/step", "s/step", "s")
	if len(p.metrics) == 0 || r.measured == 0 && r.others == 0 || r.rank > 0 {
		return Result{}
	}
	r.step, r.rank, r.of = step, 1, float64(of)
	res := p.record(r, 0)
	if p.State.Epoch > 1 && of > 0 && of < 1<<31 && p.State.Epoch < 1<<20 {
		res.Before = (p.State.Epoch - 1) * of
	}
	return res
}

// drop removes metrics that are none.
func (p *Parser) drop(names ...string) {
	kept := p.metrics[:0]
next:
	for _, m := range p.metrics {
		for _, name := range names {
			if m.Name == name {
				continue next
			}
		}
		kept = append(kept, m)
	}
	p.metrics = kept
}
