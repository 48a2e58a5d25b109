package run

import (
	"cmp"
	"fmt"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
)

// StopCause is why the workers of a run are stopped.
type StopCause string

// The causes. The first four end the run; the others allow another attempt.
const (
	StopByPerson StopCause = "asked"    // by a person
	StopExpired  StopCause = "expired"  // see [Run.Expired]
	StopKilled   StopCause = "killed"   // by a person, without time to save
	StopAgent    StopCause = "agent"    // the embedded agent shuts down
	StopDoomed   StopCause = "doomed"   // see [Run.Doomed]
	StopOverdue  StopCause = "overdue"  // see [Run.Overdue]
	StopPause    StopCause = "pause"    // see [Run.Pause]
	StopRestart  StopCause = "restart"  // see [Run.Restart]
	StopHang     StopCause = "hang"     // no worker went on, and the options say to restart
	StopLoss     StopCause = "loss"     // the loss is in trouble, and the options say to stop; ends the run
	StopRollback StopCause = "rollback" // the same, and the options say to go back
	StopSpoiled  StopCause = "spoiled"  // the same, and the run has gone back as often as it may: it fails
)

// Fails reports whether an attempt that is stopped for it is one that failed.
func (c StopCause) Fails() bool { return c == StopHang || c == StopSpoiled }

// Next is the state that follows once the workers have ended, "" where how they ended decides.
func (c StopCause) Next() State {
	switch c {
	case StopOverdue, StopRestart, StopRollback:
		return Queued
	case StopPause:
		return Paused
	default:
		return ""
	}
}

// Reasons of a run that a person is stopping.
const (
	ReasonStopRequested = "stop requested; Nomad has not told the workers yet" // until then, so not part of the history
	ReasonStopping      = "workers are saving and exiting"                     // once Nomad has accepted the order
)

// reason is the cause in a sentence, "" where it needs none.
func (c StopCause) reason(r *Run) string {
	switch c {
	case StopExpired:
		return "stopped after its maximum duration of " + ShortDuration(time.Duration(r.Options.MaxDuration)*time.Second)
	case StopAgent:
		return "stopped with the console, whose embedded agent ran it"
	default:
		return ""
	}
}

// Stop requests the end of a run with newest attempt a, and returns the event if there is one. A run that is not at
// Nomad stops at once; otherwise Nomad still has to be told. An ended run is [fault.ErrConflict].
func (r *Run) Stop(a Attempt, actor string, cause StopCause, now time.Time) (*Event, error) {
	if r.State.Terminal() {
		return nil, fault.New(fault.ErrAlreadyEnded, fmt.Sprintf("Run %s has already %s.", r.ID, endedAs(r.State)), "")
	}
	asked := r.StopRequested
	why := cause.reason(r)
	r.Pausing = nil
	if r.StopCause.Next() != "" { // nothing follows now
		r.StopCause, r.StopReason = "", ""
		if r.State == Stopping {
			r.Reason = cmp.Or(why, ReasonStopping)
		}
	}
	r.StopRequested, r.StopCause, r.StopReason = true, cmp.Or(r.StopCause, cause), cmp.Or(r.StopReason, why)
	to := Stopping
	switch {
	case r.State == Stopping && asked:
		return nil, nil
	case r.State == Stopping: // its workers could not go on; now there is no retry either
		return &Event{RunID: r.ID, At: now, Kind: "stop", Level: "info", Actor: actor, Attempt: r.Attempt, Rank: -1, Message: "asked to stop: it is not tried again"}, nil
	case r.State == Dispatching: // whoever is sending it sees the request afterwards
		r.Reason = "to be stopped as soon as Nomad has it"
		return nil, nil
	case r.State == Queued && a.MaybeSent: // its workers may be training; sending again finds them
		to, why = Dispatching, "to be stopped as soon as Nomad says whether it has it"
	case (r.State == Paused || r.State == Queued) && r.Cause != nil:
		r.forgo("not tried again, because it was stopped")
		to, why = Stopped, cmp.Or(why, "stopped before it was tried again")
	case r.State == Paused && a.JobID != "":
		to, why = Stopped, cmp.Or(why, "stopped while it was paused")
	case r.State == Queued && a.JobID != "":
		to, why = Stopped, cmp.Or(why, "stopped before it was tried again")
	case r.State == Queued || r.State == Paused:
		to, why = Stopped, cmp.Or(why, "stopped before it was sent to Nomad")
	}
	ev, err := r.Transition(to, actor, why, now)
	if to == Stopping && err == nil {
		r.Reason = cmp.Or(why, ReasonStopRequested)
	}
	return ev, err
}

// ReasonKilling is the reason of a run whose workers are being killed.
const ReasonKilling = "its workers are being killed"

// Kill requests the end of a run as [Run.Stop] does, without time for its workers to save. It may follow a stop.
func (r *Run) Kill(a Attempt, actor string, now time.Time) (*Event, error) {
	was := r.State
	ev, err := r.Stop(a, actor, StopByPerson, now)
	if err != nil || r.State != Stopping {
		return ev, err
	}
	r.StopCause, r.StopReason, r.Reason = StopKilled, "killed on request, without time to save", ReasonKilling
	if ev == nil || was == Stopping {
		ev = r.event("stop", actor, "asked to kill the workers at once", now)
	}
	ev.Message = cmp.Or(ev.Message, "asked to kill the workers at once")
	return ev, nil
}

// StopWorkers records why the workers of a run are to be stopped, when another attempt may follow.
func (r *Run) StopWorkers(cause StopCause, why string, now time.Time) (*Event, error) {
	return r.stopWorkers(cause, why, Console, now)
}

func endedAs(s State) string {
	if s == Stopped {
		return "been stopped"
	}
	return string(s)
}
