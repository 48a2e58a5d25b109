package run

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Act is something that people do with a run, beside stopping, editing and deleting it.
type Act string

// The actions.
const (
	ActPause        Act = "pause"
	ActResume       Act = "resume"
	ActRestart      Act = "restart"
	ActRetry        Act = "retry"
	ActStopRetrying Act = "stop-retrying"
	ActKill         Act = "kill" // stop without time to save
)

// Acts lists the actions.
func Acts() []Act {
	return []Act{ActPause, ActResume, ActRestart, ActRetry, ActStopRetrying, ActKill}
}

// Allowed reports whether a run's state allows an action.
func (r *Run) Allowed(a Act) bool {
	works := r.State == Pending || r.State == Running || r.State == Degraded
	switch a {
	case ActPause:
		return !r.State.Terminal() && !r.StopRequested && r.State != Paused && r.StopCause != StopPause &&
			(r.Pausing == nil || works && r.Pausing.When == PauseAtCheckpoint)
	case ActResume:
		return !r.StopRequested && (r.State == Paused || r.Pausing != nil || r.State == Stopping && r.StopCause == StopPause)
	case ActRestart:
		return works && !r.StopRequested
	case ActRetry:
		return r.State == Failed || r.State == Stopped || r.Retrying()
	case ActStopRetrying:
		return r.Retrying() || r.heldRetry() || r.MayGiveUp()
	case ActKill:
		return (works || r.State == Stopping) && r.StopCause != StopKilled
	}
	return false
}

// Action is an action with what it takes.
type Action struct {
	Act  Act
	When PauseWhen    // of a pause
	From ResumeChoice // of a resume, a restart or a retry
}

// Outlook is what an action on a run would mean now.
type Outlook struct {
	Run Run
	// Points are the checkpoints that an attempt could continue from, newest first: complete as far as can be seen.
	Points []ResumePoint
	Next   int64 // about the step of the next checkpoint, 0 for none or unknown
	// Gone names a worker without which no checkpoint will be complete; "" for none.
	Gone string
	Saving
}

// Saving compares how long saving a checkpoint takes with the time that workers have for it; 0 for unknown.
type Saving struct {
	Took        time.Duration // the longest of late
	KillTimeout time.Duration // until workers are killed that were told to stop
	Node        string        // whose max_kill_timeout that is, "" for job.kill_timeout
}

// Continues says from which step an attempt would continue, and how many steps it would repeat.
func (o Outlook) Continues(from ResumeChoice) (step, repeated int64) {
	if points := from.Among(o.Points); len(points) > 0 {
		step = points[0].Step
	}
	return step, max(0, o.Run.Progress.Step-step)
}

// TooShort warns that workers may be killed before they have saved, "" where they have the time, or nobody knows.
func (s Saving) TooShort() string {
	if !s.short() {
		return ""
	}
	on := ""
	if s.Node != "" {
		on = " on " + s.Node
	}
	return fmt.Sprintf("Saving a checkpoint took %s of late, and workers%s are killed %s after they are told to stop: the last checkpoint may be cut off. %s.",
		ShortDuration(max(s.Took, time.Second)), on, ShortDuration(s.KillTimeout), upperFirst(s.fix()))
}

// TooShortFor is the same as a warning about a submission like the run of that name; nil where [Saving.TooShort] is "".
func (s Saving) TooShortFor(name string) *FieldError {
	if !s.short() {
		return nil
	}
	field, on := "job.kill_timeout", ""
	if s.Node != "" {
		field, on = "max_kill_timeout", " on "+s.Node
	}
	return &FieldError{Field: field, Fix: s.fix(), Rule: fmt.Sprintf("gives workers%s %s to save when they are stopped, and saving a checkpoint took %s of late in %s: the last one may be cut off",
		on, ShortDuration(s.KillTimeout), ShortDuration(max(s.Took, time.Second)), name)}
}

func (s Saving) short() bool { return s.Took > 0 && s.KillTimeout > 0 && s.Took >= s.KillTimeout }

func (s Saving) fix() string {
	if s.Node != "" {
		return "raise max_kill_timeout of the nodes"
	}
	return "raise job.kill_timeout, and max_kill_timeout of the nodes"
}

func upperFirst(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// NextCheckpoint is the step of the next checkpoint after a step, 0 without an interval.
func NextCheckpoint(step, interval int64) int64 {
	if interval <= 0 {
		return 0
	}
	return (step/interval + 1) * interval
}

// saveTime is the time in a worker's report that it saved a checkpoint.
var saveTime = regexp.MustCompile(`(?:in |seconds )(\d+(?:\.\d+)?)(?: seconds)?$`)

// SaveTime is the longest time in reports of saved checkpoints, 0 for none.
func SaveTime(evs []Event) (longest time.Duration) {
	for _, ev := range evs {
		if ev.Kind != "checkpoint_saved" {
			continue
		}
		if found := saveTime.FindStringSubmatch(ev.Message); found != nil {
			seconds, err := strconv.ParseFloat(found[1], 64)
			if err == nil && seconds < 1e6 {
				longest = max(longest, time.Duration(seconds*float64(time.Second)))
			}
		}
	}
	return longest
}
