package mesh

import (
	"math"
	"slices"
)

// alignRounds is over how many rounds an offset is the median: enough that one odd round does not count, few enough that a clock that is
// set or a worker that moves to another node is soon known.
const alignRounds = 32

// deviation scales a median absolute deviation to a standard deviation of normal errors.
const deviation = 1.4826

// aligned are the ends of an attempt's rounds, by the console's clock.
type aligned struct {
	ends    []float64
	ranks   []int
	offsets []Offset // of each of ranks
	receipt bool
}

// end is when a worker's sync ended by its own clock; 0 where it does not tell.
func (s Sample) end() float64 {
	if s.Clock == 0 || s.Sync == 0 {
		return 0
	}
	return s.Clock + s.Sync
}

// align places the ends of rounds in time.
func align(rounds []Round, samples []Sample) aligned {
	a := aligned{ends: make([]float64, len(rounds))}
	index := map[int]int{}
	for _, s := range samples {
		if _, seen := index[s.Rank]; !seen {
			index[s.Rank] = 0
			a.ranks = append(a.ranks, s.Rank)
		}
	}
	slices.Sort(a.ranks)
	for i, rank := range a.ranks {
		index[rank] = i
	}
	a.offsets = make([]Offset, len(a.ranks))
	own := make([]float64, len(rounds)*len(a.ranks)) // by round, then rank
	at := make([]float64, len(rounds)*len(a.ranks))
	round := -1
	for i, s := range samples {
		if i == 0 || s.Step != samples[i-1].Step {
			round++
		}
		own[round*len(a.ranks)+index[s.Rank]], at[round*len(a.ranks)+index[s.Rank]] = s.end(), s.At
	}
	ref := reference(own, len(a.ranks))
	if ref < 0 {
		a.receipt = true
		a.fill(at)
		return a
	}
	rewind(own, len(a.ranks), ref)
	for first := 0; first < len(rounds); first += alignRounds {
		a.block(own, ref, first, min(first+alignRounds, len(rounds)))
	}
	a.toConsole(own, at, ref)
	a.fill(at)
	return a
}

// reference is whose clock the others are compared with: worker 0's, or that of the first of those that tell theirs most often.
func reference(own []float64, ranks int) int {
	best, most := -1, 0
	for i := range ranks {
		n := 0
		for k := i; k < len(own); k += ranks {
			if own[k] > 0 {
				n++
			}
		}
		if i == 0 && 2*n*ranks >= len(own) && n > 0 {
			return 0
		}
		if n > most {
			best, most = i, n
		}
	}
	return best
}

// rewind undoes what sets the reference's clock back: the round in which that happened is taken to have lasted as long as most.
func rewind(own []float64, ranks, ref int) {
	var took []float64
	last := 0.0
	for k := ref; k < len(own); k += ranks {
		if own[k] > 0 {
			if last > 0 && own[k] > last {
				took = append(took, own[k]-last)
			}
			last = own[k]
		}
	}
	usual := median(took)
	last, back := 0.0, 0.0
	for k := ref; k < len(own); k += ranks {
		if own[k] == 0 {
			continue
		}
		own[k] += back
		if last > 0 && own[k] <= last {
			more := last + usual - own[k]
			back, own[k] = back+more, own[k]+more
		}
		last = own[k]
	}
}

// block aligns the rounds of one block by the reference's clock.
func (a *aligned) block(own []float64, ref, first, last int) {
	ranks := len(a.ranks)
	offsets := make([]float64, ranks)
	var apart []float64
	for i := range ranks {
		apart = apart[:0]
		for k := first; k < last; k++ {
			if mine, its := own[k*ranks+i], own[k*ranks+ref]; mine > 0 && its > 0 {
				apart = append(apart, mine-its)
			}
		}
		if len(apart) == 0 {
			offsets[i] = math.NaN()
			continue
		}
		o := Offset{Known: true, Seconds: median(apart), Rounds: len(apart)}
		offsets[i] = o.Seconds
		for j, v := range apart {
			apart[j] = math.Abs(v - o.Seconds)
		}
		o.Spread = deviation * median(apart)
		if before := a.offsets[i]; before.Known && 2*o.Rounds < min(before.Rounds, alignRounds) && math.Abs(o.Seconds-before.Seconds) <= 3*before.Spread {
			o = before // a few new rounds do not make it less sure
		}
		a.offsets[i] = o
	}
	var ends []float64
	for k := first; k < last; k++ {
		ends = ends[:0]
		for i := range ranks {
			if v := own[k*ranks+i]; v > 0 && !math.IsNaN(offsets[i]) {
				ends = append(ends, v-offsets[i])
			}
		}
		if len(ends) > 0 {
			a.ends[k] = median(ends)
		}
	}
}

// readSoon is which of the delays between the reference's clock and receipt counts: one of the shortest, since a log may be read late.
const readSoon = 0.1

// toConsole shifts the ends from the reference's clock to the console's.
func (a *aligned) toConsole(own, at []float64, ref int) {
	var delays []float64
	for k := ref; k < len(own); k += len(a.ranks) {
		if own[k] > 0 {
			delays = append(delays, at[k]-own[k])
		}
	}
	slices.Sort(delays)
	shift := delays[int(readSoon*float64(len(delays)))]
	for k := range a.ends {
		if a.ends[k] > 0 {
			a.ends[k] += shift
		}
	}
}

// byReceipt takes the times of receipt for ends: the earliest of each round, as whoever is read late says nothing of it.
func (a *aligned) byReceipt(at []float64) {
	for k := range a.ends {
		for _, v := range at[k*len(a.ranks) : (k+1)*len(a.ranks)] {
			if v > 0 && (a.ends[k] == 0 || v < a.ends[k]) {
				a.ends[k] = v
			}
		}
	}
}

// fill places rounds of which no clock tells, and keeps all in order.
func (a *aligned) fill(at []float64) {
	receipt := aligned{ends: make([]float64, len(a.ends)), ranks: a.ranks}
	receipt.byReceipt(at)
	for k := range a.ends {
		if a.ends[k] == 0 {
			a.ends[k] = receipt.ends[k]
		}
		if k > 0 {
			a.ends[k] = max(a.ends[k], a.ends[k-1])
		}
	}
}

// median of values, which it sorts; 0 of none.
func median(v []float64) float64 {
	n := len(v)
	if n == 0 {
		return 0
	}
	slices.Sort(v)
	if n%2 == 1 {
		return v[n/2]
	}
	return (v[n/2-1] + v[n/2]) / 2
}
