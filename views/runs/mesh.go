package runs

import (
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views/ui"
)

// Sync is what the workers reported of the end of one outer step; nil is not reported.
type Sync struct {
	Step      int64 // inner
	Outer     *int64
	Peers     *int64
	Seconds   *float64 // mean over workers
	Slowest   *float64 // of the workers, in seconds
	AllReduce *float64 // seconds, mean over workers
}

// Mesh is the newest outer steps of a run.
type Mesh struct {
	Run   run.Run
	Syncs []Sync // newest first
}

// outerText is how many outer steps are done, of those there are.
func (m Mesh) outerText() string {
	n := m.Run.Progress.Step / m.Run.InnerSteps
	if outer := m.newest().Outer; outer != nil {
		n = max(n, *outer)
	}
	done := ui.Integer(n)
	if m.Run.StepsTotal <= 0 {
		return done
	}
	return done + " / " + ui.Integer(m.Run.StepsTotal/m.Run.InnerSteps)
}

// newest is the newest outer step, with nothing reported if there is none.
func (m Mesh) newest() Sync {
	if len(m.Syncs) == 0 {
		return Sync{}
	}
	return m.Syncs[0]
}

func countText(n *int64) string {
	if n == nil {
		return ui.Absent
	}
	return ui.Integer(*n)
}

func secondsText(v *float64) string {
	if v == nil {
		return ui.Absent
	}
	return ui.Number(*v)
}

func exactText(v *float64) string {
	if v == nil {
		return ""
	}
	return ui.Exact(*v)
}
