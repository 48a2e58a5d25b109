package trainconf

import (
	"math"
	"slices"
)

// RatePoint is the learning rate of the inner optimiser after so many steps: what the core reports as inner_lr with that
// step. The next step is taken with it.
type RatePoint struct {
	Step int64   `json:"step"`
	LR   float64 `json:"lr"`
}

// curvePoints is how many points a curve has besides its corners.
const curvePoints = 200

// Curve is the learning rate over the run, computed as the core does, at evenly spread steps and at each corner. Steps is
// where the run really ends, which with DiLoCo may be after the last step of the schedule.
func (c Config) curve(steps int64) []RatePoint {
	warmup, stable, total := c.number("optim.warmup_steps"), c.number("optim.stable_steps"), c.number("optim.total_steps")
	at := []int64{0, warmup, total, steps}
	if c.Effective("optim.sched_type") == "wsd-sqrt" {
		at = append(at, stable)
		for i := int64(1); i <= 5; i++ { // the root falls steeply at first
			at = append(at, stable+(total-stable)*i*i/1000)
		}
	}
	for i := range int64(curvePoints) {
		at = append(at, int64(float64(steps)*float64(i)/curvePoints))
	}
	slices.Sort(at)
	rate := c.LearningRate()
	out := []RatePoint{}
	for _, step := range slices.Compact(at) {
		if step >= 0 && step <= steps {
			out = append(out, RatePoint{step, rate(step)})
		}
	}
	return out
}

// LearningRate returns the schedule of the learning rate, by the number of steps; see [RatePoint]. cosine and linear are those of
// transformers (optimization.py, get_cosine_schedule_with_warmup with half a cycle and get_linear_schedule_with_warmup), wsd-sqrt
// is the core's own (lr_scheduler.py). A cosine that goes on after its last step rises again, in transformers too.
func (c Config) LearningRate() func(step int64) float64 {
	peak, warmup, stable, total := c.float("optim.optim.lr"), c.float("optim.warmup_steps"), c.float("optim.stable_steps"), c.float("optim.total_steps")
	after := func(t float64) float64 { return (1 + math.Cos(math.Pi*(t-warmup)/math.Max(1, total-warmup))) / 2 }
	switch c.Effective("optim.sched_type") {
	case "linear":
		after = func(t float64) float64 { return (total - t) / math.Max(1, total-warmup) }
	case "wsd-sqrt":
		after = func(t float64) float64 {
			if t < stable || total <= stable { // then the rules refuse more steps than stable
				return 1
			}
			return 1 - math.Sqrt((t-stable)/(total-stable))
		}
	}
	return func(step int64) float64 {
		t := float64(step)
		if t < warmup {
			return peak * (t / math.Max(1, warmup))
		}
		return peak * math.Max(0, after(t))
	}
}
