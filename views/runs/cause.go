package runs

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views/ui"
)

// showsCause reports whether the head tells why the newest attempt failed, or why its policy stopped it.
func showsCause(r run.Run) bool { return r.Cause != nil && !r.State.Live() }

// causeLabel is what the card says.
func causeLabel(r run.Run) string {
	if r.State == run.Stopped && r.StopCause == run.StopLoss {
		return "Why it was stopped"
	}
	return "Why it failed"
}

func causeTitle(c *run.Cause) string { return cmp.Or(c.Title, "Failed") }

// causeWhere says which worker failed first, and which ended because of it.
func causeWhere(c *run.Cause) string {
	out := ui.Sentence(run.WorkerName(c.Rank, c.Node))
	const most = 8
	var names []string
	for _, rank := range c.Victims[:min(len(c.Victims), most)] {
		names = append(names, strconv.Itoa(rank))
	}
	switch n := len(c.Victims); {
	case n == 0:
	case n == 1:
		out += "; worker " + names[0] + " ended because of it"
	case n > most:
		out += fmt.Sprintf("; workers %s and %d more ended because of it", strings.Join(names, ", "), n-most)
	default:
		out += "; workers " + strings.Join(names, ", ") + " ended because of it"
	}
	return out + "."
}

// causeLinesLabel says what the lines are.
func causeLinesLabel(c *run.Cause) string {
	if c.Tail {
		return "Last lines of its log"
	}
	return "Lines that say so"
}

// causeLine opens the log at a line.
func causeLine(id run.ID, c *run.Cause, line run.CauseLine) string {
	rank := c.Rank
	if line.Rank != nil {
		rank = *line.Rank
	}
	if rank < 0 {
		return fmt.Sprintf("%s?line=%d", TabLogs.Path(id), line.Pos)
	}
	return fmt.Sprintf("%s?worker=%d&line=%d", TabLogs.Path(id), rank, line.Pos)
}

// causeLineOf names the worker of a line that is not the cause's, "" for one that is.
func causeLineOf(line run.CauseLine) string {
	if line.Rank == nil {
		return ""
	}
	return "worker " + strconv.Itoa(*line.Rank)
}

// losses are the workers whose causes the overview shows, and how many more there are.
func losses(r run.Run, workers []run.Worker) (shown []run.Worker, more int) {
	if showsCause(r) {
		return nil, 0
	}
	const most = 4
	all := run.Losses(workers)
	n := min(len(all), most)
	return all[:n], len(all) - n
}

// lossCause is "GPU out of memory: worker 1 (node-2)".
func lossCause(w run.Worker) string {
	return causeTitle(w.Cause) + ": " + run.WorkerName(w.Rank, w.NodeName)
}
