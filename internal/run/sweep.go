package run

import (
	"regexp"
	"time"
)

// SweepID names a sweep: "s-" and 10 characters, as in a run's ID.
type SweepID string

var sweepPattern = regexp.MustCompile(`^s-[0-9a-v]{10}$`)

// NewSweepID returns an ID for a sweep created at t; see [NewID].
func NewSweepID(t time.Time) SweepID { return SweepID("s" + string(NewID(t))[1:]) }

// ParseSweepID checks the form of an ID; errors are [FieldErrors].
func ParseSweepID(s string) (SweepID, error) {
	if !sweepPattern.MatchString(s) {
		return "", FieldErrors{{Field: "sweep", Value: named(s), Rule: "is not the ID of a sweep, which is s- and 10 characters of 0-9 and a-v", Fix: "list the sweeps to see which there are"}}
	}
	return SweepID(s), nil
}

// MaxSweepRuns is what a page can still show, and keeps a typing error from filling the cluster.
const MaxSweepRuns = 500

// Axis is a varied field of a grid, with its values in order.
type Axis struct {
	Field  string   `json:"field"` // as in a submission: "optim.optim.lr", "nodes"
	Values []string `json:"values"`
}

// SweepSpec is a submission and how to vary it. Exactly one of Grid and List is set. That of a [Sweep] has no Project.
type SweepSpec struct {
	Submission
	Grid []Axis              `json:"grid,omitempty"` // all combinations, last axis fastest
	List []map[string]string `json:"list,omitempty"` // each run's values by field
	// Parallel is the most live runs at a time; 0 for no limit.
	Parallel int `json:"parallel"`
}

// Points returns each run's values, in order.
func (s SweepSpec) Points() []map[string]string {
	if len(s.Grid) == 0 {
		return s.List
	}
	points := []map[string]string{{}}
	for _, axis := range s.Grid {
		next := make([]map[string]string, 0, min(len(points)*len(axis.Values), MaxSweepRuns+1))
		for _, p := range points {
			for _, v := range axis.Values {
				if len(next) > MaxSweepRuns { // enough to refuse it
					break
				}
				q := make(map[string]string, len(p)+1)
				for field, value := range p {
					q[field] = value
				}
				q[axis.Field] = v
				next = append(next, q)
			}
		}
		points = next
	}
	return points
}

// Sweep is a group of runs that differ in a few fields.
type Sweep struct {
	ID        SweepID   `json:"id"`
	Project   string    `json:"project"`
	Name      string    `json:"name"`
	Spec      SweepSpec `json:"spec"`
	Fields    []string  `json:"fields"` // the varied ones, in order
	Stopped   bool      `json:"stopped,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	Actor     string    `json:"actor"`
	// Counts of runs by state; filled in by the reader.
	Counts map[State]int `json:"counts,omitempty"`
}
