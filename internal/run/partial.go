package run

import (
	"fmt"
	"strings"
	"time"
)

// PlaceWithin is how long Nomad may take to place all workers of an attempt before it is taken back whole: those that have
// started wait for the others, or train without them, on GPUs that another run could use. Nomad places what fits within
// seconds; a restart of its servers and nodes that come back take a minute or two. It is half of what the launch script waits
// for worker 0, so that no worker has given up by then.
const PlaceWithin = 5 * time.Minute

// Overdue reports whether an attempt, dispatched at sent, is to be recalled because Nomad has not placed all of its workers in
// time. Once worker 0 has ended more workers would not help: see [Run.Doomed].
func (r *Run) Overdue(o Observation, sent, now time.Time) bool {
	over := len(o.Workers) > 0 && o.Workers[0].Rank == 0 && o.Workers[0].State.Terminal()
	return !r.StopRequested && !over && o.Found && !o.Stopped && placed(o) < r.Shape.Nodes && now.Sub(sent) >= PlaceWithin
}

// OverdueReason is why an attempt that is [Run.Overdue] is taken back.
func (r *Run) OverdueReason(o Observation) string {
	return fmt.Sprintf("Nomad placed %d of %d workers within %s: taken back, to be sent again when all fit", placed(o), r.Shape.Nodes, ShortDuration(PlaceWithin))
}

// placed counts the workers that have, or had, a place to start at.
func placed(o Observation) int {
	n := 0
	for _, w := range o.Workers {
		if w.State != WorkerLost || w.Started {
			n++
		}
	}
	return n
}

// PendingReason says what a run of which not all workers have started does and waits for. why is Nomad's reason for not
// placing the others, trains whether the run has reported steps in this attempt.
func (r *Run) PendingReason(o Observation, why string, trains bool) string {
	running := 0
	starting, missing := []int{}, map[int]bool{}
	for rank := range r.Shape.Nodes {
		missing[rank] = true
	}
	for _, w := range o.Workers {
		delete(missing, w.Rank)
		switch w.State {
		case WorkerRunning:
			running++
		case WorkerPending:
			starting = append(starting, w.Rank)
		}
	}
	if running == 0 {
		return why
	}
	var open []int
	for rank := range r.Shape.Nodes {
		if missing[rank] {
			open = append(open, rank)
		}
	}
	out := fmt.Sprintf("%d of %d workers run", running, r.Shape.Nodes)
	if trains {
		out += " and train"
	}
	if len(open) > 0 {
		out += "; " + ranks(open, "waits", "wait") + " for a place"
		if why != "" {
			out += ": " + why
		}
	}
	if len(starting) > 0 {
		out += "; " + ranks(starting, "is", "are") + " starting"
	}
	return out
}

// maxRanks is how many workers are named in a sentence.
const maxRanks = 5

// ranks is "worker 2 waits" or "workers 2, 3 wait".
func ranks(of []int, one, more string) string {
	if len(of) == 1 {
		return fmt.Sprintf("worker %d %s", of[0], one)
	}
	if len(of) > maxRanks {
		return fmt.Sprintf("%d workers %s", len(of), more)
	}
	return fmt.Sprintf("workers %s %s", strings.Trim(strings.ReplaceAll(fmt.Sprint(of), " ", ", "), "[]"), more)
}
