package rhythmtest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/cotrain/cotrain/internal/rhythm"
)

// Losses is what a simulation of [SimulateLosses] found.
type Losses struct {
	Runs, Reports int
	// False counts wrong alarms by trouble, before anything is wrong.
	False map[rhythm.Trouble]int
	// Missed counts troubles that were not seen, and Delays are in reports of the loss, sorted, of those that were.
	Missed map[rhythm.Trouble]int
	Delays map[rhythm.Trouble][]int
}

// String is the figures in some lines.
func (l Losses) String() string {
	out := fmt.Sprintf("%d runs, %d losses\n", l.Runs, l.Reports)
	for t, name := range []string{"", "not finite", "diverged", "plateau"} {
		if t := rhythm.Trouble(t); t != rhythm.Fine {
			d := l.Delays[t]
			out += fmt.Sprintf("  %s: %d false, %d of %d missed", name, l.False[t], l.Missed[t], l.Missed[t]+len(d))
			if len(d) > 0 {
				out += fmt.Sprintf(", seen after: median %d, 90%% %d, longest %d reports", quantile(d, .5), quantile(d, .9), d[len(d)-1])
			}
			out += "\n"
		}
	}
	return out
}

// SimulateLosses simulates runs of which three in four end with a trouble.
func SimulateLosses(runs int, seed uint64) Losses {
	out := Losses{Runs: runs, False: map[rhythm.Trouble]int{}, Missed: map[rhythm.Trouble]int{}, Delays: map[rhythm.Trouble][]int{}}
	for i := range runs {
		out.one(rand.New(rand.NewPCG(seed, uint64(i))), rhythm.Trouble(i%4)) // #nosec G404 -- to be repeated
	}
	for _, d := range out.Delays {
		slices.Sort(d)
	}
	return out
}

// one simulates a run: a power law with correlated noise, and spikes of a few steps that pass.
func (l *Losses) one(r *rand.Rand, trouble rhythm.Trouble) {
	total := int64(3000 + r.IntN(20000))
	floor, drop, power := 1+2*r.Float64(), 3+5*r.Float64(), 0.15+0.25*r.Float64()
	noise, memory := 0.01+0.1*r.Float64(), 0.9*r.Float64()
	begins, drift, spike := total/4+r.Int64N(total/3), 0.0, 0
	if trouble == rhythm.Fine {
		begins = total
	}
	watch, at := rhythm.NewLoss(total, 1), 0.0
	for step := int64(1); step <= total; step++ {
		drift = memory*drift + math.Sqrt(1-memory*memory)*noise*r.NormFloat64()
		loss := floor + drop*math.Pow(float64(step), -power)
		if step >= begins {
			switch trouble {
			case rhythm.NotFinite:
				loss = math.NaN()
			case rhythm.Diverged:
				at += 0.02 + 0.1*r.Float64()
				loss += at
			case rhythm.Plateau:
				loss = floor + drop*math.Pow(float64(begins), -power)
			}
		}
		if spike--; spike < 0 && r.IntN(2000) == 0 {
			spike = 1 + r.IntN(6)
		}
		if spike > 0 {
			loss += 2 * r.Float64()
		}
		l.Reports++
		found, _ := watch.Add(step, loss+drift)
		switch {
		case found == rhythm.Fine:
		case step < begins || found != trouble:
			l.False[found]++
		default:
			l.Delays[trouble] = append(l.Delays[trouble], int(step-begins))
			return
		}
	}
	if trouble != rhythm.Fine {
		l.Missed[trouble]++
	}
}
