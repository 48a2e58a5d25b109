package logparse

import "bytes"

// prose reads records that no known trainer prints but many people's own loops do: an epoch or a step first, then names and values
// in any of the usual ways:
//
//	epoch: 0, file: 2/2, batch: 6671/6743, loss: 5.185546875
//	[Epoch 64 738304/1281167][Iteration 45458] Loss is 1.308916. Current learning rate is 0.046.
//	Total loss at epoch 5, step at 58800, loss=32.79
//	eval @ step 400: loss=1.87 perplexity=6.49
func (p *Parser) prose(msg []byte) Result {
	if !startsRecord(msg) || oddProse(msg) || endsCall(msg) {
		return Result{}
	}
	r := p.read(msg)
	p.settle(&r)
	if r.rank == 0 && !r.inEpoch || r.double || r.measured == 0 {
		return Result{}
	}
	if name := heldOutLoss(msg); name != "" {
		if r.rank < 3 && !r.inEpoch {
			return Result{} // a progress bar
		}
		if p.index("val_loss") < 0 && p.index("eval_loss") < 0 {
			p.heldOut(name)
		}
	}
	if p.index("loss") < 0 && p.index("val_loss") < 0 && p.index("eval_loss") < 0 && p.index("reward") < 0 && p.index("perplexity") < 0 {
		return Result{}
	}
	return p.record(r, 0)
}

// startsRecord reports whether the text starts with where training is.
func startsRecord(b []byte) bool {
	if s := (items{b: b}); s.at(0) == '[' {
		if it, ok := s.position(); ok && it.of > 0 {
			return true // "[100/1000] loss: 2.3"
		}
	}
	b = bytes.TrimLeft(b, "[( ")
	if heldOutLoss(b) != "" {
		return true
	}
	for _, word := range [...]string{"epoch", "step", "iter", "batch", "global", "update", "train", "total loss at", "end of epoch", "ep ", "ep:", "ep="} {
		if hasFoldPrefix(b, word) {
			return true
		}
	}
	if hasAnyPrefix(b, "loss: ") && bytes.Contains(b, []byte("global_step: ")) {
		return true
	}
	return len(b) > 0 && isDigit(b[0]) && bytes.Contains(b[:min(len(b), 40)], []byte("]["))
}

// heldOutLoss is the name of the loss of a record that starts with what it is measured on, "" for one of training: "eval @ step 400:
// loss 2.31", "[val] step 400 | ...".
func heldOutLoss(b []byte) string {
	b = bytes.TrimLeft(b, "[( ")
	switch {
	case hasFoldPrefix(b, "eval"):
		return "eval_loss"
	case hasFoldPrefix(b, "valid"), hasFoldPrefix(b, "val") && len(b) > len("val") && !isWord(b[len("val")]):
		return "val_loss"
	}
	return ""
}

// endsCall reports whether the text closes a parenthesis that it does not open: the end of a call that a traceback quotes.
func endsCall(b []byte) bool {
	return b[len(b)-1] == ')' && bytes.Count(b, []byte(")")) > bytes.Count(b, []byte("("))
}

// oddProse reports whether the text speaks about metrics instead of reporting them, or quotes.
func oddProse(b []byte) bool {
	if bytes.IndexByte(b, '"') >= 0 || bytes.IndexByte(b, '`') >= 0 || bytes.IndexByte(b, '\'') >= 0 || bytes.IndexByte(b, '{') >= 0 || bytes.IndexByte(b, '?') >= 0 || bytes.Contains(b, []byte("-->")) {
		return true
	}
	for _, word := range [...]string{"best", "Best", "mprove", "reached", "ecreased", "ncreased", "sav", "Sav", "oading", "oaded", "esum", "estor", "early", "Early", "skip", "Skip", "threshold", "expected", "detected", "because", "should", "summary", "verage over"} {
		if bytes.Contains(b, []byte(word)) {
			return true
		}
	}
	return false
}
