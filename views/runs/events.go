package runs

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/run"
)

// How many events a live page keeps: the tab, beyond those that its reader loaded, and the overview.
const (
	mostEvents = 300
	fewEvents  = 8
)

// EventPage is a piece of what happened to a run.
type EventPage struct {
	Run    run.ID
	Events []run.Event // oldest first
	More   bool        // older ones exist
	Before int64       // the sequence that all of these come before, 0 for the newest
	State  run.State   // of the run

	Attempts []Segment // oldest first
}

// place is the ID of a part of the timeline. That of older events has other ones, so that nothing live gets into it.
func (p EventPage) place(id string) string {
	if p.Before > 0 {
		return id + "-earlier"
	}
	return id
}

// oldest is the sequence of the oldest event here.
func (p EventPage) oldest() int64 {
	if len(p.Events) == 0 {
		return p.Before
	}
	return p.Events[0].Seq
}

// earlierHref is the address of the page with the events before these.
func (p EventPage) earlierHref() string {
	return fmt.Sprintf("%s?before=%d", TabEvents.Path(p.Run), p.oldest())
}

// earlierValues is what a request for the events before these says.
func (p EventPage) earlierValues() string { return fmt.Sprintf(`{"before":%d}`, p.oldest()) }

func eventID(e run.Event) string { return "event-" + strconv.FormatInt(e.Seq, 10) }

// eventLog is where the log of an event's worker has what it printed then.
func eventLog(e run.Event) string {
	return TabLogs.Path(e.RunID) + "?" + url.Values{"at": {e.At.UTC().Format(time.RFC3339Nano)}, "worker": {strconv.Itoa(e.Rank)}}.Encode()
}

func eventIcon(e run.Event) string {
	switch {
	case e.To != "":
		return string(e.To)
	case e.Level == "error":
		return "failed"
	case e.Level == "warning":
		return "warning"
	case strings.HasPrefix(e.Kind, "checkpoint"):
		return "save"
	case strings.Contains(e.Kind, "sync"), strings.Contains(e.Kind, "outer"):
		return "sync"
	case strings.Contains(e.Kind, "finish"):
		return "succeeded"
	case strings.HasPrefix(e.Kind, "worker"):
		return "node"
	}
	return "dot"
}

// eventTitle is the kind of an event as words: "checkpoint saved".
func eventTitle(e run.Event) string { return strings.ReplaceAll(e.Kind, "_", " ") }

// eventClass colours an event by the state that it leads to, or by how much it matters.
func eventClass(e run.Event) string {
	switch {
	case e.To != "":
		return "state-" + string(e.To)
	case e.Level == "error":
		return "state-failed"
	case e.Level == "warning":
		return "state-degraded"
	}
	return ""
}
