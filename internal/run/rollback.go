package run

import (
	"fmt"
	"slices"
	"strconv"
)

// Rollback is how a run went back because of its loss.
type Rollback struct {
	Count int `json:"count"` // times, in all
	// Before is the step where the trouble began: the next attempts continue from a checkpoint before it.
	Before int64 `json:"before"`
	// LR is what the configured learning rate is multiplied by, 1 for nothing.
	LR float64 `json:"lr"`
	// Attempt is the one that went back: what it saved from Before on is of no use.
	Attempt int `json:"attempt"`
}

// RollBack has the next attempt continue before a step, with the learning rate that the options say. It returns a sentence that says so, or
// false if it has gone back too often.
func (r *Run) RollBack(before int64) (next string, ok bool) {
	if r.Rollback != nil && r.Rollback.Count >= MaxRollbacks {
		return "", false
	}
	r.Exclude(before)
	b := r.Rollback
	b.Count++
	if f := r.Options.RollbackLR; f > 0 {
		b.LR *= f
	}
	next = fmt.Sprintf("going back to a checkpoint before step %d (%d of %d)", before, b.Count, MaxRollbacks)
	if b.LR != 1 {
		next += ", with the learning rate multiplied by " + strconv.FormatFloat(b.LR, 'g', 3, 64)
	}
	return next, true
}

// Exclude has the next attempts continue before a step, where the loss of this one went wrong, unless a person names another checkpoint.
func (r *Run) Exclude(before int64) {
	b := Rollback{LR: 1}
	if r.Rollback != nil {
		b = *r.Rollback
	}
	b.Before, b.Attempt = before, r.Attempt
	r.Rollback = &b
}

// excludeSpoiled excludes what a loss that is not finite has spoiled.
func (r *Run) excludeSpoiled() {
	if r.Diverged != nil {
		r.Exclude(r.Diverged.Step)
	}
}

// Unspoiled is the run as it would be tried again, without the checkpoints that a loss that is not finite has spoiled.
func (r Run) Unspoiled() Run {
	r.excludeSpoiled()
	return r
}

// Excluded is "before step 120 " where later checkpoints are excluded, or "".
func (r *Run) Excluded() string {
	if r.Rollback == nil {
		return ""
	}
	return fmt.Sprintf("before step %d ", r.Rollback.Before)
}

// continues is what an attempt after this one continues from.
func (r *Run) continues(from ResumeChoice) string {
	if from == ResumeNewest && r.Rollback != nil && r.Rollback.Attempt == r.Attempt {
		return fmt.Sprintf("continues from %s before step %d, where the loss went wrong", from, r.Rollback.Before)
	}
	return "continues from " + from.String()
}

// allowed drops the checkpoints that a rollback excludes: what was saved from its step on, but by attempts that followed it.
func (b *Rollback) allowed(saved []SavedCheckpoint) []SavedCheckpoint {
	if b == nil {
		return saved
	}
	return slices.DeleteFunc(slices.Clone(saved), func(s SavedCheckpoint) bool { return s.Step >= b.Before && s.Attempt <= b.Attempt })
}
