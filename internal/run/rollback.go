package run

import (
	"cmp"
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
// the saved checkpoints is left. It returns a sentence that says so, or why the run may not go back: it has too often, or would only
// repeat what it did.
func (r *Run) RollBack(a Attempt, before int64, saved []SavedCheckpoint) (next, refused string) {
	was := Rollback{}
	if r.Rollback != nil {
		was = *r.Rollback
	}
	if was.Count >= MaxRollbacks {
		return "", fmt.Sprintf("after it went back %d times", MaxRollbacks)
	}
	factor := cmp.Or(r.Options.RollbackLR, 1)
	if a.Resume == "" && factor == 1 && !slices.ContainsFunc(saved, func(s SavedCheckpoint) bool { return s.Step < before }) {
		return "", "before its first checkpoint, and starting over unchanged would go wrong again (rollback_lr is 1)"
	}
	r.Exclude(before)
	b := r.Rollback
	b.Count++
	b.LR *= factor
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
	return next + b.slower(), ""
}

// slower is ", with the learning rate multiplied by 0.5", or "".
func (b *Rollback) slower() string {
	if b.LR == 1 {
		return ""
	}
	return ", with the learning rate multiplied by " + strconv.FormatFloat(b.LR, 'g', 3, 64)
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
	_, refused := trial.RollBack(a, step, saved)
	switch {
	case refused == "" && len(trial.ResumeFrom(saved)) == 0:
		return "It starts over, since no older checkpoint is left."
	case refused == "":
		return "It goes back to a checkpoint before that step."
	case r.Rollback == nil || r.Rollback.Count < MaxRollbacks:
		refused = "It has no older checkpoint, and starting over unchanged would go wrong again (rollback_lr is 1)"
	default:
		refused = fmt.Sprintf("It has gone back %d times already", MaxRollbacks)
	}
	if kind == NoticePlateau { // which spoils nothing
		return refused + ", so it is stopped."
	}
	return refused + ", so it fails."
}

// Exclude has the next attempts continue before a step, where the loss of this one went wrong, unless a person names another checkpoint. Of one
// attempt the earliest step counts. One whose loss was wrong from its first step on continued from what was excluded already.
func (r *Run) Exclude(before int64) {
	b := Rollback{LR: 1}
	if r.Rollback != nil {
		b = *r.Rollback
		if b.Attempt == r.Attempt && b.Before > 0 || r.FirstStep > 0 && before <= r.FirstStep && b.Before > 1 {
			before = min(before, b.Before)
		}
	}
	if before > b.Before { // it went further
		b.PassOver = 0
	}
	b.Before, b.Attempt = before, r.Attempt
	r.Rollback = &b
}

// spoiledFrom is the step where the loss of the newest attempt went wrong and has been since; ok is false while it is well. Of a loss that was
// not finite once and came back, nothing is spoiled.
func (r *Run) spoiledFrom() (step int64, ok bool) {
	for _, kind := range []NoticeKind{NoticeNotFinite, NoticeDiverged} {
		if n := r.Notice(kind); n != nil && n.Step > 0 && (!ok || n.Step < step) {
			step, ok = n.Step, true
		}
	}
	if !ok && r.Diverged != nil && r.Progress.HasLoss && !Finite(r.Progress.Loss) {
		return r.Diverged.Step, true
	}
	return step, ok
}

// excludeSpoiled excludes what a loss that went wrong has spoiled.
func (r *Run) excludeSpoiled() {
	if step, ok := r.spoiledFrom(); ok {
		r.Exclude(step)
	}
}

// excluding is the rollback as it is once the attempt under way has ended.
func (r *Run) excluding() *Rollback {
	trial := *r
	trial.excludeSpoiled()
	return trial.Rollback
}

// startOver forgets how often and how the run went back: the next attempt begins as the configuration says, and continues nothing of before.
func (r *Run) startOver() {
	r.Ledger.Best = 0
	if r.Attempt > 0 {
		r.Rollback = &Rollback{LR: 1, Before: 1, Attempt: r.Attempt}
	}
}

// choose has the next attempt continue from what a person chose.
func (r *Run) choose(from ResumeChoice) {
	r.excludeSpoiled()
	if r.NextResume = from; from == ResumeStart {
		r.startOver()
	}
}

// Excluded is "before step 120 " where later checkpoints are excluded, or "".
func (r *Run) Excluded() string {
	if b := r.excluding(); b != nil && b.limit() > 1 {
		return fmt.Sprintf("before step %d ", b.limit())
	}
	return ""
}

// continues is what an attempt after this one continues from.
func (r *Run) continues(from ResumeChoice) string {
	text := "continues from " + from.String()
	b := r.excluding()
	if b == nil || from == ResumeStart {
		return text
	}
	if from == ResumeNewest && b.Attempt == r.Attempt && b.limit() > 1 {
		text += fmt.Sprintf(" before step %d, ", b.limit())
		if b.limit() < b.Before {
			text += fmt.Sprintf("from which the loss went wrong at step %d", b.Before)
		} else {
			text += "where the loss went wrong"
		}
	}
	return text + b.slower()
}

// allowed drops the checkpoints that a rollback excludes: what was saved from its step on, but by attempts that followed it.
// A person may name one from which the loss went wrong again.
func (b *Rollback) allowed(saved []SavedCheckpoint, chosen ResumeChoice) []SavedCheckpoint {
	if b == nil {
		return saved
	}
	limit := b.limit()
	if _, named := chosen.Step(); named {
		if limit = b.Before; limit <= 1 { // it only started over
			return saved
		}
	}
	return slices.DeleteFunc(slices.Clone(saved), func(s SavedCheckpoint) bool { return s.Step >= limit && s.Attempt <= b.Attempt })
}
