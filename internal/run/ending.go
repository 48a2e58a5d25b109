package run

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// StragglerTimeout is how long the other workers may take to save and exit after worker 0 has finished.
const StragglerTimeout = 10 * time.Minute

// ExitReport is what a worker's log says about its end.
type ExitReport struct {
	Finished bool  `json:"finished,omitempty"` // training is complete
	Step     int64 `json:"step,omitempty"`     // the newest step that it reported
	Read     bool  `json:"read,omitempty"`     // the log was read to its end
	// ExitCode and Signal are those of the process that failed: torchrun itself always exits with 1.
	ExitCode int `json:"exit_code,omitempty"`
	Signal   int `json:"signal,omitempty"`
	// Why is the launch script's own explanation.
	Why string `json:"why,omitempty"`
}

// Join merges the reports of a worker's two streams.
func (t ExitReport) Join(o ExitReport) ExitReport {
	t.Finished, t.Read = t.Finished || o.Finished, t.Read && o.Read
	t.Step = max(t.Step, o.Step)
	if t.ExitCode == 0 && t.Signal == 0 {
		t.ExitCode, t.Signal, t.Why = o.ExitCode, o.Signal, o.Why
	}
	return t
}

// finished reports whether the worker's log says that training is complete.
func (r *Run) finished(w Worker) bool {
	return w.Report.Finished || r.StepsTotal > 0 && w.Report.Step >= r.StepsTotal
}

// leftEarly reports whether a worker exited with code 0 well before the last step. That needs its whole log, since a
// trainer may report only some steps, or none.
func (r *Run) leftEarly(w Worker) bool {
	missing := r.StepsTotal - w.Report.Step
	return w.OK() && w.Report.Read && !w.Report.Finished && w.Report.Step > 0 && missing > max(1, r.StepsTotal/10)
}

// trained reports whether training completed even though some workers failed. With DiLoCo worker 0 decides: the mesh
// goes on without lost workers. If worker 0's log says nothing, all that took part must have succeeded. Without DiLoCo
// every worker must have finished.
func (r *Run) trained(ws []Worker) bool {
	if len(ws) == 0 || ws[0].Rank != 0 || !ws[0].OK() || r.leftEarly(ws[0]) { // sorted by rank
		return false
	}
	first := ws[0]
	if r.InnerSteps == 0 {
		return r.finished(first) && len(ws) >= r.Shape.Nodes && !slices.ContainsFunc(ws, func(w Worker) bool { return !w.OK() && !w.Report.Finished })
	}
	return r.finished(first) || !slices.ContainsFunc(ws, func(w Worker) bool {
		return (!w.OK() || r.leftEarly(w)) && !w.StartedAt.After(first.EndedAt)
	})
}

// caveats lists what a person should know about a successful run, or "".
func (r *Run) caveats(ws []Worker) string {
	var out []string
	if notice := r.LossNotice(); notice != "" {
		out = append(out, notice)
	}
	for _, n := range r.Notices {
		if text := n.caveat(); text != "" {
			out = append(out, text)
		}
	}
	if !slices.ContainsFunc(ws, func(w Worker) bool { return w.Report.Finished || w.Report.Step > 0 || !w.Report.Read }) {
		out = append(out, "no worker reported a step or the end of training")
	}
	placed := map[int]bool{}
	for _, w := range ws {
		placed[w.Rank] = true
		switch {
		case r.leftEarly(w):
			out = append(out, r.failure(w))
		case !w.OK() && w.Report.Step > 0 && !r.finished(w):
			out = append(out, fmt.Sprintf("%s (step %d)", w.Failure(), w.Report.Step))
		case !w.OK():
			out = append(out, w.Failure())
		}
	}
	for rank := range r.Shape.Nodes {
		if !placed[rank] {
			out = append(out, fmt.Sprintf("worker %d never started", rank))
		}
	}
	const most = 5
	if n := len(out) - most; n > 0 {
		out = append(out[:most], fmt.Sprintf("and %d more", n))
	}
	if len(out) == 0 {
		return ""
	}
	return "finished, but " + strings.Join(out, "; ")
}

// failure describes in one sentence how a worker failed.
func (r *Run) failure(w Worker) string {
	if r.leftEarly(w) {
		return fmt.Sprintf("%s exited with code 0 at step %d of %d, without having finished", w.name(), w.Report.Step, r.StepsTotal)
	}
	return w.Failure()
}

// endedBy describes the failure that ended the attempt; first came first. A DiLoCo mesh survives lost workers, so a much
// later end is due to worker 0.
func (r *Run) endedBy(ws []Worker, first Worker) string {
	for _, w := range ws {
		later := w.Rank == 0 && w.EndedAt.Sub(first.EndedAt) > aftermath
		if r.InnerSteps > 0 && later && w.State.Terminal() && !w.OK() {
			return r.failure(w) + "; before that, " + r.failure(first)
		}
	}
	return r.failure(first)
}

// aftermath is how long after a failure others count as its victims: the core evicts a worker after 10 s without a
// heartbeat, and agents may report ends late.
const aftermath = time.Minute

// Exit returns the exit code or signal of the process that failed, where it is known.
func (w Worker) Exit() (code, signal int) {
	if w.Exited && w.ExitCode != 0 && (w.Report.ExitCode != 0 || w.Report.Signal != 0) {
		return w.Report.ExitCode, w.Report.Signal
	}
	return w.ExitCode, w.Signal
}

// Ended is how the process ended: "signal 9" or "exit code 2", "" where that is not known.
func (w Worker) Ended() string {
	code, signal := w.Exit()
	switch {
	case !w.Exited:
		return ""
	case signal != 0:
		return fmt.Sprintf("signal %d", signal)
	case code > firstSignalExit:
		return fmt.Sprintf("exit code %d (signal %d)", code, code-firstSignalExit)
	}
	return fmt.Sprintf("exit code %d", code)
}

// Failure describes in one sentence how the worker ended.
func (w Worker) Failure() string {
	code, signal := w.Exit()
	switch {
	case w.State == WorkerLost:
		return w.name() + " was lost" + because(w.Detail)
	case w.State == WorkerUnknown:
		return w.name() + " is on a node that is disconnected"
	case w.OOM:
		return w.name() + " ran out of memory and was killed"
	case w.Stopped() && signal == sigKill:
		return w.name() + " was killed after it was told to stop"
	case w.Stopped():
		return w.name() + " was stopped"
	case w.Exited && signal != 0:
		return fmt.Sprintf("%s was ended by signal %d%s", w.name(), signal, because(w.Report.Why))
	case w.Exited:
		return fmt.Sprintf("%s exited with code %d%s", w.name(), code, because(w.Report.Why))
	}
	return w.name() + " failed" + because(w.Detail)
}

// Brief is [Worker.Failure] without what the launch script or Nomad say of it.
func (w Worker) Brief() string {
	text, _, _ := strings.Cut(w.Failure(), ": ")
	return text
}

const sigKill = 9

// name is the worker with its node.
func (w Worker) name() string { return WorkerName(w.Rank, w.NodeName) }

// WorkerName is how sentences name a worker: "worker 3 (gpu-7)".
func WorkerName(rank int, node string) string {
	if node == "" {
		return fmt.Sprintf("worker %d", rank)
	}
	return fmt.Sprintf("worker %d (%s)", rank, node)
}

func because(detail string) string {
	if detail == "" {
		return ""
	}
	return ": " + detail
}
