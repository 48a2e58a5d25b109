package runs

import (
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views/ui"
)

// Tab is a page of a run, by the last part of its address.
type Tab string

// The tabs of a run; see [Tab.Of].
const (
	TabOverview    Tab = "overview"
	TabMetrics     Tab = "metrics"
	TabLogs        Tab = "logs"
	TabWorkers     Tab = "workers"
	TabMesh        Tab = "mesh"
	TabCheckpoints Tab = "checkpoints"
	TabEvents      Tab = "events"
	TabConfig      Tab = "config"
)

// tabs are all, in the order in which they are shown. Keys are by place, so that each keeps its own where others are absent.
var tabs = [...]struct {
	tab   Tab
	label string
	key   string
	of    func(run.Run) bool
}{
	{TabOverview, "Overview", "1", func(run.Run) bool { return true }},
	{TabMetrics, "Metrics", "2", mayTrain},
	{TabLogs, "Logs", "3", mayStart},
	{TabWorkers, "Workers", "4", mayStart},
	{TabMesh, "Mesh", "5", func(r run.Run) bool { return r.InnerSteps > 0 && mayTrain(r) }},
	{TabCheckpoints, "Checkpoints", "6", func(r run.Run) bool { return r.CheckpointPath != "" && mayStart(r) }},
	{TabEvents, "Events", "7", func(run.Run) bool { return true }},
	{TabConfig, "Configuration", "8", func(run.Run) bool { return true }},
}

// mayStart is false of a run that ended before it had workers.
func mayStart(r run.Run) bool { return !r.State.Terminal() || r.Attempt > 0 }

// mayTrain is false of a run that ended before its first step.
func mayTrain(r run.Run) bool {
	return !r.State.Terminal() || r.Progress.Step > 0 || r.Progress.HasLoss || r.Progress.TokensPerSec > 0
}

// Of reports whether the tab has something to say about a run, or may have later.
func (t Tab) Of(r run.Run) bool {
	for _, x := range tabs {
		if x.tab == t {
			return x.of(r)
		}
	}
	return false
}

// Path is the address of a run's tab.
func (t Tab) Path(id run.ID) string {
	if t == TabOverview {
		return ui.RunPath(id)
	}
	return ui.RunPath(id) + "/" + string(t)
}

// Label is the tab's name.
func (t Tab) Label() string {
	for _, x := range tabs {
		if x.tab == t {
			return x.label
		}
	}
	return ""
}

// Frame is what every tab of a run shows: the run's head, and the way to the other tabs.
type Frame struct {
	Run run.Run
	Tab Tab
	Seq int64 // of the run's topic, read before the rest
	Now time.Time
}

// Title is the title of the tab's document.
func (f Frame) Title() string {
	if f.Tab == TabOverview {
		return f.Run.Name
	}
	return f.Tab.Label() + " · " + f.Run.Name
}

// Topic is the name under which the run's updates are published.
func (f Frame) topic() string { return "run:" + string(f.Run.ID) }

func (f Frame) liveURL() string { return ui.RunPath(f.Run.ID) + "/live?tab=" + string(f.Tab) }
