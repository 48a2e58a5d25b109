package run

import (
	"fmt"
	"slices"
	"time"
)

// Losses are the workers of an attempt that ended with a cause of their own, those that ended first before others.
func Losses(ws []Worker) []Worker {
	out := slices.DeleteFunc(slices.Clone(ws), func(w Worker) bool { return w.Cause == nil })
	slices.SortStableFunc(out, func(a, b Worker) int { return a.EndedAt.Compare(b.EndedAt) })
	return out
}

// AfterLoss says in a sentence what follows the end of one worker of the run's newest attempt.
func (r *Run) AfterLoss(ws []Worker, lost Worker) string {
	switch r.State {
	case Succeeded:
		return "The others finished without it."
	case Failed, Stopped:
		return "The run has ended; its reason says why."
	case Stopping:
		return "The other workers are being stopped."
	case Running, Degraded, Pending:
	default:
		return fmt.Sprintf("The next attempt starts with all %d workers.", r.Shape.Nodes)
	}
	if lost.Rank == 0 || r.InnerSteps == 0 {
		return "The others cannot go on without it and are stopped."
	}
	left := 0
	for _, w := range ws {
		if w.State == WorkerRunning {
			left++
		}
	}
	what := "train on without it"
	if left == 1 {
		what = "trains on without it"
	}
	is := map[bool]string{true: "is", false: "are"}[left == 1]
	switch n := r.Notice(NoticeHang); {
	case n != nil && (n.Rank < 0 || left == 1):
		what = is + " left, and no step comes"
	case !r.Progress.UpdatedAt.After(lost.EndedAt.Add(settled)):
		what = is + " left, without a step since then"
	}
	return fmt.Sprintf("%d of %d workers %s. It is not replaced in this attempt: restart the run to train with all %d again.", left, r.Shape.Nodes, what, r.Shape.Nodes)
}

// settled is how late the newest progress from before a worker's end may be stored.
const settled = 3 * time.Second

// WentOn reports whether a worker of an attempt trained past a sync that another, which had ended, was missing from. Until the next sync it
// trains on by itself whatever becomes of others.
func (r *Run) WentOn(a Attempt, w, without Worker) bool {
	last := without.Report.Step
	if last == 0 { // it ended before its first
		if last = stepOf(a.Resume); last == 0 && a.Number == r.Attempt && r.FirstStep > 0 {
			last = r.FirstStep - 1
		}
	}
	return r.InnerSteps > 0 && w.Report.Step > (last/r.InnerSteps+1)*r.InnerSteps
}
