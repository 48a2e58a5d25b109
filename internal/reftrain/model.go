package reftrain

import (
	"fmt"
	"math"
)

// modelSize is the size of the network that a name_model maps to. They only keep the order of the real models; all
// are small enough for a CPU.
type modelSize struct{ context, emb, hidden int }

func sizeOf(name string) (modelSize, error) {
	switch name {
	case "debugmodel":
		return modelSize{8, 16, 64}, nil
	case "70M":
		return modelSize{8, 16, 96}, nil
	case "150M", "271M":
		return modelSize{10, 24, 128}, nil
	case "1B":
		return modelSize{12, 24, 160}, nil
	case "7B", "10B", "13B":
		return modelSize{12, 32, 192}, nil
	case "26B", "70B":
		return modelSize{16, 32, 256}, nil
	}
	return modelSize{}, fmt.Errorf("name_model %q is not known", cut(name))
}

// model predicts each byte of a sample from the bytes before it, at most context of them: the embeddings of the
// context go through one tanh layer to a softmax over the vocabulary.
//
// The first layer is computed from a table that holds embedding x weight for every slot and token. The table is made
// once a step, so that a position costs additions instead of a matrix product; its gradient is collected in a table of
// the same form and taken back to embeddings and weights once a step.
type model struct {
	modelSize
	vocab  int // tokens 0 to vocab-1; token vocab stands for "before the sample"
	params []float64

	embed, w1, b1, w2, b2 []float64 // views of params

	table, dtable []float64 // [slot][token][hidden]

	hid, dhid, logits []float64 // scratch of one position
	ctxRow            []int
}

func newModel(size modelSize, vocab int) *model {
	m := &model{modelSize: size, vocab: vocab}
	m.params = make([]float64, m.count())
	m.embed, m.w1, m.b1, m.w2, m.b2 = m.split(m.params)
	rows := size.context * (vocab + 1) * size.hidden
	m.table, m.dtable = make([]float64, rows), make([]float64, rows)
	m.hid, m.dhid = make([]float64, size.hidden), make([]float64, size.hidden)
	m.logits = make([]float64, vocab)
	m.ctxRow = make([]int, size.context)
	return m
}

func (m *model) embedCount() int { return (m.vocab + 1) * m.emb }

// count is the number of parameters, embeddings included.
func (m *model) count() int {
	return m.embedCount() + m.context*m.emb*m.hidden + m.hidden + m.vocab*m.hidden + m.vocab
}

// flopPerToken is the usual 6 operations per parameter outside the embeddings.
func (m *model) flopPerToken() float64 { return 6 * float64(m.count()-m.embedCount()) }

func (m *model) split(p []float64) (embed, w1, b1, w2, b2 []float64) {
	take := func(n int) []float64 {
		s := p[:n:n]
		p = p[n:]
		return s
	}
	return take(m.embedCount()), take(m.context * m.emb * m.hidden), take(m.hidden), take(m.vocab * m.hidden), take(m.vocab)
}

// initialise fills the parameters from the seed, the same on every worker.
func (m *model) initialise(seed uint64) {
	r := counterRand{seed: seed}
	fill := func(p []float64, scale float64) {
		for i := range p {
			p[i] = scale * r.normal()
		}
	}
	fill(m.embed, 1)
	fill(m.w1, 1/math.Sqrt(float64(m.context*m.emb)))
	fill(m.w2, 1/math.Sqrt(float64(m.hidden)))
}

// prepare makes the table for the present parameters and forgets collected gradients. It precedes the samples of a step.
func (m *model) prepare() {
	clear(m.dtable)
	clear(m.table)
	for slot := range m.context {
		w := m.w1[slot*m.emb*m.hidden:]
		for tok := range m.vocab + 1 {
			row := m.tableRow(m.table, slot, tok)
			for e, x := range m.embed[tok*m.emb : (tok+1)*m.emb] {
				axpy(x, w[e*m.hidden:(e+1)*m.hidden], row)
			}
		}
	}
}

func (m *model) tableRow(table []float64, slot, tok int) []float64 {
	i := (slot*(m.vocab+1) + tok) * m.hidden
	return table[i : i+m.hidden : i+m.hidden]
}

// sample adds the gradient of scale x (cross entropy + zWeight x z-loss), summed over the positions of one sample, to
// grad and the tables, and returns the two sums without scale. tokens holds one more token than there are positions.
func (m *model) sample(tokens []byte, scale, zWeight float64, grad []float64) (ce, z float64) {
	_, _, gb1, gw2, gb2 := m.split(grad)
	for pos := 1; pos < len(tokens); pos++ {
		m.forward(tokens, pos)
		target := int(tokens[pos])
		logit := m.logits[target]
		lse := softmax(m.logits)
		ce += lse - logit
		z += lse * lse
		clear(m.dhid)
		for v, p := range m.logits { // now probabilities
			d := p * (1 + 2*zWeight*lse)
			if v == target {
				d--
			}
			d *= scale
			gb2[v] += d
			w := m.w2[v*m.hidden : (v+1)*m.hidden]
			backRow(d, m.hid, w, gw2[v*m.hidden:(v+1)*m.hidden], m.dhid)
		}
		for h, y := range m.hid {
			m.dhid[h] *= 1 - y*y
		}
		axpy(1, m.dhid, gb1)
		for slot, tok := range m.ctxRow {
			axpy(1, m.dhid, m.tableRow(m.dtable, slot, tok))
		}
	}
	return ce, z
}

// forward fills hid, logits and ctxRow for the prediction of tokens[pos].
func (m *model) forward(tokens []byte, pos int) {
	copy(m.hid, m.b1)
	for slot := range m.context {
		tok := m.vocab
		if i := pos - 1 - slot; i >= 0 {
			tok = int(tokens[i])
		}
		m.ctxRow[slot] = tok
		axpy(1, m.tableRow(m.table, slot, tok), m.hid)
	}
	for h, x := range m.hid {
		m.hid[h] = math.Tanh(x)
	}
	for v := range m.logits {
		m.logits[v] = m.b2[v] + dot(m.hid, m.w2[v*m.hidden:(v+1)*m.hidden])
	}
}

// finish takes the collected table back to embeddings and first-layer weights. It follows the samples of a step.
func (m *model) finish(grad []float64) {
	ge, gw1, _, _, _ := m.split(grad)
	for slot := range m.context {
		w, gw := m.w1[slot*m.emb*m.hidden:], gw1[slot*m.emb*m.hidden:]
		for tok := range m.vocab + 1 {
			d := m.tableRow(m.dtable, slot, tok)
			for e := range m.emb {
				i := tok*m.emb + e
				ge[i] += dot(d, w[e*m.hidden:(e+1)*m.hidden])
				axpy(m.embed[i], d, gw[e*m.hidden:(e+1)*m.hidden])
			}
		}
	}
}

// softmax turns logits into probabilities and returns log(sum(exp(logits))).
func softmax(logits []float64) float64 {
	top := math.Inf(-1)
	for _, x := range logits {
		top = max(top, x)
	}
	sum := 0.0
	for i, x := range logits {
		e := math.Exp(x - top)
		logits[i] = e
		sum += e
	}
	inv := 1 / sum
	for i := range logits {
		logits[i] *= inv
	}
	return top + math.Log(sum)
}

// The loops below touch nothing but one worker's own arrays; without the race detector's hooks in them, tests under it
// take seconds instead of minutes.

// dot keeps four sums, which the processor can work on at once; their order is fixed, so results repeat.
//
//go:norace
func dot(a, b []float64) float64 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float64
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += a[i] * b[i]
		s1 += a[i+1] * b[i+1]
		s2 += a[i+2] * b[i+2]
		s3 += a[i+3] * b[i+3]
	}
	for ; i < len(a); i++ {
		s0 += a[i] * b[i]
	}
	return (s0 + s1) + (s2 + s3)
}

// axpy adds a*x to y.
//
//go:norace
func axpy(a float64, x, y []float64) {
	y = y[:len(x)]
	i := 0
	for ; i+4 <= len(x); i += 4 {
		y[i] += a * x[i]
		y[i+1] += a * x[i+1]
		y[i+2] += a * x[i+2]
		y[i+3] += a * x[i+3]
	}
	for ; i < len(x); i++ {
		y[i] += a * x[i]
	}
}

// backRow does both halves of one output row in one pass: gw += d*h and dh += d*w.
//
//go:norace
func backRow(d float64, h, w, gw, dh []float64) {
	w, gw, dh = w[:len(h)], gw[:len(h)], dh[:len(h)]
	for i, x := range h {
		gw[i] += d * x
		dh[i] += d * w[i]
	}
}
