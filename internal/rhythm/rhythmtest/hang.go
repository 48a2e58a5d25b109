// Package rhythmtest simulates training runs of varied rhythm, to measure how soon package rhythm sees what is wrong, and how often it
// is mistaken.
package rhythmtest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/rhythm"
)

// Kinds are the rhythms of simulated runs.
var Kinds = [...]string{"constant", "jitter", "heavy tail", "drift", "step change", "pauses"}

// lookEvery is how often a console looks for hangs.
const lookEvery = 5 * time.Second

// Hangs is what a simulation of [SimulateHangs] found.
type Hangs struct {
	Runs, Reports int
	// FalseAlarms counts alarms while a run went on, and FalseRuns the runs that had any.
	FalseAlarms, FalseRuns int
	ByKind                 map[string]int // false alarms
	// Delays are from the last report until the alarm, by run, sorted; Steps the same in typical reports. Quick are the delays of runs that
	// report every ten seconds or oftener, outside of syncs, checkpoints and evaluations.
	Delays, Quick []time.Duration
	Steps         []float64
}

// Quantile is of the delays; q is 0 to 1.
func (h Hangs) Quantile(q float64) time.Duration { return quantile(h.Delays, q) }

func quantile[T any](sorted []T, q float64) T {
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// String is the figures in some lines.
func (h Hangs) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d runs, %d reports of steps: %d false alarms in %d runs (%.2f per million reports)\n", h.Runs, h.Reports, h.FalseAlarms, h.FalseRuns, 1e6*float64(h.FalseAlarms)/float64(h.Reports))
	for _, k := range Kinds {
		fmt.Fprintf(&b, "  %s: %d\n", k, h.ByKind[k])
	}
	fmt.Fprintf(&b, "seen after: median %v, 90%% %v, 99%% %v, longest %v; in typical reports: median %.0f, 90%% %.0f\n",
		h.Quantile(.5).Round(time.Second), h.Quantile(.9).Round(time.Second), h.Quantile(.99).Round(time.Second), h.Quantile(1).Round(time.Second), quantile(h.Steps, .5), quantile(h.Steps, .9))
	fmt.Fprintf(&b, "of %d runs with quick reports, in a plain step: median %v, 90%% %v, longest %v\n", len(h.Quick), quantile(h.Quick, .5).Round(time.Second), quantile(h.Quick, .9).Round(time.Second), quantile(h.Quick, 1).Round(time.Second))
	return b.String()
}

// plan is the rhythm of a simulated run.
type plan struct {
	r        *rand.Rand
	kind     string
	step     float64 // seconds
	stride   int64
	total    int64
	compile  float64
	every    [3]int64   // steps between syncs, checkpoints, evaluations; 0 for none
	takes    [3]float64 // seconds
	expected rhythm.Expected
}

func newPlan(r *rand.Rand) plan {
	between := func(low, high float64) float64 { return low * math.Pow(high/low, r.Float64()) } // log-uniform
	p := plan{r: r, kind: Kinds[r.IntN(len(Kinds))], step: between(0.05, 60), stride: 1, total: int64(between(300, 3000)), compile: between(1, 900)}
	if r.IntN(4) == 0 {
		p.stride = 10
		p.total *= 5
	}
	if r.IntN(2) == 0 {
		p.every[0], p.takes[0] = int64(between(10, 500)), between(0.2, 120)
		p.expected.Sync = p.every[0]
	}
	if r.IntN(3) > 0 {
		base := max(1, p.every[0])
		p.every[1], p.takes[1] = base*int64(1+r.IntN(10)), between(0.5, 300)
		if p.every[0] == 0 {
			p.every[1] *= 50
		}
		p.expected.Checkpoint = p.every[1]
	}
	if r.IntN(3) == 0 {
		p.every[2], p.takes[2] = int64(between(100, 1000)), between(2, 600)
		p.expected.Evaluation = true
	}
	return p
}

// duration is of a step.
func (p plan) duration(step int64) float64 {
	at := float64(step) / float64(p.total)
	switch p.kind {
	case "jitter":
		return p.step * max(0.2, 1+0.3*p.r.NormFloat64())
	case "heavy tail":
		return p.step * math.Exp(0.5*p.r.NormFloat64())
	case "drift":
		return p.step * (1 + at) * (1 + 0.1*p.r.NormFloat64())
	case "step change":
		if at > 0.5 {
			return 2.5 * p.step * (1 + 0.1*p.r.NormFloat64())
		}
		return p.step * (1 + 0.1*p.r.NormFloat64())
	case "pauses": // of data, garbage collection or a shared disk: one step in a hundred takes some times as long
		if p.r.IntN(100) == 0 {
			return p.step * (1 + 3*math.Min(20, math.Pow(p.r.Float64(), -0.5)))
		}
	}
	return p.step * (1 + 0.02*p.r.NormFloat64())
}

// run simulates until a worker hangs, and calls late for each interval that exceeds its limit. It returns the wait until the alarm for
// the hang, and whether that was in a plain step.
func (p plan) run(late func()) (delay time.Duration, plain bool, reports int) {
	at := time.Unix(0, 0)
	w := rhythm.NewWorker(p.expected, at)
	after := func(s float64) { at = at.Add(time.Duration(s * float64(time.Second))) }
	after(p.compile)
	hang := p.total/10 + p.r.Int64N(p.total*9/10)
	var marks rhythm.Mark
	for step := int64(1); ; step++ {
		after(p.duration(step))
		if step%p.stride == 0 || step == 1 {
			seen := at.Add(time.Duration(p.r.ExpFloat64() * float64(500*time.Millisecond))) // the log's way to the console
			if wait := seen.Sub(w.At()); wait > rhythm.Floor {
				if limit, _ := w.Limit(); wait > limit {
					late()
				}
			}
			w.Mark(marks)
			w.Report(step, seen, 0)
			marks = 0
			if reports++; step >= hang {
				limit, due := w.Limit()
				return limit + time.Duration(p.r.Float64()*float64(lookEvery)), due == 0, reports
			}
		}
		for i, every := range p.every {
			if every > 0 && step%every == 0 {
				after(p.takes[i] * math.Exp(0.4*p.r.NormFloat64()))
				marks |= 1 << i
			}
		}
	}
}

// quick is the seconds between two reports of a run that has many.
const quick = 10

// SimulateHangs simulates runs that hang in the end.
func SimulateHangs(runs int, seed uint64) Hangs {
	h := Hangs{Runs: runs, ByKind: map[string]int{}}
	for i := range runs {
		p := newPlan(rand.New(rand.NewPCG(seed, uint64(i)))) // #nosec G404 -- to be repeated
		alarms := 0
		delay, plain, reports := p.run(func() { alarms++ })
		h.Reports += reports
		h.FalseAlarms += alarms
		h.ByKind[p.kind] += alarms
		if alarms > 0 {
			h.FalseRuns++
		}
		h.Delays = append(h.Delays, delay)
		if plain && p.step*float64(p.stride) <= quick {
			h.Quick = append(h.Quick, delay)
		}
		h.Steps = append(h.Steps, delay.Seconds()/p.step/float64(p.stride))
	}
	slices.Sort(h.Delays)
	slices.Sort(h.Quick)
	slices.Sort(h.Steps)
	return h
}
