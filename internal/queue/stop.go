package queue

import (
	"cmp"
	"fmt"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

// Stop changes a run as a request to end it does; why is the reason, "" for what is usual. One that Nomad does not have is
// stopped at once, and of any other Nomad is ordered to stop the workers. One that has ended is [fault.ErrConflict].
func Stop(u *store.Update, actor, why string, now time.Time) error {
	r := &u.Run
	if r.State.Terminal() {
		return fault.New(fault.ErrEnded, fmt.Sprintf("Run %s has already %s.", r.ID, ended(r.State)), "")
	}
	asked := r.StopRequested
	r.StopRequested = true
	r.StopReason = cmp.Or(r.StopReason, why)
	u.StopJob()
	switch r.State {
	case run.Stopping:
		if !asked { // its workers could not go on; now nothing follows either
			u.Events = append(u.Events, run.Event{
				RunID: r.ID, At: now, Kind: "stop", Level: "info", Actor: actor, Attempt: r.Attempt, Rank: -1, Message: "asked to stop: it is not tried again",
			})
		}
		return nil
	case run.Dispatching: // whoever is sending it sees the request when the call comes back
		r.Reason = "to be stopped as soon as Nomad has it"
		return nil
	}
	to := run.Stopping
	switch {
	case r.State == run.Queued && u.Attempt.MaybeSent: // its workers may be training: sending it again finds them
		to, why = run.Dispatching, "to be stopped as soon as Nomad says whether it has it"
	case r.State == run.Queued && u.Attempt.JobID != "":
		to, why = run.Stopped, cmp.Or(why, "stopped before it was tried again")
	case r.State == run.Queued || r.State == run.Paused:
		to, why = run.Stopped, cmp.Or(why, "stopped before it was sent to Nomad")
	default:
		why = cmp.Or(why, run.StopRequested)
	}
	ev, err := r.Transition(to, actor, why, now)
	if ev != nil {
		u.Events = append(u.Events, *ev)
	}
	return err
}

// ended is a final state as a sentence has it.
func ended(s run.State) string {
	if s == run.Stopped {
		return "been stopped"
	}
	return string(s)
}
