package rhythm

import "math"

// Trouble is what is wrong with a loss.
type Trouble uint8

// The troubles.
const (
	Fine Trouble = iota
	NotFinite
	Diverged
	Plateau
)

// The rules of losses; docs/failures.md explains them.
const (
	notFiniteInRow = 3   // losses that are NaN or infinite
	highInRow      = 10  // losses far above the usual
	lossWindow     = 128 // what is usual
	lossLearned    = 50
	lossSigmas     = 8.0
	lossShare      = 0.1 // of the usual, at least
	onsetPart      = 16  // losses that tell a level of which a rise began
	onsetSigmas    = 2.0 // above that: ordinary noise

	leastHorizon  = 512  // reports that a plateau spans at least
	horizonShare  = 10   // one part in so many of all steps is a plateau's span otherwise
	horizonBlocks = 16   // means that the span is cut into
	flatInRow     = 8    // times that it did not fall
	mostBlocks    = 256  // that are remembered, for where a plateau began: of a run that is not repeated, all
	blockSigmas   = 3.0  // above the level of a plateau: ordinary noise
	plateauShare  = 2e-3 // of the loss: less than that it falls within a span, surely
)

// usualEvery is after how many losses the usual is computed again.
const usualEvery = 16

// Loss watches the losses of a worker. The zero value is not ready; see [NewLoss].
type Loss struct {
	recent    window
	steps     [lossWindow]int64 // of the values of recent
	added     int
	usual     float64
	high      float64 // above which a loss is far from usual
	bad, over int     // in a row
	first     int64   // step of the first of either

	block  int // losses in a block
	now    mean
	blocks []mean // the newest mostBlocks, of which 2*horizonBlocks tell a plateau
	flat   int    // times in a row that it did not fall

	told [Plateau + 1]bool
}

// mean is a running mean and variance.
type mean struct {
	n         int
	mean, sum float64 // sum of squared distances
	step      int64   // of its first
}

func (m *mean) add(v float64) {
	m.n++
	d := v - m.mean
	m.mean += d / float64(m.n)
	m.sum += d * (v - m.mean)
}

// means is the mean of blocks.
func means(blocks []mean) (m mean) {
	for _, b := range blocks {
		m.add(b.mean)
	}
	return m
}

// NewLoss watches a run of so many steps in all, of which one in stride is reported.
func NewLoss(steps, stride int64) *Loss {
	l := &Loss{high: math.Inf(1)}
	l.Expect(steps, stride)
	return l
}

// Expect says how long the run is, of which one step in stride is reported, where that becomes known later. What was learned stays.
func (l *Loss) Expect(steps, stride int64) {
	l.block = int(horizon(steps, stride) / horizonBlocks)
}

// horizon is how many reports a plateau spans.
func horizon(steps, stride int64) int64 { return max(leastHorizon, steps/max(1, stride)/horizonShare) }

// Memory is how many losses before the newest decide about the next, for a run of so many steps in all of which one in stride is reported:
// for a divergence, and for a plateau.
func Memory(steps, stride int64) (divergence, plateau int64) {
	span := horizon(steps, stride)
	return lossWindow + usualEvery, 2*span + (flatInRow+1)*span/horizonBlocks
}

// Again begins another attempt, which is compared with what was learned: what was told of earlier ones may be told again.
func (l *Loss) Again() {
	l.told, l.flat = [Plateau + 1]bool{}, 0
}

// Add takes the loss of a step and returns the trouble that it completes, each once, and the step where that began.
func (l *Loss) Add(step int64, loss float64) (Trouble, int64) {
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		if l.bad++; l.bad == 1 {
			l.first = step
		}
		if l.bad >= notFiniteInRow {
			return l.tell(NotFinite, l.first)
		}
		return Fine, 0
	}
	if l.bad > 0 {
		l.bad, l.over = 0, 0
	}
	if loss > l.high {
		if l.over++; l.over == 1 {
			l.first = step
		}
		if l.over < highInRow {
			return Fine, 0 // a spike is not learned
		}
		t, since := l.tell(Diverged, l.onset())
		*l = Loss{high: math.Inf(1), block: l.block, told: l.told, usual: l.usual} // it learns anew
		return t, since
	}
	l.over = 0
	l.learn(step, loss)
	return l.falls(step, loss)
}

func (l *Loss) tell(t Trouble, since int64) (Trouble, int64) {
	if l.told[t] {
		return Fine, 0
	}
	l.told[t] = true
	return t, since
}

// onset is where the rise began that came to be far above the usual: the step after the newest loss before it which was still usual. The
// median of all that is remembered lags behind a loss that falls, so the level is the lowest that a part of it had.
func (l *Loss) onset() int64 {
	n := l.recent.len()
	at := func(back int) int { return (l.added - 1 - back) % lossWindow } // the place of a loss so many before the newest
	usual := math.Inf(1)
	part := make([]float64, onsetPart)
	for from := 0; from+onsetPart <= n; from += onsetPart / 2 {
		for i := range part {
			part[i] = l.recent.values[at(from+i)]
		}
		if median, deviation := spread(part); median+onsetSigmas*deviation < usual {
			usual = median + onsetSigmas*deviation
		}
	}
	for back := range n {
		if i := at(back); l.recent.values[i] <= usual {
			return min(l.first, l.steps[i]+1)
		}
	}
	return l.first
}

func (l *Loss) learn(step int64, loss float64) {
	l.steps[l.added%lossWindow] = step
	l.recent.add(loss, lossWindow)
	if l.added++; l.added < lossLearned || l.added%usualEvery != 0 {
		return
	}
	median, deviation := spread(l.recent.values)
	l.usual = median
	l.high = median + max(lossSigmas*deviation, lossShare*math.Abs(median))
}

// falls finds plateaus: spans in which the mean loss is surely hardly lower than in the span before.
func (l *Loss) falls(step int64, loss float64) (Trouble, int64) {
	if l.now.n == 0 {
		l.now.step = step
	}
	l.now.add(loss)
	if l.now.n < l.block {
		return Fine, 0
	}
	l.blocks = append(l.blocks, l.now)
	l.now = mean{}
	if extra := len(l.blocks) - mostBlocks; extra > 0 {
		l.blocks = append(l.blocks[:0], l.blocks[extra:]...)
	}
	first := len(l.blocks) - 2*horizonBlocks
	if first < 0 {
		return Fine, 0
	}
	before, after := means(l.blocks[first:first+horizonBlocks]), means(l.blocks[first+horizonBlocks:])
	// The means of blocks tell how sure the difference is, as single losses that follow each other do not.
	unsure := math.Sqrt((before.sum + after.sum) / (horizonBlocks - 1) / horizonBlocks)
	if before.mean-after.mean+unsure > plateauShare*math.Abs(before.mean) {
		l.flat = 0
		return Fine, 0
	}
	if l.flat++; l.flat < flatInRow {
		return Fine, 0
	}
	return l.tell(Plateau, l.levelled(first+horizonBlocks, after))
}

// levelled is where the level of a plateau was reached: the first step of the blocks before a place that are hardly above it.
func (l *Loss) levelled(at int, level mean) int64 {
	noise := math.Sqrt(level.sum / (horizonBlocks - 1))
	most := level.mean + plateauShare*math.Abs(level.mean) + blockSigmas*noise
	for at > 0 && l.blocks[at-1].mean <= most {
		at--
	}
	return l.blocks[at].step
}

// Flat reports whether the loss does not fall, as far as the newest losses tell.
func (l *Loss) Flat() bool { return l.flat >= flatInRow }

// Usual is the median of late, or before a divergence; 0 until it is known.
func (l *Loss) Usual() float64 { return l.usual }
