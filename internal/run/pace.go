package run

import (
	"math"
	"time"
)

// Pace is how many seconds a step takes lately, syncs, checkpoints and evaluations included: between Low and High. Zero is unknown.
type Pace struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// paceDiffers is from which share on another pace is another forecast.
const paceDiffers = 0.03

// Differs reports whether another pace is worth telling.
func (p Pace) Differs(other Pace) bool {
	far := func(a, b float64) bool { return math.Abs(a-b) > paceDiffers*max(a, b) }
	return far(p.Low, other.Low) || far(p.High, other.High)
}

// longestLeft bounds forecasts.
const longestLeft = 10 * 365 * 24 * time.Hour

// TimeLeft is how long the rest of a run takes at its recent pace, at least and at most; false when nothing can be said, as of a run that
// hangs.
func (r Run) TimeLeft(now time.Time) (low, high time.Duration, ok bool) {
	steps := r.StepsTotal - r.Progress.Step
	if r.State != Running && r.State != Degraded || r.Notice(NoticeHang) != nil || steps <= 0 || r.Progress.Step <= 0 || r.Pace.High <= 0 {
		return 0, 0, false
	}
	if r.Pace.High*float64(steps) > longestLeft.Seconds() {
		return 0, 0, false
	}
	waited := max(0, now.Sub(r.Progress.UpdatedAt)) // since that step
	left := func(pace float64) time.Duration {
		return max(0, time.Duration(pace*float64(steps)*float64(time.Second))-waited)
	}
	return left(r.Pace.Low), left(r.Pace.High), true
}
