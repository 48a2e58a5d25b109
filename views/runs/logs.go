package runs

import (
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views/ui"
)

// Logs is the newest piece of a run's log.
type Logs struct {
	Run   run.Run
	Rank  int // -1 for all workers
	Lines []run.LogLine
	More  bool       // older lines exist
	Later bool       // newer ones do
	Spot  run.LogPos // the line that was asked for, 0 for none
}

// maxLogTabs bounds the workers to choose from.
const maxLogTabs = 512

// ranks are the workers to choose from.
func (l Logs) ranks() []ui.Tab {
	base := TabLogs.Path(l.Run.ID)
	tabs := []ui.Tab{{Key: "-1", Label: "All workers", Href: base, Current: l.Rank < 0}}
	for rank := range min(l.Run.Shape.Nodes, maxLogTabs) {
		n := strconv.Itoa(rank)
		tabs = append(tabs, ui.Tab{Key: n, Label: "Worker " + n, Href: base + "?worker=" + n, Current: l.Rank == rank})
	}
	return tabs
}

func (l Logs) first() string {
	if len(l.Lines) == 0 {
		return "0"
	}
	return strconv.FormatInt(int64(l.Lines[0].Pos), 10)
}

func (l Logs) last() string {
	if len(l.Lines) == 0 {
		return "0"
	}
	return strconv.FormatInt(int64(l.Lines[len(l.Lines)-1].Pos), 10)
}

// machineLine reports whether a log line is meant for the console rather than for a person.
func machineLine(text string) bool { return strings.HasPrefix(text, "COTRAIN {") }

// linesURL is where a page's script reads lines of a run's log.
func linesURL(r run.Run) string { return ui.RunPath(r.ID) + "/log.json" }
