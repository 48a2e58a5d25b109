package run

import (
	"fmt"
	"math"
)

// Diverged is the first loss of an attempt, by step, that was no finite number.
type Diverged struct {
	Step int64
	Rank int // the worker that reported it
}

// Finite reports whether a value is neither NaN nor infinite.
func Finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// LossNotice says that the loss is no finite number and since when, "" while it is one.
func (r *Run) LossNotice() string {
	p := r.Progress
	switch {
	case !p.HasLoss || Finite(p.Loss):
		return ""
	case r.Diverged != nil:
		return fmt.Sprintf("the loss is %v since step %d", p.Loss, r.Diverged.Step)
	}
	return fmt.Sprintf("the loss is %v at step %d", p.Loss, p.Step)
}
