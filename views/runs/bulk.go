package runs

import (
	"slices"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views/ui"
)

// Bulk is something that is done with several runs.
type Bulk struct {
	Filter
	Do     string
	All    bool // what the filter finds
	Runs   []run.Run
	Now    time.Time
	Result *run.BulkResult // nil before
}

type bulkAction struct {
	title, button, icon, path string
	does                      string
	may                       func(run.Run) bool
	wont                      string // of those that it is not done with
}

var bulkActions = map[string]bulkAction{
	"tag":       {"Tag", "Save", "check", "edit", "", nil, ""},
	"archive":   {"Archive", "Archive", "folder", "edit", "Lists leave them out unless asked.", func(r run.Run) bool { return r.State.Terminal() }, "not ended, and stay in the lists"},
	"unarchive": {"Bring back", "Bring back", "folder", "edit", "Lists show them again.", nil, ""},
	"stop":      {"Stop", "Stop", "stop", "stop", "Their workers get SIGTERM and may save a checkpoint.", func(r run.Run) bool { return !r.State.Terminal() }, "ended already"},
	"pause":     {"Pause", "Pause", "paused", "pause", "Each trains on until all of its workers have saved the next checkpoint; then its GPUs are free. Those that wait are held. They keep their places in the queue.", func(r run.Run) bool { return r.Allowed(run.ActPause) }, "ended, paused or being stopped, and stay as they are"},
	"resume":    {"Resume", "Resume", "play", "resume", "They take their turns in the queue, and continue from their newest complete checkpoints. Pauses that have not come yet are withdrawn.", func(r run.Run) bool { return r.Allowed(run.ActResume) }, "not paused, and stay as they are"},
	"delete":    {"Delete", "Delete", "trash", "delete", "Metrics, events and logs go for good. Checkpoints stay.", func(r run.Run) bool { return r.State.Terminal() }, "not ended, and stay"},
}

// BulkActions are what [Bulk] asks about.
func BulkActions() []string {
	return []string{"tag", "archive", "unarchive", "pause", "resume", "stop", "delete"}
}

func (b Bulk) action() bulkAction { return bulkActions[b.Do] }

// Title says what is asked.
func (b Bulk) Title() string { return b.action().title + " " + ui.Plural(len(b.Runs), "run") }

// Back is the list that it began from.
func (b Bulk) Back() string { return b.Href() }

// others are the runs that it is not done with.
func (b Bulk) others() (n int) {
	may := b.action().may
	return len(slices.DeleteFunc(slices.Clone(b.Runs), func(r run.Run) bool { return may == nil || may(r) }))
}

// shownRuns is how many names are shown.
const shownRuns = 12

func (b Bulk) named() []run.Run { return b.Runs[:min(len(b.Runs), shownRuns)] }

// tags are those of any of the runs.
func (b Bulk) tags() (out []string) {
	for _, r := range b.Runs {
		out = append(out, r.Options.Tags...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
