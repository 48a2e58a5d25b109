package run

import (
	"fmt"
	"regexp"
	"strconv"
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
		return !r.State.Terminal() && !r.StopRequested && r.State != Paused && r.Pausing == nil && r.StopCause != StopPause
	case ActResume:
		return !r.StopRequested && (r.State == Paused || r.Pausing != nil || r.State == Stopping && r.StopCause == StopPause)
	case ActRestart:
		return works && !r.StopRequested
	case ActRetry:
		return r.State == Failed || r.State == Stopped || r.Retrying()
	case ActStopRetrying:
		return r.Retrying()
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
	// SaveTime is the longest that the run took to save a checkpoint of late, and KillTimeout how long workers have to save one when
	// they are stopped; 0 for unknown.
	SaveTime, KillTimeout time.Duration
}

// Continues says from which step an attempt would continue, and how many steps it would repeat.
func (o Outlook) Continues(from ResumeChoice) (step, repeated int64) {
	if points := from.Among(o.Points); len(points) > 0 {
		step = points[0].Step
	}
	return step, max(0, o.Run.Progress.Step-step)
}

// TooShort warns that workers may be killed before they have saved, "" where they have the time, or nobody knows.
func (o Outlook) TooShort() string {
	if o.SaveTime <= 0 || o.KillTimeout <= 0 || o.SaveTime < o.KillTimeout {
		return ""
	}
	return fmt.Sprintf("Saving a checkpoint took %s of late, and workers are killed %s after they are told to stop: the last checkpoint may be cut off. Raise job.kill_timeout, and max_kill_timeout of the nodes.",
		ShortDuration(max(o.SaveTime, time.Second)), ShortDuration(o.KillTimeout))
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

// WhatNext says in a sentence what happens next with a run that somebody has acted on.
func (r *Run) WhatNext() string {
	gpus := ""
	if n := r.Shape.TotalGPUs(); n == 1 {
		gpus = " Its GPU is free."
	} else if n > 1 {
		gpus = fmt.Sprintf(" Its %d GPUs are free.", n)
	}
	switch {
	case r.StopRequested && r.StopCause == StopKilled && r.State == Stopping:
		return "Its workers are killed; then it is stopped."
	case r.StopRequested && r.State.Live():
		return "Its workers save and exit, or are killed when their time is over; then it is stopped."
	case r.State == Stopping && r.StopCause.Next() == Queued:
		return "Its workers save and exit; then another attempt continues from " + r.NextResume.String() + "."
	case r.State == Stopping && (r.StopCause == StopPause || r.Pausing != nil):
		return "Its workers save and exit; then it is paused and keeps its place in the queue."
	case r.Pausing != nil && r.Pausing.When == PauseAtCheckpoint:
		return "It trains on and " + r.Pausing.String() + "."
	case r.Pausing != nil:
		return "It is paused as soon as Nomad answers."
	case r.State == Paused:
		return "It is paused and keeps its place in the queue." + gpus
	case r.State == Queued && r.Attempt > 0:
		return "It waits for its turn and continues from " + r.NextResume.String() + "."
	case r.State == Queued:
		return "It waits for its turn."
	case r.State == Failed:
		return "It has ended as failed, and is not tried again."
	case r.State == Stopped:
		return "It is stopped."
	}
	return "It goes on as before."
}
