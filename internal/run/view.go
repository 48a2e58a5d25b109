package run

import (
	"cmp"
	"slices"
	"time"
)

// CurvePoint is one step of a metric taken over all workers that reported it.
type CurvePoint struct {
	Step    int64     `json:"step"`
	Mean    float64   `json:"mean"`
	Min     float64   `json:"min"`
	Max     float64   `json:"max"`
	Sum     float64   `json:"sum"`
	Workers int       `json:"workers"` // how many reported this step
	At      time.Time `json:"at"`      // newest of their times
}

// Settled returns a curve up to a step, that of the run's headline: of later ones workers are still to report, and their
// sum would show a false dip at the end. What a chart ends with is what the headline says.
func Settled(curve []CurvePoint, step int64) []CurvePoint {
	n, found := slices.BinarySearchFunc(curve, step, func(p CurvePoint, step int64) int { return cmp.Compare(p.Step, step) })
	if found {
		n++
	}
	return curve[:n]
}

// LogPos is a place in a run's log: all workers' lines in the order in which the console stored them. Zero is the
// start; a greater position is later.
type LogPos int64

// LogLine is one stored line of one worker.
type LogLine struct {
	Pos    LogPos    `json:"pos"`
	Rank   int       `json:"rank"`
	Stream string    `json:"stream"` // stdout or stderr
	At     time.Time `json:"at"`     // when the console received it
	Text   string    `json:"text"`   // without the newline; valid UTF-8; control characters kept
}

// LogQuery selects lines of a run's log.
type LogQuery struct {
	Rank   int    // -1 for all workers
	After  LogPos // lines after this place; ignored when Tail is set
	Tail   bool   // the newest Limit lines, still oldest first
	Before LogPos // with Tail: only lines before this place; 0 for the end
	Limit  int    // at most this many, 1 to 10000
}

// RunFilter selects runs, newest first.
type RunFilter struct {
	States []State // any of these; empty for all
	Text   string  // part of the name, ID, description or tags, any case
	Sweep  SweepID // only runs of this sweep; "" for all
	Folded bool    // of each sweep only the newest run that matches
	Before ID      // only runs older than this one; "" for the newest
	Limit  int     // 1 to 1000
}

// Submission is what a person asks for: everything that makes a new run.
type Submission struct {
	Name   string `json:"name"`
	Preset string `json:"preset,omitempty"` // for display: where the configuration came from
	Config string `json:"config"`           // CotrainCore TOML
	Shape  Shape  `json:"shape"`

	Options Options `json:"options,omitzero"`
	Origin  Origin  `json:"origin,omitzero"`
	// Key makes a repeated submission return the first one's run; "" for none.
	Key string `json:"key,omitempty"`
}

// DefaultWorkerCPU and DefaultWorkerMemory are what a worker asks for when a submission says nothing (zero).
const (
	DefaultWorkerCPU    = 100 // MHz: Nomad's own default
	DefaultWorkerMemory = 300 // MiB: Nomad's own default
)
