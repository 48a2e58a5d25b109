package mesh

import "math"

// Usual is how rounds go, by the median of the newest: what the arithmetic of other settings starts from.
type Usual struct {
	Rounds  int     // that it is of
	Members int     // workers
	Steps   int64   // inner steps of a round
	Step    float64 // seconds of an inner step of the straggler, which all wait for
	Reduce  float64 // seconds of the all-reduce alone
	Wait    float64 // seconds that a worker waits, the mean over workers
	Seconds float64 // of a round
}

// Usual sums up the newest rounds; ok is false where there are too few.
func (m *Mesh) Usual() (u Usual, ok bool) {
	var members, step, reduce, wait, seconds []float64
	for i := len(m.Rounds) - 1; i >= 0 && len(seconds) < usualRounds; i-- {
		r := &m.Rounds[i]
		if r.Straggler < 0 || r.Steps != m.InnerSteps || r.Steps == 0 || r.Seconds() <= r.Reduce {
			continue
		}
		members = append(members, float64(r.Members))
		step = append(step, (r.Seconds()-r.Reduce)/float64(r.Steps))
		reduce, seconds = append(reduce, r.Reduce), append(seconds, r.Seconds())
		wait = append(wait, r.Cost/float64(r.Members))
	}
	if len(seconds) == 0 {
		return u, false
	}
	return Usual{len(seconds), int(median(members)), m.InnerSteps, median(step), median(reduce), median(wait), median(seconds)}, true
}

// Share is the share of a round that is not the all-reduce.
func (u Usual) Share() float64 { return 1 - u.Reduce/(u.Reduce+float64(u.Steps)*u.Step) }

// PerStep is how long a step takes, with its share of the sync.
func (u Usual) PerStep() float64 { return u.Step + u.Reduce/float64(u.Steps) }

// Shares of the time that all-reduces take: more than tooMuch is worth fewer syncs, which aim at enough.
const (
	tooMuch = 0.10
	enough  = 0.05
)

// InnerStepsFor is how many inner steps would have the all-reduce take a twentieth of the time; ok is false where it takes no more than
// a tenth.
func (u Usual) InnerStepsFor() (n int64, ok bool) {
	const most = 1_000_000
	if u.Step <= 0 || 1-u.Share() <= tooMuch {
		return 0, false
	}
	n = int64(min(most, math.Ceil(u.Reduce*(1-enough)/(enough*u.Step))))
	return n, n > u.Steps
}

// With is how rounds would go with other inner steps and another duration of the all-reduce.
func (u Usual) With(steps int64, reduce float64) Usual {
	u.Steps, u.Reduce = steps, reduce
	u.Seconds = u.Step*float64(steps) + reduce
	return u
}

// Without is what leaving workers out would have saved.
type Without struct {
	Ranks  []int   // in the order of what they cost
	Before float64 // inner steps a second of all workers together
	After  float64
	Saved  float64 // seconds of a round, the mean
	Rounds int
}

// maxLeftOut bounds how many workers are left out in thought.
const maxLeftOut = 3

// WithoutSlowest works out which of the workers that cost most time the rest would have been faster without; ok is false for none.
func (m *Mesh) WithoutSlowest() (best Without, ok bool) {
	ranking := m.Ranking()
	var left []int
	for _, lane := range ranking[:min(len(ranking), maxLeftOut)] {
		left = append(left, lane.Rank)
		w := m.without(left)
		if w.After > w.Before && (!ok || w.After > best.After) {
			best, ok = w, true
		}
	}
	return best, ok
}

func (m *Mesh) without(ranks []int) Without {
	out := Without{Ranks: append([]int(nil), ranks...)}
	gone := map[int]bool{}
	for _, rank := range ranks {
		gone[m.lane[rank]] = true
	}
	var seconds, saved, before, after float64
	for i := max(0, len(m.Rounds)-usualRounds); i < len(m.Rounds); i++ {
		r := &m.Rounds[i]
		if r.Straggler < 0 || r.Seconds() <= r.Reduce {
			continue
		}
		least, rest := math.Inf(1), 0
		for lane, c := range r.cells {
			if c.Member && !c.Failed && !gone[lane] {
				rest++
				least = min(least, float64(c.Sync))
			}
		}
		if rest < 2 {
			continue
		}
		out.Rounds++
		seconds, saved = seconds+r.Seconds(), saved+min(least-r.Reduce, r.Seconds()-r.Reduce)
		before, after = before+float64(r.Steps)*float64(r.Members), after+float64(r.Steps)*float64(rest)
	}
	if out.Rounds == 0 || seconds <= saved {
		return out
	}
	out.Before, out.After, out.Saved = before/seconds, after/(seconds-saved), saved/float64(out.Rounds)
	return out
}
