package views

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/cotrain/cotrain/internal/run"
)

// RunDetail is everything on one run's page.
type RunDetail struct {
	Run     run.Run
	Workers []run.Worker
	History EventPage
	Log     LogView
	Origin  RunOrigin
	Seq     int64 // of the run's topic, read before the rest
	Now     time.Time
}

// LogView is the newest piece of a run's log.
type LogView struct {
	Rank  int // -1 for all workers
	Lines []run.LogLine
	More  bool // older lines exist
}

// Topic is the name under which the run's updates are published.
func (d RunDetail) Topic() string { return "run:" + string(d.Run.ID) }

func (d RunDetail) logTabs() []Tab {
	base := runPath(d.Run.ID)
	tabs := []Tab{{Key: "-1", Label: "All workers", Href: base + "#logs", Current: d.Log.Rank < 0}}
	n := max(d.Run.Shape.Nodes, len(d.Workers))
	for rank := range min(n, 512) {
		tabs = append(tabs, Tab{
			Key: strconv.Itoa(rank), Label: "Worker " + strconv.Itoa(rank),
			Href: fmt.Sprintf("%s?worker=%d#logs", base, rank), Current: d.Log.Rank == rank,
		})
	}
	return tabs
}

func (d RunDetail) firstPos() string {
	if len(d.Log.Lines) == 0 {
		return "0"
	}
	return strconv.FormatInt(int64(d.Log.Lines[0].Pos), 10)
}

func (d RunDetail) lastPos() string {
	if len(d.Log.Lines) == 0 {
		return "0"
	}
	return strconv.FormatInt(int64(d.Log.Lines[len(d.Log.Lines)-1].Pos), 10)
}

func lossTitle(r run.Run) string {
	if !r.Progress.HasLoss {
		return "No worker has reported a loss yet"
	}
	return exact(r.Progress.Loss) + ", mean over workers at step " + Integer(r.Progress.Step)
}

func throughputTitle(r run.Run) string {
	if r.Progress.TokensPerSec <= 0 {
		return "No worker has reported a throughput yet"
	}
	return exact(r.Progress.TokensPerSec) + " tokens per second, sum over workers"
}

// participants are the workers that run, of those asked for. Of a run that has ended none runs, which is no news.
func participants(r run.Run) string {
	if r.State.Terminal() {
		return Integer(r.Shape.Nodes)
	}
	return Integer(r.Progress.Participants) + " / " + Integer(r.Shape.Nodes)
}

func participantsTitle(r run.Run) string {
	if r.State.Terminal() {
		return "Workers asked for"
	}
	return "Workers running now, of those asked for"
}

// timeLeft is the label, the value and the title of the headline's last number: the time left, or the whole duration
// once the run has ended.
func timeLeft(r run.Run, now time.Time) (label, value, title string) {
	if r.State.Terminal() {
		return "Duration", durationText(r, now), "From the first worker's start to the end"
	}
	if d, ok := eta(r); ok {
		return "Time left", Duration(d), "At the pace so far; about " + r.Progress.UpdatedAt.Add(d).UTC().Format("2006-01-02 15:04 UTC")
	}
	return "Time left", absent, "Known once steps have been done"
}

// reasonText is the reason for the state as a sentence. Where none was recorded it says what the state means.
func reasonText(r run.Run) string {
	if r.Reason != "" {
		return sentence(r.Reason)
	}
	switch r.State {
	case run.Queued:
		return "Waiting in the queue."
	case run.Dispatching:
		return "Being sent to Nomad."
	case run.Pending:
		return "Nomad is starting the workers."
	case run.Running:
		return "All workers are running."
	case run.Degraded:
		return "A worker was lost; the others continue."
	case run.Stopping:
		return "Workers are saving a checkpoint and stopping."
	case run.Paused:
		return "Paused at a checkpoint."
	case run.Succeeded:
		return "All workers finished."
	case run.Stopped:
		return "Stopped on request."
	}
	return "Ended; no cause was recorded."
}

// sentence is a reason with a capital at its beginning.
func sentence(reason string) string {
	first, n := utf8.DecodeRuneInString(reason)
	return string(unicode.ToUpper(first)) + reason[n:]
}

// canStop is true while there is something to stop that nobody has asked to stop yet.
func canStop(r run.Run) bool {
	return !r.State.Terminal() && r.State != run.Stopping && !r.StopRequested
}

// machineLine reports whether a log line is meant for the console rather than for a person.
func machineLine(text string) bool { return strings.HasPrefix(text, "COTRAIN {") }

func exitText(w run.Worker) string {
	code, signal := w.Exit()
	switch {
	case w.OOM:
		return "out of memory"
	case w.State == run.WorkerComplete && w.Stopping:
		return "stopped"
	case !w.Exited:
		return absent
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

// cloneHref is the address of the form that begins with a run's settings.
func cloneHref(id run.ID) string { return "/runs/new?clone=" + string(id) }
