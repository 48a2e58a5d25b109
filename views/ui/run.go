package ui

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/a-h/templ"

	"github.com/cotrain/cotrain/internal/run"
)

// badgeWarned is the badge of a run that succeeded with a warning.
const badgeWarned = "warned"

// Badges are the keys of all badges of a run, in the order of states.
func Badges() []string {
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
	if r.State == run.Succeeded && Warning(r) != "" {
		return badgeWarned
	}
	return string(r.State)
}

// Warning is what is suspicious about a live or succeeded run, "" for nothing.
func Warning(r run.Run) string {
	notice := r.LossNotice()
	switch {
	case r.State.Live() && len(r.Notices) > 0:
		return noticed(r, notice)
	case r.State.Live() && notice != "" && r.Reason != "":
		return Sentence(notice + "; " + r.Reason)
	case r.State.Live() && notice != "":
		return Sentence(notice)
	case r.State != run.Succeeded:
		return ""
	case r.Reason != "":
		return Sentence(r.Reason)
	case r.Progress.HasLoss && (math.IsNaN(r.Progress.Loss) || math.IsInf(r.Progress.Loss, 0)):
		return "The last loss is " + Number(r.Progress.Loss) + ": training diverged."
	}
	return ""
}

// noticed is the gravest notice of a live run, with how many more there are.
func noticed(r run.Run, loss string) string {
	text := run.Sentence(r.Notices[0].Text)
	if n := len(r.Notices) - 1; n > 0 {
		text += fmt.Sprintf(" And %d more.", n)
	}
	if r.Reason != "" {
		text += " " + Sentence(r.Reason)
	}
	if loss != "" && r.Notice(run.NoticeNotFinite) == nil {
		text += " " + Sentence(loss)
	}
	return text
}

// Waiting reports whether workers are not placed yet: the row then has a reason instead of numbers.
func Waiting(r run.Run) bool {
	return r.State == run.Queued || r.State == run.Dispatching || r.State == run.Pending
}

// WaitReason says why a run waits, "" when it does not.
func WaitReason(r run.Run) string {
	switch {
	case !Waiting(r):
		return ""
	case r.QueuePlace == nil:
		return ReasonText(r)
	case r.Reason == "":
		return r.QueuePlace.String()
	}
	return strings.TrimSuffix(ReasonText(r), ".") + ". " + r.QueuePlace.String()
}

// WorkersText is how many of the requested workers run; for an ended run, how many were requested.
func WorkersText(r run.Run) string {
	if r.State.Live() {
		return Integer(r.Progress.Participants) + "/" + Integer(r.Shape.Nodes)
	}
	return Integer(r.Shape.Nodes)
}

// LossText is the newest loss and, for the title, the same with every digit.
func LossText(r run.Run) (string, string) {
	if !r.Progress.HasLoss {
		return Absent, ""
	}
	return Number(r.Progress.Loss), Exact(r.Progress.Loss)
}

// ThroughputText is the newest throughput and its title.
func ThroughputText(r run.Run) (string, string) {
	if r.Progress.TokensPerSec <= 0 {
		return Absent, ""
	}
	return Number(r.Progress.TokensPerSec), Exact(r.Progress.TokensPerSec) + " tokens per second"
}

// StepText is the newest step, of those there are.
func StepText(r run.Run) string {
	if r.StepsTotal <= 0 {
		return Integer(r.Progress.Step)
	}
	return Integer(r.Progress.Step) + " / " + Integer(r.StepsTotal)
}

// DurationText is how long a run has been running.
func DurationText(r run.Run, now time.Time) string {
	d, ok := elapsed(r, now)
	if !ok {
		return Absent
	}
	return Duration(d)
}

// ReasonText is the recorded reason for the state, or else what the state means.
func ReasonText(r run.Run) string {
	if r.Reason != "" {
		return Sentence(r.Reason)
	}
	switch r.State {
	case run.Queued:
		return "Queued."
	case run.Dispatching:
		return "Dispatching to Nomad."
	case run.Pending:
		return "Starting workers."
	case run.Running:
		return "All workers are running."
	case run.Degraded:
		return "A worker was lost; the others continue."
	case run.Stopping:
		return "Saving a checkpoint and stopping."
	case run.Paused:
		return "Paused at a checkpoint."
	case run.Succeeded:
		return "All workers finished."
	case run.Stopped:
		return "Stopped on request."
	}
	return "Ended without a recorded cause."
}

// Sentence capitalises a reason.
func Sentence(reason string) string {
	First, n := utf8.DecodeRuneInString(reason)
	return string(unicode.ToUpper(First)) + reason[n:]
}

// fraction is how much of the run is done, 0 to 1; false when the total is not known.
func fraction(r run.Run) (float64, bool) {
	if r.StepsTotal <= 0 {
		return 0, false
	}
	return min(1, max(0, float64(r.Progress.Step)/float64(r.StepsTotal))), true
}

// percent never says 100 before the last step.
func percent(r run.Run) string {
	f, ok := fraction(r)
	if !ok {
		return Absent
	}
	return fmt.Sprintf("%d %%", int(math.Floor(f*100)))
}

// TimeLeft is how long the rest of a run takes: a time where that is clear, else from one to another; false when nothing can be said.
func TimeLeft(r run.Run, now time.Time) (string, bool) {
	low, high, ok := r.TimeLeft(now)
	if !ok {
		return "", false
	}
	low, high = rounded(low), rounded(high)
	if high-low <= high/10 {
		return forecast(low + (high-low)/2), true
	}
	return forecast(low) + " to " + forecast(high), true
}

// forecast is a duration without a second unit of which there is none: 7 min, 2 h.
func forecast(d time.Duration) string {
	text := Duration(d)
	for _, none := range []string{" 00 s", " 00 min", " 0 h"} {
		text = strings.TrimSuffix(text, none)
	}
	return text
}

// rounded is a duration in steps that suit a forecast.
func rounded(d time.Duration) time.Duration {
	switch {
	case d >= 2*time.Hour:
		return d.Round(5 * time.Minute)
	case d >= 10*time.Minute:
		return d.Round(time.Minute)
	case d >= 2*time.Minute:
		return d.Round(10 * time.Second)
	default:
		return d.Round(time.Second)
	}
}

// elapsed is the time from the first worker's start to the end, or to now.
func elapsed(r run.Run, now time.Time) (time.Duration, bool) {
	if r.StartedAt.IsZero() {
		return 0, false
	}
	if !r.EndedAt.IsZero() {
		now = r.EndedAt
	}
	return now.Sub(r.StartedAt), true
}

// Since is the start of a live run, as an attribute from which the script counts on.
func Since(r run.Run) templ.Attributes {
	if r.StartedAt.IsZero() || !r.EndedAt.IsZero() {
		return nil
	}
	return templ.Attributes{"data-since": r.StartedAt.UTC().Format(time.RFC3339)}
}
