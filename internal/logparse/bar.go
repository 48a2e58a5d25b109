package logparse

import "bytes"

// bar is the progress bar of a stream whose records do not tell their step, such as that of Hugging Face's Trainer. Bars of
// evaluations, which are shorter, come and go meanwhile.
type bar struct {
	At    int64 `json:"at,omitempty"`
	Total int64 `json:"total,omitempty"`
}

// Step is the step that the last bar without metrics told, if there was one.
func (p *Parser) Step() (int64, bool) { return p.State.Bar.At, p.State.Bar.At > 0 }

// bar reads progress bars of tqdm, Lightning's and Hugging Face's among them:
//
//	Epoch 0:  22%|██▏       | 4/18 [00:17<01:02,  4.47s/it, loss=9.947, v_num=1]
//	Train epoch [1/1]: 100%|██████████| 2048/2048 [1:48:48<00:00,  3.19s/it, pg=0.0374, act_lr=1e-7]
//	Epoch 0:  97% 1651/1702 [13:00<00:24,  2.11it/s, loss=0.158]
//	 24%|██▍       | 2566/10485 [3:15:22<10:03:32,  4.57s/it]
func (p *Parser) bar(msg []byte) Result {
	b, ok := parseBar(msg)
	if !ok || !b.training() {
		return Result{}
	}
	r := p.read(b.label) // "Epoch 3, step 5 (loss: 2.3)"
	r.numbered(b.label)
	inLabel := len(p.metrics)
	s := items{b: b.postfix}
	for {
		it, more := s.next()
		if !more {
			break
		}
		p.item(&r, it)
	}
	p.settle(&r)
	if inLabel == 0 && len(p.metrics) == 0 || r.measured == 0 && !b.labelled() {
		if len(p.metrics) == 0 {
			p.progress(b)
		}
		return Result{}
	}
	if r.rank < 2 {
		r.rank, r.step, r.of = 0, 0, 0
		if b.at >= 0 {
			r.rank, r.step, r.of = 1, b.at, float64(b.total)
		}
	}
	first := 0.0
	if r.ofEpoch > 0 {
		first = 1
	}
	return p.record(r, first)
}

// numbered reads the epoch and the step of torchtune's labels, "1|10|Loss: 2.3".
func (r *reading) numbered(label []byte) {
	epoch, rest, ok := bytes.Cut(label, []byte("|"))
	step, _, ok2 := bytes.Cut(rest, []byte("|"))
	n, whole := parseStep(epoch)
	m, whole2 := parseStep(step)
	if ok && ok2 && whole && whole2 {
		r.epoch, r.inEpoch, r.step, r.rank = float64(n), true, m, 4
	}
}

// progress notes the step of a bar without metrics. Of several the longest is training's, until it is full.
func (p *Parser) progress(b barLine) {
	last := p.State.Bar
	if len(bytes.TrimSpace(b.label)) > 0 && !b.labelled() || b.at <= 0 || b.total <= 0 || b.at > b.total {
		return
	}
	if b.total < last.Total && last.At < last.Total {
		return
	}
	p.State.Bar = bar{At: b.at, Total: b.total}
}

// barLine is a progress bar in its parts.
type barLine struct {
	label, postfix []byte
	at, total      int64 // at is -1 where it is no integer
}

// training reports whether a bar could be of training: its label says nothing else.
func (b barLine) training() bool {
	if held(b.label) {
		return false
	}
	for _, word := range [...]string{"oad", "Map", "map", "ilter", "oken", "rocess", "etch", "onvert", "ollout", "hard", "sav", "Sav", "opy", "ache", "ack", "enerat", "xtract", "Scor", "scor", "ampling", "omput", "fold", "ptim"} {
		if bytes.Contains(b.label, []byte(word)) {
			return false
		}
	}
	return true
}

// labelled reports whether the label says that it is of training.
func (b barLine) labelled() bool {
	for _, word := range [...]string{"poch", "rain", "tep", "ter", "fit", "Fit", "oss"} {
		if bytes.Contains(b.label, []byte(word)) {
			return true
		}
	}
	return false
}

// parseBar finds "label: 22%|██▏ | 4/18 [00:17<01:02, 4.47s/it, postfix]", the last of a line.
func parseBar(b []byte) (barLine, bool) {
	for end := len(b); ; {
		open := bytes.LastIndexByte(b[:end], '[')
		if open <= 0 {
			return barLine{}, false
		}
		if inside := b[open+1:]; open > 0 && b[open-1] == ' ' && startsWithClock(inside) {
			return splitBar(b[:open-1], inside)
		}
		end = open
	}
}

func startsWithClock(b []byte) bool {
	n := 0
	for n < len(b) && isDigit(b[n]) {
		n++
	}
	return n > 0 && n+2 < len(b) && b[n] == ':' && isDigit(b[n+1]) && isDigit(b[n+2])
}

func splitBar(left, inside []byte) (out barLine, ok bool) {
	depth := 0
	for i, c := range inside {
		if c == '[' {
			depth++
		} else if c == ']' {
			if depth--; depth < 0 {
				inside = inside[:i]
				break
			}
		}
	}
	rate := bytes.Index(inside, []byte(", "))
	if rate < 0 || bytes.IndexByte(inside[rate:], '/') < 0 {
		return out, false
	}
	if after := bytes.Index(inside[rate+2:], []byte(", ")); after >= 0 {
		out.postfix = inside[rate+2+after+2:]
	}
	// "4/18" or "12it"
	start := bytes.LastIndexByte(left, ' ') + 1
	count := left[start:]
	at, total, both := bytes.Cut(count, []byte("/"))
	out.at = -1
	if n, whole := parseStep(bytes.TrimRight(at, "abcdefghijklmnopqrstuvwxyz")); whole && (both || len(at) > 0) {
		if m, wholeTotal := parseStep(total); wholeTotal && isDigit(at[len(at)-1]) {
			out.at, out.total = n, m
		} else if !both && !isDigit(at[len(at)-1]) {
			out.at = n
		}
	}
	if out.at < 0 {
		return out, false
	}
	out.label = barLabel(left[:start], both)
	return out, true
}

// barLabel is what stands before the percentage.
func barLabel(b []byte, meter bool) []byte {
	if meter {
		if percent := bytes.LastIndexByte(b, '%'); percent >= 0 {
			b = b[:percent]
			for len(b) > 0 && isDigit(b[len(b)-1]) {
				b = b[:len(b)-1]
			}
		}
	}
	return bytes.TrimRight(b, " :")
}

// endsWithBar reports whether a progress bar stands before what follows.
func endsWithBar(b []byte) bool {
	b = bytes.TrimRight(b, " ")
	if len(b) == 0 || b[len(b)-1] != ']' {
		return false
	}
	_, ok := parseBar(b)
	return ok
}

// startsWithBar reports whether b is a progress bar, or its start.
func startsWithBar(b []byte) bool {
	n := 0
	for n < len(b) && (isDigit(b[n]) || b[n] == ' ') {
		n++
	}
	return n > 0 && n < len(b) && (b[n] == '%' || b[n] == '/')
}
