package run

import (
	"slices"
	"strings"
)

// State is where a run is in its life. Only [Run.Transition] sets it.
type State string

// The states of a run, in the order that a healthy run passes them.
const (
	Queued      State = "queued"      // stored, not yet sent to Nomad
	Dispatching State = "dispatching" // being sent to Nomad
	Pending     State = "pending"     // Nomad has it; not every worker has started
	Running     State = "running"     // every worker runs
	Degraded    State = "degraded"    // at least one worker lost or failed, others run
	Stopping    State = "stopping"    // asked to stop; workers are saving and leaving
	Paused      State = "paused"      // stopped with a checkpoint, to be resumed
	Succeeded   State = "succeeded"   // training reached its end; the reason says what was not well
	Failed      State = "failed"      // ended for a reason that nobody asked for
	Stopped     State = "stopped"     // ended because somebody asked
)

// States lists every state in display order.
func States() []State {
	return []State{Queued, Dispatching, Pending, Running, Degraded, Stopping, Paused, Succeeded, Failed, Stopped}
}

// ParseState returns the state with this name, or [FieldErrors] that list those that exist.
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

// Terminal reports whether a run in this state can change no more.
func (s State) Terminal() bool { return s == Succeeded || s == Failed || s == Stopped }

// Live reports whether Nomad may hold workers for a run in this state.
func (s State) Live() bool {
	return s == Dispatching || s == Pending || s == Running || s == Degraded || s == Stopping
}

// transitions is the whole table of what may follow what.
var transitions = map[State][]State{
	Queued:      {Dispatching, Stopped, Failed},
	Dispatching: {Queued, Pending, Stopped, Failed},
	Pending:     {Running, Degraded, Stopping, Succeeded, Failed, Stopped, Queued}, // queued: to be tried again
	Running:     {Degraded, Stopping, Succeeded, Failed, Stopped, Queued},
	Degraded:    {Running, Pending, Stopping, Succeeded, Failed, Stopped, Queued},
	Stopping:    {Stopped, Paused, Succeeded, Failed, Queued},
	Paused:      {Queued, Stopped},
}

// CanFollow reports whether a run in state from may go to state to.
func CanFollow(from, to State) bool { return slices.Contains(transitions[from], to) }
