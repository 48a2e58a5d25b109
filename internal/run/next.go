package run

import (
	"fmt"
	"strings"
)

// WhatNext says in a sentence what happens next with a run that somebody has acted on.
func (r *Run) WhatNext() string {
	gpus := ""
	if n := r.Shape.TotalGPUs(); n == 1 {
		gpus = " Its GPU is free."
	} else if n > 1 {
		gpus = fmt.Sprintf(" Its %d GPUs are free.", n)
	}
	if gpus != "" && r.Reason == reasonHeld {
		gpus = " It holds no GPUs."
	}
	switch {
	case r.StopRequested && r.StopCause == StopKilled && r.State == Stopping:
		return "Its workers are killed; then it is stopped."
	case r.StopRequested && r.State.Live():
		return "Its workers save and exit, or are killed when their time is over; then it is stopped."
	case r.State == Stopping && (r.StopCause == StopPause || r.Pausing != nil && r.StopCause.Next() != ""):
		text := "Its workers save and exit; then it is paused and keeps its place in the queue."
		if cost, ok := strings.CutPrefix(r.StopReason, pausedPrefix); ok {
			text += " When it is resumed it " + cost + "."
		}
		return text
	case r.State == Stopping && r.Pausing != nil:
		return "Its workers are ending. Should another attempt follow, the run is paused in its place."
	case r.State == Stopping && r.StopCause.Next() == Queued:
		_, does, ok := strings.Cut(r.StopReason, ": ")
		if !ok || r.StopCause != StopRestart {
			does = r.continues(r.NextResume)
		}
		text := "Its workers save and exit; then another attempt " + does + "."
		if strings.Contains(r.StopReason, inPlaceOfPause) {
			text += " The pause is withdrawn."
		}
		return text
	case r.State.Live() && r.GivenUp && r.Pausing == nil && r.State != Stopping:
		return fmt.Sprintf("It goes on; should attempt %d fail, it ends as failed and is not tried again.", r.Attempt)
	case r.Pausing != nil && r.Pausing.Gone != "":
		return Sentence(r.Pausing.Gone+": the pause does not come") + " Paused now, it " +
			strings.TrimPrefix(r.pausedNow(*r.Pausing), pausedPrefix) + "."
	case r.Pausing != nil && r.Pausing.When == PauseAtCheckpoint:
		return "It trains on and " + r.pauses() + "."
	case r.Pausing != nil:
		return "It is paused as soon as Nomad answers."
	case r.State == Paused:
		return strings.TrimSuffix("It is paused and keeps its place in the queue."+gpus+" "+r.Follows(), " ")
	case r.Retrying() && !r.NotBefore.IsZero():
		return "It waits to be tried again. " + r.Follows()
	case r.State == Queued && r.Attempt > 0:
		return "It waits for its turn and " + r.continues(r.NextResume) + "."
	case r.State == Queued:
		return "It waits for its turn."
	case r.State == Succeeded:
		return "It has succeeded."
	case r.State == Failed:
		return "It has ended as failed, and is not tried again."
	case r.State == Stopped:
		return "It is stopped."
	}
	return goesOn
}

// goesOn is [Run.WhatNext] of a run with which nothing is about to happen.
const goesOn = "It goes on as before."

// Outcome is what happens next with a run that has not ended, "" where it only goes on.
func (r *Run) Outcome() string {
	if next := r.WhatNext(); next != goesOn && !r.State.Terminal() {
		return next
	}
	return ""
}
