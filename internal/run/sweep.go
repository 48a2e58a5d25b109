package run

import (
	"regexp"
	"time"
)

// SweepID names a sweep: "s-" and 10 characters, as those of a run.
type SweepID string

var sweepPattern = regexp.MustCompile(`^s-[0-9a-v]{10}$`)

// NewSweepID returns an ID for a sweep made at t; see [NewID].
func NewSweepID(t time.Time) SweepID { return SweepID("s" + string(NewID(t))[1:]) }

// ParseSweepID checks the form of an ID given by a user; a wrong one is [FieldErrors].
func ParseSweepID(s string) (SweepID, error) {
	if !sweepPattern.MatchString(s) {
		return "", FieldErrors{{Field: "sweep", Value: named(s), Rule: "is not the ID of a sweep, which is s- and 10 characters of 0-9 and a-v", Fix: "list the sweeps to see which there are"}}
	}
	return SweepID(s), nil
}

// MaxSweepRuns is the most runs that one sweep may make: a page still shows them all, and a typing error does not
// fill a cluster.
const MaxSweepRuns = 500

// Axis is one varied field of a grid, with its values in order.
type Axis struct {
	Field  string   `json:"field"` // as a submission names it: "optim.optim.lr", "nodes"
	Values []string `json:"values"`
}

// SweepSpec is what a person asks for: a submission, and how to vary it. Exactly one of Grid and List is set.
type SweepSpec struct {
	Submission
	Grid []Axis              `json:"grid,omitempty"` // every combination, the last axis fastest
	List []map[string]string `json:"list,omitempty"` // each run's values by field
	// Parallel is the most runs that are sent to Nomad at one time; 0 for no limit.
	Parallel int `json:"parallel"`
}

// Points returns the values of every run, in order.
func (s SweepSpec) Points() []map[string]string {
	if len(s.Grid) == 0 {
		return s.List
	}
	points := []map[string]string{{}}
	for _, axis := range s.Grid {
		next := make([]map[string]string, 0, min(len(points)*len(axis.Values), MaxSweepRuns+1))
		for _, p := range points {
			for _, v := range axis.Values {
				if len(next) > MaxSweepRuns { // one more than may be, which is enough to refuse it
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
	Name      string    `json:"name"`
	Spec      SweepSpec `json:"spec"`
	Fields    []string  `json:"fields"` // those that vary, in order
	Stopped   bool      `json:"stopped,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	Actor     string    `json:"actor"`
	// Counts of its runs by state; filled in by whoever reads the sweep.
	Counts map[State]int `json:"counts,omitempty"`
}
