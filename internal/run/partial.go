package run

import (
	"fmt"
	"strings"
	"time"
)

// PlacementTimeout is how long Nomad may take to place all workers of an attempt before the attempt is recalled: those
// that started are waiting, or training alone, on GPUs that another run could use. Placement takes seconds, a server
// restart or a returning node a minute or two. It is half of the launch script's wait for worker 0, so no worker has
// given up by then.
const PlacementTimeout = 5 * time.Minute

// Overdue reports whether an attempt dispatched at sent is to be recalled. Once worker 0 has ended more workers would
// not help: see [Run.Doomed].
func (r *Run) Overdue(o Observation, sent, now time.Time) bool {
	over := len(o.Workers) > 0 && o.Workers[0].Rank == 0 && o.Workers[0].State.Terminal()
	return !r.StopRequested && !over && o.Found && !o.Stopped && placed(o) < r.Shape.Nodes && now.Sub(sent) >= PlacementTimeout
}

// OverdueReason says why an [Run.Overdue] attempt is recalled.
func (r *Run) OverdueReason(o Observation) string {
	return fmt.Sprintf("Nomad placed %d of %d workers within %s: taken back, to be sent again when all fit", placed(o), r.Shape.Nodes, ShortDuration(PlacementTimeout))
}

// placed counts the workers that have or had a node.
func placed(o Observation) int {
	n := 0
	for _, w := range o.Workers {
		if w.State != WorkerLost || w.Started {
			n++
		}
	}
	return n
}

// PendingReason says what a run with workers still to start is waiting for. why is Nomad's reason for not placing or starting them;
// trains is true once the run has reported steps in this attempt.
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
		if why != "" && len(open) == 0 {
			out += ": " + why
		}
	}
	return out
}

// maxRanks is how many workers a sentence lists.
const maxRanks = 5

// ranks returns "worker 2 waits" or "workers 2, 3 wait".
func ranks(of []int, one, more string) string {
	if len(of) == 1 {
		return fmt.Sprintf("worker %d %s", of[0], one)
	}
	if len(of) > maxRanks {
		return fmt.Sprintf("%d workers %s", len(of), more)
	}
	return fmt.Sprintf("workers %s %s", strings.Trim(strings.ReplaceAll(fmt.Sprint(of), " ", ", "), "[]"), more)
}
