package sweeps

import (
	"slices"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views/ui"
)

// List is a page of sweeps, newest first.
type List struct {
	Sweeps []run.Sweep
	Before run.SweepID // the page begins before this one, "" on the first page
	Older  run.SweepID // the last sweep of this page when older ones exist, else ""
	Now    time.Time
}

// projects reports whether the list shows sweeps of more than one.
func (l List) projects() bool {
	return slices.ContainsFunc(l.Sweeps, func(s run.Sweep) bool { return s.Project != l.Sweeps[0].Project })
}

func beforePath(id run.SweepID) string { return "/sweeps?before=" + string(id) }

// RunCount is how many runs a sweep has.
func RunCount(s run.Sweep) int {
	n := 0
	for _, c := range s.Counts {
		n += c
	}
	return n
}

// ended is how many runs have ended.
func ended(s run.Sweep) int {
	n := 0
	for state, c := range s.Counts {
		if state.Terminal() {
			n += c
		}
	}
	return n
}

// done reports whether all runs have ended.
func done(s run.Sweep) bool { return ended(s) == RunCount(s) }

func states(s run.Sweep) []run.State {
	return slices.DeleteFunc(run.States(), func(state run.State) bool { return s.Counts[state] == 0 })
}

// progress is the share of ended runs, as a number and in words.
func progress(s run.Sweep) (share float64, words string) {
	n, over := RunCount(s), ended(s)
	if n == 0 {
		return 0, "no runs"
	}
	return float64(over) / float64(n), ui.Integer(over) + " of " + ui.Plural(n, "run") + " ended"
}

func parallelText(n int) string {
	if n == 0 {
		return "no limit"
	}
	return ui.Plural(n, "run") + " at a time"
}
