package run

import (
	"slices"
	"time"
)

// Actors of automatic events.
const (
	Console = "cotrain" // the console's own decisions
	Nomad   = "nomad"   // observed at Nomad
	Trainer = "worker"  // reported by a worker
)

// Event is something that happened to a run. Events are kept as long as the run.
type Event struct {
	Seq     int64     `json:"seq"` // assigned by the store, increasing
	RunID   ID        `json:"run_id"`
	At      time.Time `json:"at"`
	Kind    string    `json:"kind"`  // state, worker, checkpoint_saved, evicted, ... (see logparse)
	Level   string    `json:"level"` // info, warning or error: how much it matters to a person
	Actor   string    `json:"actor"`
	From    State     `json:"from,omitempty"`
	To      State     `json:"to,omitempty"`
	Attempt int       `json:"attempt"`
	Rank    int       `json:"rank"` // the worker it concerns, -1 for the run
	Message string    `json:"message"`
}

// ByPerson reports whether a person caused it.
func (e Event) ByPerson() bool {
	return !slices.Contains([]string{"", Console, Nomad, Trainer}, e.Actor)
}
