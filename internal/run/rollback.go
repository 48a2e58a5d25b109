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
	// PassOver is the step of the checkpoint from which the loss went wrong at the same place again, 0 for none: an older one is taken, or the
	// beginning.
	PassOver int64 `json:"pass_over,omitempty"`
}

// RollBack has the attempt after a continue before a step, with the learning rate that the options say, or from the beginning where none of
// the saved checkpoints is left. It returns a sentence that says so, or false if the run has gone back too often.
func (r *Run) RollBack(a Attempt, before int64, saved []SavedCheckpoint) (next string, ok bool) {
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
	if was.Count > 0 && was.Attempt < r.Attempt && before <= was.Before {
		b.PassOver = max(1, stepOf(a.Resume)) // 1 where it started over
	}
	times := fmt.Sprintf(" (%d of %d)", b.Count, MaxRollbacks)
	r.NextResume = ResumeNewest
	switch from := len(r.ResumeFrom(saved)) > 0; {
	case from && b.PassOver > 0:
		next = fmt.Sprintf("going back to a checkpoint before step %d%s, since from there it went no further than step %d", b.PassOver, times, before)
	case from:
		next = fmt.Sprintf("going back to a checkpoint before step %d%s", before, times)
	default:
		if r.CheckpointPath == "" || b.PassOver > 0 { // no report of an older one is on its way
			r.NextResume = ResumeStart
		}
		next = fmt.Sprintf("continues from the beginning%s: no checkpoint is older than step %d", times, b.limit())
		if b.PassOver == 1 {
			next = fmt.Sprintf("continues from the beginning%s, from which it went no further than step %d", times, before)
		}
	}
	if b.LR != 1 {
		next += ", with the learning rate multiplied by " + strconv.FormatFloat(b.LR, 'g', 3, 64)
	}
	return next, true
}

// limit is the step before which a checkpoint is to be.
func (b *Rollback) limit() int64 {
	if b.PassOver > 0 {
		return min(b.Before, b.PassOver)
	}
	return b.Before
}

// NextRollback is what the policy to go back does about a notice, in a sentence.
func (r *Run) NextRollback(kind NoticeKind, step int64, a Attempt, saved []SavedCheckpoint) string {
	trial := *r
	if _, ok := trial.RollBack(a, step, saved); ok && len(trial.ResumeFrom(saved)) == 0 {
		return "It starts over, since no older checkpoint is left."
	}
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
	if before > b.Before { // it went further
		b.PassOver = 0
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
	return fmt.Sprintf("before step %d ", r.Rollback.limit())
}

// continues is what an attempt after this one continues from.
func (r *Run) continues(from ResumeChoice) string {
	if from == ResumeNewest && r.Rollback != nil && r.Rollback.Attempt == r.Attempt {
		return fmt.Sprintf("continues from %s before step %d, where the loss went wrong", from, r.Rollback.limit())
	}
	return "continues from " + from.String()
}

// allowed drops the checkpoints that a rollback excludes: what was saved from its step on, but by attempts that followed it.
// A person may name one from which the loss went wrong again.
func (b *Rollback) allowed(saved []SavedCheckpoint, chosen ResumeChoice) []SavedCheckpoint {
	if b == nil {
		return saved
	}
	limit := b.limit()
	if _, named := chosen.Step(); named {
		limit = b.Before
	}
	return slices.DeleteFunc(slices.Clone(saved), func(s SavedCheckpoint) bool { return s.Step >= limit && s.Attempt <= b.Attempt })
}
