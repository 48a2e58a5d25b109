package logparse

import (
	"bytes"

	"github.com/cotrain/cotrain/internal/run"
)

// reading is what the names and values of one record say; its metrics are in Parser.metrics.
type reading struct {
	step    int64
	rank    uint8   // of the name of the step, 0 without a step
	of      float64 // the total that was printed with it, 0 for none
	epoch   float64
	ofEpoch float64 // likewise
	inEpoch bool    // an epoch was printed

	measured int  // metrics with canonical names, apart from the learning rate
	rate     bool // a learning rate
	others   int  // metrics under their printed names
	like     int  // index + 1 of the first metric that stands for a loss
	double   bool // a name came twice: two records on one line
	bare     int  // names without a value
	empty    bool // a loss that is null
	members  int  // of a JSON object that may be measured
	numbers  int  // those that are numbers
	partStep bool // a step that is no whole number: the record belongs to no step

	places [2]item // numbers in brackets without a name
	nplace int
}

// read reads the names and values of text.
func (p *Parser) read(text []byte) reading {
	var r reading
	s := items{b: text}
	for {
		it, ok := s.next()
		if !ok {
			return r
		}
		p.item(&r, it)
	}
}

func (p *Parser) item(r *reading, it item) {
	switch {
	case len(it.key) == 0:
		if (it.bracket || it.of > 0) && r.nplace < len(r.places) {
			r.places[r.nplace] = it
			r.nplace++
		}
		return
	case !it.has:
		r.bare++
		r.double = r.double || it.glued
		return
	}
	m := p.meaningOf(it.key, it.unit)
	if it.rounded && m.name != "tokens_per_second" && m.name != "total_tokens" { // no exact number
		if !it.number {
			r.bare++
		}
		return
	}
	switch m.role {
	case roleStep, rolePart:
		r.setStep(it, m.rank)
	case roleEpoch:
		if !r.inEpoch && !it.list {
			r.epoch, r.ofEpoch, r.inEpoch = it.value, it.of, true
		}
	case roleMetric:
		p.canonicalItem(r, it, m.name)
	case roleLike:
		if p.other(r, it) && r.like == 0 {
			r.like = len(p.metrics)
		}
	case roleOther:
		// "lossstep: 13": a record cut short by another
		if k, ok := bytes.CutSuffix(it.key, []byte("step")); ok && r.rank > 0 && (equalFold(k, "loss") || equalFold(k, "lr")) {
			r.double = true
		}
		p.other(r, it)
	}
}

// setStep takes a step, unless a better one is known.
func (r *reading) setStep(it item, rank uint8) {
	step, ok := wholeStep(it.value)
	switch {
	case !ok || it.list || it.number && rank > 1 || len(it.unit) > 0:
	case rank == r.rank && rank >= 3 && step != r.step:
		r.double = true
	case rank > r.rank:
		r.step, r.rank, r.of = step, rank, it.of
	}
}

func (p *Parser) canonicalItem(r *reading, it item, name string) {
	if it.list && name != "learning_rate" || it.of > 0 || name == "mfu" && it.value < 0 {
		return
	}
	if it.number && name == "loss" {
		return
	}
	for _, m := range p.metrics {
		if m.Name == name {
			r.double = r.double || name == "loss"
			return
		}
	}
	if len(p.metrics) >= MaxMetrics {
		return
	}
	p.add(name, it.value)
	if name == "learning_rate" {
		r.rate = true
	} else {
		r.measured++
	}
}

// other adds a metric under its printed name and reports whether it did.
func (p *Parser) other(r *reading, it item) bool {
	if it.list || it.of > 0 || len(p.metrics) >= MaxMetrics || !validName(it.key) || it.number && len(it.key) < 2 {
		return false
	}
	name := p.names.raw(it.key)
	for _, m := range p.metrics {
		if m.Name == name {
			return false
		}
	}
	p.add(name, it.value)
	r.others++
	return true
}

// settle decides what only the whole record tells: which name is the loss, and in brackets without names the epoch and the step.
func (p *Parser) settle(r *reading) {
	if r.like > 0 {
		if p.index("loss") < 0 {
			p.metrics[r.like-1].Name = "loss"
			r.others--
			r.measured++
		}
		r.like = 0
	}
	places := r.places[:r.nplace]
	if !r.inEpoch && len(places) == 2 && places[0].bracket {
		r.epoch, r.ofEpoch, r.inEpoch = places[0].value, places[0].of, true
		places = places[1:]
	}
	if len(places) > 0 && r.rank < 2 {
		r.setStep(item{value: places[0].value, of: places[0].of}, 2)
	}
	r.nplace = 0
}

// index returns the index of a metric, or -1.
func (p *Parser) index(name string) int {
	for i, m := range p.metrics {
		if m.Name == name {
			return i
		}
	}
	return -1
}

// rename gives a metric another name, if that is free.
func (p *Parser) rename(from, to string) {
	if i := p.index(from); i >= 0 && p.index(to) < 0 {
		p.metrics[i].Name = to
	}
}

// heldOut makes a record one of held-out data: its loss is name, and what else it measures is not training's.
func (p *Parser) heldOut(name string) {
	p.rename("loss", name)
	kept := p.metrics[:0]
	for _, m := range p.metrics {
		if m.Name == name || !Shared(m.Name) {
			kept = append(kept, m)
		} else if m.Name == "perplexity" && p.index("valid_ppl") < 0 {
			kept = append(kept, run.Metric{Name: "valid_ppl", Value: m.Value})
		}
	}
	p.metrics = kept
}

// record makes a sample of a reading. The epoch becomes a metric; first is the number of the first epoch, for steps that start again
// with each.
func (p *Parser) record(r reading, first float64) Result {
	s := run.Sample{Step: r.step, HasStep: r.rank > 0}
	res := Result{Kind: KindSample}
	if r.inEpoch && p.index("epoch") < 0 && len(p.metrics) < MaxMetrics {
		p.add("epoch", r.epoch)
	}
	if r.rank > 0 && r.rank <= 2 && r.inEpoch {
		if past := (r.epoch - first) * r.of; past > 0 && past < maxStep {
			res.Before, _ = wholeStep(past)
		}
	}
	s.Metrics = p.metrics
	res.Sample = s
	return res
}

// held reports whether a word says that a record is about held-out data.
func held(b []byte) bool {
	for _, word := range [...]string{"val", "Val", "eval", "Eval", "test", "Test", "TEST", "sanity", "Sanity", "dev ", "nfer", "redict"} {
		if bytes.Contains(b, []byte(word)) {
			return true
		}
	}
	return false
}
