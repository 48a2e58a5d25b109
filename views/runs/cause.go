package runs

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/run"
)

// showsCause reports whether the head tells why the newest attempt failed.
func showsCause(r run.Run) bool {
	return r.Cause != nil && (r.State == run.Failed || r.State == run.Queued)
}

func causeTitle(c *run.Cause) string { return cmp.Or(c.Title, "Failed") }

// causeWhere says which worker failed first, and which ended because of it.
func causeWhere(c *run.Cause) string {
	out := fmt.Sprintf("Worker %d", c.Rank)
	if c.Node != "" {
		out += " on " + c.Node
	}
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

// causeLine opens the log at a line.
func causeLine(id run.ID, c *run.Cause, line run.CauseLine) string {
	return fmt.Sprintf("%s?worker=%d&line=%d", TabLogs.Path(id), c.Rank, line.Pos)
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

// lossCause is "GPU out of memory: worker 1 on node-2".
func lossCause(w run.Worker) string {
	out := fmt.Sprintf("%s: worker %d", causeTitle(w.Cause), w.Rank)
	if w.NodeName != "" {
		out += " on " + w.NodeName
	}
	return out
}
