package run

import (
	"cmp"
	"fmt"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
)

// StopCause is why the workers of a run are stopped.
type StopCause string

// The causes. The first three end the run; after the others it may be tried again.
const (
	StopAsked   StopCause = "asked"   // a person wants it
	StopExpired StopCause = "expired" // see [Run.Expired]
	StopAgent   StopCause = "agent"   // the embedded agent ends, and they with it
	StopDoomed  StopCause = "doomed"  // see [Run.Doomed]
	StopOverdue StopCause = "overdue" // see [Run.Overdue]
)

// Reasons of a run that is being stopped because a person wants it.
const (
	StopRequested = "stop requested; Nomad has not told the workers yet" // until then, and so no part of the run's history
	AskedToStop   = "workers were asked to save and leave"               // once Nomad has taken the order
)

// reason is the cause in a sentence; "" where nothing more is to be said.
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

// Stop changes a run, of which a is the newest attempt, as a request to end it does, and returns the event that records it,
// if there is one. A run that Nomad does not have is stopped at once; of any other Nomad is still to be told. One that has
// ended is [fault.ErrConflict].
func (r *Run) Stop(a Attempt, actor string, cause StopCause, now time.Time) (*Event, error) {
	if r.State.Terminal() {
		return nil, fault.New(fault.ErrEnded, fmt.Sprintf("Run %s has already %s.", r.ID, endedAs(r.State)), "")
	}
	asked := r.StopRequested
	why := cause.reason(r)
	r.StopRequested, r.StopCause, r.StopReason = true, cmp.Or(r.StopCause, cause), cmp.Or(r.StopReason, why)
	to := Stopping
	switch {
	case r.State == Stopping && asked:
		return nil, nil
	case r.State == Stopping: // its workers could not go on; now nothing follows either
		return &Event{RunID: r.ID, At: now, Kind: "stop", Level: "info", Actor: actor, Attempt: r.Attempt, Rank: -1, Message: "asked to stop: it is not tried again"}, nil
	case r.State == Dispatching: // whoever is sending it sees the request when the call comes back
		r.Reason = "to be stopped as soon as Nomad has it"
		return nil, nil
	case r.State == Queued && a.MaybeSent: // its workers may be training: sending it again finds them
		to, why = Dispatching, "to be stopped as soon as Nomad says whether it has it"
	case r.State == Queued && a.JobID != "":
		to, why = Stopped, cmp.Or(why, "stopped before it was tried again")
	case r.State == Queued || r.State == Paused:
		to, why = Stopped, cmp.Or(why, "stopped before it was sent to Nomad")
	}
	ev, err := r.Transition(to, actor, why, now)
	if to == Stopping && err == nil {
		r.Reason = cmp.Or(why, StopRequested)
	}
	return ev, err
}

// StopWorkers notes why the workers of a run are to be stopped that may be tried again, and returns the event.
func (r *Run) StopWorkers(cause StopCause, why string, now time.Time) (*Event, error) {
	r.StopCause, r.StopReason = cause, why
	return r.Transition(Stopping, Console, why, now)
}

// endedAs is a final state as a sentence has it.
func endedAs(s State) string {
	if s == Stopped {
		return "been stopped"
	}
	return string(s)
}
