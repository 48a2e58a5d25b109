package run

import (
	"slices"
	"time"
)

// Actors of what no person did.
const (
	Console = "cotrain" // what the console decides by itself
	Nomad   = "nomad"   // what the console sees at Nomad
	Trainer = "worker"  // what a worker reports
)

// Event is something that happened to a run; it is kept for ever.
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

// ByPerson reports whether a person did it.
func (e Event) ByPerson() bool {
	return !slices.Contains([]string{"", Console, Nomad, Trainer}, e.Actor)
}
