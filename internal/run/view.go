package run

import (
	"cmp"
	"slices"
	"time"
)

// CurvePoint is one step of a metric over all workers that reported it.
type CurvePoint struct {
	Step    int64     `json:"step"`
	Mean    float64   `json:"mean"`
	Min     float64   `json:"min"`
	Max     float64   `json:"max"`
	Sum     float64   `json:"sum"`
	Workers int       `json:"workers"` // that reported this step
	At      time.Time `json:"at"`      // when the last of them reported
}

// Settled cuts a curve at the step of the headline: some workers have not reported later ones, which avoids a false dip
// at the end.
func Settled(curve []CurvePoint, step int64) []CurvePoint {
	n, found := slices.BinarySearchFunc(curve, step, func(p CurvePoint, step int64) int { return cmp.Compare(p.Step, step) })
	if found {
		n++
	}
	return curve[:n]
}

// RunFilter selects runs, and their order. The zero filter finds nothing.
type RunFilter struct {
	Projects Projects
	Owner    string // who submitted it; "" for everybody

	States   []State   // empty for all
	Text     string    // in name, ID, description or a tag, in any case; one or two characters alone are where a word begins
	Sweep    SweepID   // "" for all
	Tags     []string  // has all of them
	Model    string    // the preset it was made from; "" for any
	Node     string    // name of a node that a worker was placed on; "" for any
	Since    time.Time // created then or later; zero for any time
	Until    time.Time // created before
	Archived Archived

	Order  Order // zero for the newest first
	Folded bool  // only the newest matching run of each sweep; newest first only
	Before ID    // older than this run, newest first; "" for the newest
	After  *Position
	Limit  int // 1 to 1000
}

// Archived says whether archived runs are among those sought.
type Archived string

// What may be asked for.
const (
	WithArchived    Archived = ""
	WithoutArchived Archived = "no"
	OnlyArchived    Archived = "only"
)

// Page is a page of runs, and the cursor of the next one, "" on the last.
type Page struct {
	Runs []Run
	Next string
}

// Counts is how many runs are in each state.
type Counts map[State]int

// Total is the number of runs in all states.
func (c Counts) Total() (total int) {
	for _, n := range c {
		total += n
	}
	return total
}

// Submission is everything that makes a new run.
type Submission struct {
	Project string `json:"project,omitempty"` // "" for the default one
	Name    string `json:"name"`

	Preset string `json:"preset,omitempty"` // display only: where the configuration came from
	Config string `json:"config"`           // CotrainCore TOML
	Shape  Shape  `json:"shape"`

	Options Options `json:"options,omitzero"`
	Origin  Origin  `json:"origin,omitzero"`
	// Key makes a repeated submission to the project return the first one's run; "" for none.
	Key string `json:"key,omitempty"`
}

// What a worker gets when a submission leaves it at zero: Nomad's own defaults.
const (
	DefaultWorkerCPU    = 100 // MHz
	DefaultWorkerMemory = 300 // MiB
)
