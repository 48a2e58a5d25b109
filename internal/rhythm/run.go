package rhythm

import (
	"slices"
	"time"
)

// Hang is that no worker goes on.
type Hang struct {
	Rank    int           // the worker that the others wait for, -1 where all stopped at the same place
	Step    int64         // its newest step, -1 before its first
	Since   time.Time     // of its newest step
	Limit   time.Duration // how long it could have taken
	Phases  Mark          // what the limit allows for
	Waiting []int         // workers that have gone further, and wait for it
	GoesOn  bool          // others have gone further, and go on
}

// FindHang says who hangs among workers by rank, if anyone does. Workers that are nil do not count. A worker that waits for others that
// are behind it and go on does not hang.
func FindHang(workers []*Worker, now time.Time) (Hang, bool) {
	late := make([]bool, len(workers))
	any := false
	for i, w := range workers {
		if w != nil {
			limit, _ := w.Limit()
			late[i] = now.Sub(w.at) > limit
			any = any || late[i]
		}
	}
	if !any {
		return Hang{}, false
	}
	first := -1 // of those that are late, the one that is least far
	for i, w := range workers {
		if late[i] && (first < 0 || w.step < workers[first].step) {
			first = i
		}
	}
	of := workers[first]
	together := of.expected.Sync > 0 && of.Started() // else workers do not wait for each other's reports
	h := Hang{Rank: first, Step: of.step, Since: of.at}
	h.Limit, h.Phases = of.Limit()
	same := 0
	for i, w := range workers {
		switch {
		case w == nil || i == first || !w.Started():
		case w.step < of.step:
			if together && h.Phases&Sync != 0 {
				return Hang{}, false // it is on its way
			}
		case w.step > of.step && w.quiet(now):
			h.Waiting = append(h.Waiting, i)
		case w.step > of.step:
			h.GoesOn = true
		case late[i]:
			same++
		}
	}
	if same > 0 && len(h.Waiting) == 0 && !h.GoesOn {
		h.Rank = -1
	}
	return h, true
}

// quiet reports whether a worker has been still for clearly longer than its steps take.
func (w *Worker) quiet(now time.Time) bool {
	stride, _ := spread(w.stride.values)
	median, _ := spread(w.plain.values)
	return now.Sub(w.at) > max(Floor/2, seconds(timesMost*max(1, stride)*median))
}

// Straggler is a worker that is slow.
type Straggler struct {
	Rank   int
	Recent float64 // seconds per step lately
	Others float64 // median of the others, 0 for none
	Best   float64 // its own lowest
}

// The rule of stragglers; see docs/failures.md.
const (
	slowerThanOthers = 1.5
	slowerThanBest   = 2.0
	stillSlow        = 1.25 // until a worker counts as slow no more
	othersAsBefore   = 1.3
	slowSigmas       = 6.0
	manyWorkers      = 32
)

// FindStragglers names the slow workers. was tells which were slow the last time: they stay so until they are clearly not.
func FindStragglers(workers []*Worker, was func(rank int) bool) []Straggler {
	type speed struct {
		rank         int
		recent, best float64
	}
	var known []speed
	for i, w := range workers {
		if w == nil {
			continue
		}
		if recent, best := w.Recent(); recent > 0 {
			known = append(known, speed{i, recent, best})
		}
	}
	if len(known) < 2 {
		return nil
	}
	var all, kept []float64
	for _, s := range known {
		all, kept = append(all, s.recent), append(kept, s.recent/s.best)
	}
	var out []Straggler
	median, deviation := spread(all)
	usual, _ := spread(kept)
	for i, s := range known {
		if len(known) < manyWorkers { // of the others; among many, one makes no difference
			median, deviation = spread(slices.Delete(slices.Clone(all), i, i+1))
			usual, _ = spread(slices.Delete(slices.Clone(kept), i, i+1))
		}
		ratio, own := slowerThanOthers, slowerThanBest
		if was(s.rank) {
			ratio, own = stillSlow, stillSlow*othersAsBefore
		}
		among := s.recent > ratio*median && s.recent-median > slowSigmas*deviation
		alone := s.recent > own*s.best && usual < othersAsBefore && s.recent > stillSlow*median
		if among || alone {
			out = append(out, Straggler{Rank: s.rank, Recent: s.recent, Others: median, Best: s.best})
		}
	}
	return out
}
