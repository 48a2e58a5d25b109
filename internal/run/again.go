package run

import (
	"cmp"
	"fmt"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
)

// Restart has the workers of a run stopped and another attempt follow, which continues from what is chosen. It counts neither as
// failure nor as retry, and takes the place of a pause that has not come. cost is what it repeats, see [Outlook.Cost]. A run without workers
// that train is [fault.ErrConflict].
func (r *Run) Restart(from ResumeChoice, actor, cost string, now time.Time) (*Event, error) {
	switch {
	case r.State == Stopping:
		return nil, fault.New(fault.ErrConflict, fmt.Sprintf("Run %s is %s: its workers are ending already.", r.ID, r.doing()), r.instead())
	case r.StopRequested || r.State != Pending && r.State != Running && r.State != Degraded:
		return nil, fault.New(fault.ErrConflict, fmt.Sprintf("Run %s is %s and has no workers to restart.", r.ID, r.State), r.instead())
	}
	why := "restarted"
	if r.Pausing != nil {
		why += inPlaceOfPause
	}
	r.Pausing = nil
	r.choose(from)
	ev, err := r.stopWorkers(StopRestart, why+": "+r.continues(from)+cost, actor, now)
	r.Reason = ReasonRestarting
	return ev, err
}

// inPlaceOfPause is part of the reason of a restart that withdraws a pause.
const inPlaceOfPause = " in place of the pause"

// RetryNow makes another attempt of a run that has failed or was stopped, or ends the wait of one that is to be tried again
// anyway. Any other is [fault.ErrConflict].
func (r *Run) RetryNow(a Attempt, from ResumeChoice, actor string, now time.Time) (*Event, error) {
	switch {
	case r.State == Failed || r.State == Stopped:
		ev, err := r.Transition(Queued, actor, "", now)
		if err == nil {
			r.choose(from)
			r.Reason = r.resumed(a, from)
			ev.Message = "tried again"
			if r.Reason != "" {
				ev.Message += ": " + r.Reason
			}
		}
		return ev, err
	case r.State == Queued && a.JobID != "" && !a.MaybeSent:
		if r.NotBefore.IsZero() && r.NextResume == from {
			return nil, nil
		}
		r.dropWait()
		r.choose(from)
		r.Reason = r.resumed(a, from)
		return r.event("retry", actor, "tried again without waiting: "+r.Reason, now), nil
	}
	return nil, fault.New(fault.ErrConflict, fmt.Sprintf("Run %s is %s and cannot be tried again.", r.ID, r.State), r.instead())
}

// Retrying reports whether the run waits for another attempt because the last one failed.
func (r *Run) Retrying() bool {
	return r.State == Queued && r.Attempt > 0 && (r.Cause != nil || r.Retried+r.PortConflicts > 0 && !r.NotBefore.IsZero())
}

// heldRetry reports whether the run was paused while it waits for another attempt because the last one failed.
func (r *Run) heldRetry() bool {
	return r.State == Paused && r.Attempt > 0 && r.Cause != nil
}

// MayGiveUp reports whether a failure of the attempt under way could be followed by another, which nobody has ruled out.
func (r *Run) MayGiveUp() bool {
	goesOn := r.State.Live() && (r.State != Stopping || r.StopCause.Fails())
	return goesOn && !r.StopRequested && !r.GivenUp && r.Options.most() > 0
}

// StopRetrying ends a run that waits for another attempt as failed, with the cause of the last one. Of one whose attempt is under way
// it means that none follows should it fail; saying so twice is no error. One that is not tried again anyway, or that waits and Nomad
// may have, is [fault.ErrConflict].
func (r *Run) StopRetrying(a Attempt, actor string, now time.Time) (*Event, error) {
	switch {
	case r.MayGiveUp():
		r.GivenUp = true
		return r.event("retry", actor, fmt.Sprintf("should attempt %d fail, it is not tried again", r.Attempt), now), nil
	case r.State.Live() && r.GivenUp:
		return nil, nil
	case r.State.Live() && r.Options.most() == 0:
		return nil, fault.New(fault.ErrConflict, fmt.Sprintf("Run %s was submitted without retries.", r.ID), "Stop it to end it now.")
	case r.State.Terminal():
		return nil, fault.New(fault.ErrConflict, fmt.Sprintf("Run %s has already %s, and is not tried again.", r.ID, endedAs(r.State)), "")
	case !r.Retrying() && !r.heldRetry() || a.MaybeSent:
		return nil, fault.New(fault.ErrConflict, fmt.Sprintf("Run %s does not wait to be tried again.", r.ID), "Stop it to end it.")
	}
	r.forgo("not tried again on request")
	return r.Transition(Failed, actor, r.Cause.because(fmt.Sprintf("attempt %d failed; not tried again on request", a.Number)), now)
}

// AfterStop decides what follows an attempt that ended as in state, where its workers were stopped for another attempt or a
// pause. ok is false where how it ended decides, and for a run that has succeeded or is to end.
func (r *Run) AfterStop(state State) (to State, why string, ok bool) {
	next := r.StopCause.Next()
	if r.StopRequested || next == "" || state != Failed && state != Stopped {
		return "", "", false
	}
	why = r.StopReason
	if r.Pausing != nil {
		next = Paused
	}
	r.StopCause, r.StopReason = "", ""
	return next, why, true
}

// doing is the state in a word, of a run whose workers are ending what for.
func (r *Run) doing() string {
	switch {
	case r.State != Stopping || r.StopRequested:
		return string(r.State)
	case r.StopCause == StopPause || r.Pausing != nil:
		return "pausing"
	case r.StopCause.Next() == Queued:
		return "restarting"
	}
	return string(r.State)
}

// endingReason is what is told while the workers end.
func (r *Run) endingReason() string {
	if r.Pausing != nil && r.StopCause.Next() != "" {
		return ReasonPausing
	}
	switch r.StopCause {
	case StopPause:
		return ReasonPausing
	case StopRestart:
		return ReasonRestarting
	case StopKilled:
		return ReasonKilling
	default:
		return cmp.Or(r.StopReason, ReasonStopping)
	}
}

// stopWorkers records why and by whom the workers of a run are to be stopped, when another attempt may follow.
func (r *Run) stopWorkers(cause StopCause, why, actor string, now time.Time) (*Event, error) {
	r.StopCause, r.StopReason = cause, why
	return r.Transition(Stopping, actor, why, now)
}
