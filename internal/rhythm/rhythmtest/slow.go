package rhythmtest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/cotrain/cotrain/internal/rhythm"
)

// Stragglers is what a simulation of [SimulateStragglers] found.
type Stragglers struct {
	Runs, Looks int
	False       int   // looks that named a worker that was not slow
	Missed      int   // runs whose slow worker was not named
	Delays      []int // in steps of the slow worker, sorted
}

// String is the figures in a line.
func (s Stragglers) String() string {
	return fmt.Sprintf("%d runs, %d looks: %d false, %d missed, named after: median %d, 90%% %d, longest %d steps", s.Runs, s.Looks, s.False, s.Missed,
		quantile(s.Delays, .5), quantile(s.Delays, .9), s.Delays[len(s.Delays)-1])
}

// SimulateStragglers simulates runs of 2 to 8 workers, of which one becomes 1.8 to 5 times as slow.
func SimulateStragglers(runs int, seed uint64) Stragglers {
	var out Stragglers
	out.Runs = runs
	for i := range runs {
		out.one(rand.New(rand.NewPCG(seed, uint64(i)))) // #nosec G404 -- to be repeated
	}
	slices.Sort(out.Delays)
	return out
}

func (s *Stragglers) one(r *rand.Rand) {
	p := newPlan(r)
	for p.kind == "step change" { // of which each worker has its own here
		p = newPlan(r)
	}
	p.total = 600
	n, slow, begins, factor := 2+r.IntN(7), 0, int64(200), 1.8+3.2*r.Float64()
	slow = r.IntN(n)
	workers, at, own := make([]*rhythm.Worker, n), make([]time.Time, n), make([]float64, n)
	for i := range workers {
		at[i] = time.Unix(0, 0)
		workers[i], own[i] = rhythm.NewWorker(p.expected, at[i]), 1+0.1*r.Float64()
	}
	was := func(int) bool { return false }
	for step := int64(1); step <= p.total; step++ {
		for i, w := range workers {
			d := p.duration(step) * own[i]
			if i == slow && step > begins {
				d *= factor
			}
			at[i] = at[i].Add(time.Duration(d * float64(time.Second)))
			w.Report(step, at[i], 0)
		}
		if step%5 != 0 {
			continue
		}
		s.Looks++
		for _, f := range rhythm.FindStragglers(workers, was) {
			if f.Rank == slow && step > begins {
				s.Delays = append(s.Delays, int(step-begins))
				return
			}
			s.False++
		}
	}
	s.Missed++
}
