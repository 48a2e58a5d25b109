package runs

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views/ui"
)

// Detail is everything on one run's page.
type Detail struct {
	Run     run.Run
	Workers []run.Worker
	History EventPage
	Log     LogView
	Origin  Origin
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
func (d Detail) Topic() string { return "run:" + string(d.Run.ID) }

func (d Detail) logTabs() []ui.Tab {
	base := ui.RunPath(d.Run.ID)
	tabs := []ui.Tab{{Key: "-1", Label: "All workers", Href: base + "#logs", Current: d.Log.Rank < 0}}
	n := max(d.Run.Shape.Nodes, len(d.Workers))
	for rank := range min(n, 512) {
		tabs = append(tabs, ui.Tab{
			Key: strconv.Itoa(rank), Label: "Worker " + strconv.Itoa(rank),
			Href: fmt.Sprintf("%s?worker=%d#logs", base, rank), Current: d.Log.Rank == rank,
		})
	}
	return tabs
}

func (d Detail) firstPos() string {
	if len(d.Log.Lines) == 0 {
		return "0"
	}
	return strconv.FormatInt(int64(d.Log.Lines[0].Pos), 10)
}

func (d Detail) lastPos() string {
	if len(d.Log.Lines) == 0 {
		return "0"
	}
	return strconv.FormatInt(int64(d.Log.Lines[len(d.Log.Lines)-1].Pos), 10)
}

func lossTitle(r run.Run) string {
	if !r.Progress.HasLoss {
		return "No loss reported yet"
	}
	return ui.Exact(r.Progress.Loss) + ", mean over workers at step " + ui.Integer(r.Progress.Step)
}

func throughputTitle(r run.Run) string {
	if r.Progress.TokensPerSec <= 0 {
		return "No throughput reported yet"
	}
	return ui.Exact(r.Progress.TokensPerSec) + " tokens per second, sum over workers"
}

// participants are the workers that run, of those asked for. Of a run that has ended none runs, which is no news.
func participants(r run.Run) string {
	if r.State.Terminal() {
		return ui.Integer(r.Shape.Nodes)
	}
	return ui.Integer(r.Progress.Participants) + " / " + ui.Integer(r.Shape.Nodes)
}

func participantsTitle(r run.Run) string {
	if r.State.Terminal() {
		return "Workers requested"
	}
	return "Workers running, of those requested"
}

// timeLeft is the label, the value and the title of the headline's last number: the time left, or the whole duration
// once the run has ended.
func timeLeft(r run.Run, now time.Time) (label, value, title string) {
	if r.State.Terminal() {
		return "Duration", ui.DurationText(r, now), "From the first worker's start to the end"
	}
	if d, ok := ui.ETA(r); ok {
		return "Time left", ui.Duration(d), "At the current pace: about " + r.Progress.UpdatedAt.Add(d).UTC().Format("2006-01-02 15:04 UTC")
	}
	return "Time left", ui.Absent, "Known after the first steps"
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

// cloneHref is the address of the form that begins with a run's settings.
func cloneHref(id run.ID) string { return "/runs/new?clone=" + string(id) }

// StopConfirm asks before a run is stopped.
func StopConfirm(r run.Run) ui.Confirm {
	return ui.Confirm{
		Key: "stop", Title: fmt.Sprintf("Stop “%s”?", r.Name), Icon: "stop", Label: "Stop run", KeepLabel: "Keep running",
		Effects: []string{
			"Workers save a checkpoint if one is configured, then exit. Those still running after the kill timeout are killed.",
			"Curves, logs and events are kept.",
		},
		Action: ui.RunPath(r.ID) + "/stop", Back: ui.RunPath(r.ID),
	}
}

// DeleteConfirm asks before a run is deleted.
func DeleteConfirm(r run.Run) ui.Confirm {
	return ui.Confirm{
		Key: "delete", Title: fmt.Sprintf("Delete “%s”?", r.Name), Icon: "trash", Label: "Delete run", KeepLabel: "Keep",
		Effects: []string{
			"Configuration, curves, logs and events are deleted for good.",
			"Checkpoints on the nodes are kept.",
		},
		Action: ui.RunPath(r.ID) + "/delete", Back: ui.RunPath(r.ID),
	}
}
