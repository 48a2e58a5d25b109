package run

import (
	"cmp"
	"fmt"
	"math"
)

// Diverged is the first non-finite loss of an attempt, by step.
type Diverged struct {
	Step int64 `json:"step"`
	Rank int   `json:"rank"` // the worker that reported it
}

// Finite reports whether a value is neither NaN nor infinite.
func Finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// LossNotice says since when the loss is not finite, "" while it is.
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

// Spoiled says since when the loss of the newest attempt, if that is the one, is wrong; "" if it is not.
func (r *Run) Spoiled(a Attempt) string {
	if _, spoiled := r.spoiledFrom(); a.Number != r.Attempt || !spoiled {
		return ""
	}
	if n := r.Notice(NoticeDiverged); n != nil || r.Diverged == nil {
		return Sentence(cmp.Or(n, r.Notice(NoticeNotFinite)).Text)
	}
	return fmt.Sprintf("The loss of worker %d is not finite since step %d.", r.Diverged.Rank, r.Diverged.Step)
}
