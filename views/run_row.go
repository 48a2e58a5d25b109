package views

import (
	"math"
	"strings"

	"github.com/cotrain/cotrain/internal/run"
)

// badgeWarned is the badge of a run that succeeded, and yet is worth a look.
const badgeWarned = "warned"

// badges are the keys of every badge of a run, in the order in which states are sorted.
func badges() []string {
	var out []string
	for _, s := range run.States() {
		out = append(out, string(s))
		if s == run.Succeeded {
			out = append(out, badgeWarned)
		}
	}
	return out
}

// BadgeOf names the badge of a run: its state, or that it succeeded with a warning.
func BadgeOf(r run.Run) string {
	if r.State == run.Succeeded && warning(r) != "" {
		return badgeWarned
	}
	return string(r.State)
}

// warning says in one sentence why a run that trains or has succeeded is worth a look, "" when it is not.
func warning(r run.Run) string {
	notice := r.LossNotice()
	switch {
	case r.State.Live() && notice != "" && r.Reason != "":
		return sentence(notice + "; " + r.Reason)
	case r.State.Live() && notice != "":
		return sentence(notice)
	case r.State != run.Succeeded:
		return ""
	case r.Reason != "":
		return sentence(r.Reason)
	case r.Progress.HasLoss && (math.IsNaN(r.Progress.Loss) || math.IsInf(r.Progress.Loss, 0)):
		return "The last loss is " + Number(r.Progress.Loss) + ": training has diverged."
	}
	return ""
}

// waiting is true of a run whose workers have not been placed: its row has no numbers, but a reason.
func waiting(r run.Run) bool {
	return r.State == run.Queued || r.State == run.Dispatching || r.State == run.Pending
}

// WaitReason says why a run waits, "" when it does not.
func WaitReason(r run.Run) string {
	switch {
	case !waiting(r):
		return ""
	case r.Line == nil:
		return reasonText(r)
	case r.Reason == "":
		return r.Line.String()
	}
	return strings.TrimSuffix(reasonText(r), ".") + ". " + r.Line.String()
}

// WorkersText is how many workers run, of those asked for. Of a run that has ended none runs, which is no news.
func WorkersText(r run.Run) string {
	if r.State.Live() {
		return Integer(r.Progress.Participants) + "/" + Integer(r.Shape.Nodes)
	}
	return Integer(r.Shape.Nodes)
}
