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

// follows says whether the run is tried again.
func follows(r run.Run) string {
	switch c := r.Cause; {
	case r.State == run.Queued:
		return fmt.Sprintf("Attempt %d follows.", r.Attempt+1)
	case r.StopRequested:
		return "It is not tried again, because it was stopped."
	case c.Known() && !c.Retryable:
		return "It is not tried again: unchanged it would fail in the same way."
	case r.Options.Retries == 0:
		return "It is not tried again: it was submitted without retries."
	case r.Retried >= r.Options.Retries:
		return fmt.Sprintf("It is not tried again: its retries are used up (%d of %d).", r.Retried, r.Options.Retries)
	}
	return "It is not tried again."
}

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
