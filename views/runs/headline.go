package runs

import (
	"fmt"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views/ui"
)

// note is the cause of a failure, or what is suspicious about a run; "" for none.
func note(r run.Run) string {
	if r.State == run.Failed {
		return ui.ReasonText(r)
	}
	return ui.Warning(r)
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
	if text, ok := ui.TimeLeft(r, now); ok {
		low, high, _ := r.TimeLeft(now)
		const minute = "2006-01-02 15:04 UTC"
		title = "At the recent pace, syncs and checkpoints included: until " + now.Add(low).UTC().Format(minute)
		if to := now.Add(high).UTC().Format(minute); !strings.HasSuffix(title, to) {
			title += ", or " + to
		}
		return "Time left", text, title
	}
	if r.State.Live() && r.Notice(run.NoticeHang) != nil {
		return "Time left", ui.Absent, "Unknown while the run hangs"
	}
	return "Time left", ui.Absent, "Known after the first steps"
}

// canStop is true while there is something to stop that nobody has asked to stop yet.
func canStop(r run.Run) bool {
	return !r.State.Terminal() && r.State != run.Stopping && !r.StopRequested
}

// cloneHref is the address of the form that begins with a run's settings.
func cloneHref(id run.ID) string { return "/runs/new?clone=" + string(id) }

// endingText is what the workers of a stopping run end for.
func endingText(r run.Run) string {
	next := r.StopCause.Next()
	switch {
	case next == run.Paused, next != "" && r.Pausing != nil:
		return "Pausing"
	case next == run.Queued:
		return "Restarting"
	default:
		return "Stopping"
	}
}

// StopConfirm asks before a run is stopped.
func StopConfirm(o run.Outlook) ui.Confirm {
	r := o.Run
	return ui.Confirm{
		Warning: o.TooShort(),
		Key:     "stop", Title: fmt.Sprintf("Stop “%s”?", r.Name), Icon: "stop", Label: "Stop run", KeepLabel: "Keep running",
		Effects: []string{
			"Workers save a checkpoint if one is configured, then exit. Those still running after the kill timeout are killed.",
			"Curves, logs and events are kept. You can retry it later; to go on where it is, pause it instead.",
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
