package run

import (
	"slices"
	"strings"
)

// State is a run's stage. Only [Run.Transition] sets it.
type State string

// The states, in the order of a healthy run.
const (
	Queued      State = "queued"      // not sent to Nomad yet
	Dispatching State = "dispatching" // being sent to Nomad
	Pending     State = "pending"     // at Nomad; not every worker has started
	Running     State = "running"     // every worker runs
	Degraded    State = "degraded"    // some workers lost or failed, others run
	Stopping    State = "stopping"    // workers are saving and exiting
	Paused      State = "paused"      // stopped with a checkpoint, to be resumed
	Succeeded   State = "succeeded"   // training complete; the reason lists caveats
	Failed      State = "failed"      // ended unasked
	Stopped     State = "stopped"     // ended on request
)

// States lists every state in display order.
func States() []State {
	return []State{Queued, Dispatching, Pending, Running, Degraded, Stopping, Paused, Succeeded, Failed, Stopped}
}

// ParseState returns the named state, or [FieldErrors] that list the valid ones.
func ParseState(s string) (State, error) {
	if st := State(s); slices.Contains(States(), st) {
		return st, nil
	}
	names := make([]string, 0, len(States()))
	for _, st := range States() {
		names = append(names, string(st))
	}
	return "", FieldErrors{{Field: "state", Value: named(s), Rule: "is not a state of a run", Fix: "use one of " + strings.Join(names, ", ")}}
}

// Terminal reports whether the run has ended. Only a person's retry leads out of it, and never out of [Succeeded].
func (s State) Terminal() bool { return s == Succeeded || s == Failed || s == Stopped }

// Live reports whether Nomad may hold workers of the run.
func (s State) Live() bool {
	return s == Dispatching || s == Pending || s == Running || s == Degraded || s == Stopping
}

var transitions = map[State][]State{
	Queued:      {Dispatching, Paused, Stopped, Failed},
	Dispatching: {Queued, Pending, Paused, Stopped, Failed},
	Pending:     {Running, Degraded, Stopping, Paused, Succeeded, Failed, Stopped, Queued}, // queued: for another attempt
	Running:     {Degraded, Stopping, Paused, Succeeded, Failed, Stopped, Queued},
	Degraded:    {Running, Pending, Stopping, Paused, Succeeded, Failed, Stopped, Queued},
	Stopping:    {Stopped, Paused, Succeeded, Failed, Queued},
	Paused:      {Queued, Stopped, Failed}, // failed: a retry that was held is given up
	Failed:      {Queued},                  // by a person's retry
	Stopped:     {Queued},
}

// CanFollow reports whether a run may go from one state to another.
func CanFollow(from, to State) bool { return slices.Contains(transitions[from], to) }
