package runs

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views/ui"
)

// shortRows is how many workers the overview lists.
const shortRows = 8

// noteworthy are the workers that the overview lists, those that are not well first, then by rank; and the rest.
func noteworthy(workers []run.Worker) (rows, rest []run.Worker) {
	sorted := slices.SortedStableFunc(slices.Values(workers), func(a, b run.Worker) int { return cmp.Compare(concern(a), concern(b)) })
	n := min(len(sorted), shortRows)
	return sorted[:n], sorted[n:]
}

// concern sorts states of workers by how much they matter.
func concern(w run.Worker) int {
	switch {
	case w.Stopped():
		return 3
	case w.State == run.WorkerFailed:
		return 0
	case w.State == run.WorkerLost:
		return 1
	case w.State == run.WorkerPending:
		return 2
	}
	return 4
}

// countsText counts workers by state: "2 more pending, 990 more running".
func countsText(workers []run.Worker) string {
	counts := map[run.WorkerState]int{}
	for _, w := range workers {
		counts[w.State]++
	}
	var out []string
	for _, state := range slices.Sorted(maps.Keys(counts)) {
		out = append(out, ui.Integer(counts[state])+" more "+string(state))
	}
	return strings.Join(out, ", ")
}

func exitText(w run.Worker) string {
	code, signal := w.Exit()
	switch {
	case w.OOM:
		return "out of memory"
	case w.Stopped():
		return "stopped"
	case !w.Exited:
		return ui.Absent
	case signal != 0 && code == 0:
		return fmt.Sprintf("signal %d", signal)
	case signal != 0:
		return fmt.Sprintf("%d (signal %d)", code, signal)
	}
	return strconv.Itoa(code)
}

// workerSince is when the worker came into the state that it is in, as far as it is known.
func workerSince(w run.Worker) time.Time {
	if w.State.Terminal() && !w.EndedAt.IsZero() {
		return w.EndedAt
	}
	return w.StartedAt
}
