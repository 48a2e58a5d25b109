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
	// PassOver is the step of the checkpoint from which the loss went wrong at the same place again, 0 for none: an older one is taken where
	// there is one.
	PassOver int64 `json:"pass_over,omitempty"`
}

// RollBack has the attempt after a continue before a step, with the learning rate that the options say. It returns a sentence that says so,
// or false if the run has gone back too often.
func (r *Run) RollBack(a Attempt, before int64) (next string, ok bool) {
	was := Rollback{}
	if r.Rollback != nil {
		was = *r.Rollback
	}
	if was.Count >= MaxRollbacks {
		return "", false
	}
	r.Exclude(before)
	b := r.Rollback
	b.Count++
	if f := r.Options.RollbackLR; f > 0 {
		b.LR *= f
	}
	next = fmt.Sprintf("going back to a checkpoint before step %d (%d of %d)", before, b.Count, MaxRollbacks)
	if was.Count > 0 && was.Attempt < r.Attempt && before <= was.Before {
		if b.PassOver = stepOf(a.Resume); b.PassOver > 0 {
			next += fmt.Sprintf(", before step %d where there is one, since from there it went no further", b.PassOver)
		}
	}
	if b.LR != 1 {
		next += ", with the learning rate multiplied by " + strconv.FormatFloat(b.LR, 'g', 3, 64)
	}
	return next, true
}

// NextRollback is what the policy to go back does about a notice, in a sentence.
func (r *Run) NextRollback(kind NoticeKind) string {
	switch {
	case r.Rollback == nil || r.Rollback.Count < MaxRollbacks:
		return "It goes back to a checkpoint before that step."
	case kind == NoticePlateau: // which spoils nothing
		return fmt.Sprintf("It has gone back %d times already, so it is stopped.", MaxRollbacks)
	}
	return fmt.Sprintf("It has gone back %d times already, so it fails.", MaxRollbacks)
}

// Exclude has the next attempts continue before a step, where the loss of this one went wrong, unless a person names another checkpoint.
func (r *Run) Exclude(before int64) {
	b := Rollback{LR: 1}
	if r.Rollback != nil {
		b = *r.Rollback
	}
	b.Before, b.Attempt, b.PassOver = before, r.Attempt, 0
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

// passOver puts the checkpoints that a rollback passes over behind older ones, for the attempt that follows it.
func (b *Rollback) passOver(newestFirst []ResumePoint, attempt int) []ResumePoint {
	if b == nil || b.PassOver == 0 || b.Attempt != attempt {
		return newestFirst
	}
	i := slices.IndexFunc(newestFirst, func(p ResumePoint) bool { return p.Step < b.PassOver })
	if i < 0 {
		return newestFirst
	}
	return slices.Concat(newestFirst[i:], newestFirst[:i])
}
