package run

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// LastWait is how long the other workers may take to end, with their last checkpoint, once worker 0 has finished.
const LastWait = 10 * time.Minute

// ExitReport is what the log of a worker says about how it ended.
type ExitReport struct {
	Finished bool  `json:"finished,omitempty"` // training is complete
	Step     int64 `json:"step,omitempty"`     // the newest step that it reported
	Read     bool  `json:"read,omitempty"`     // the log was read to its end
	// ExitCode and Signal are how the process ended that was the cause, where the one that Nomad sees hides it: torchrun
	// exits with 1 whatever its processes did.
	ExitCode int `json:"exit_code,omitempty"`
	Signal   int `json:"signal,omitempty"`
	// Why is what the launch script says about the cause.
	Why string `json:"why,omitempty"`
}

// Join returns what two streams of one worker say together.
func (t ExitReport) Join(o ExitReport) ExitReport {
	t.Finished, t.Read = t.Finished || o.Finished, t.Read && o.Read
	t.Step = max(t.Step, o.Step)
	if t.ExitCode == 0 && t.Signal == 0 {
		t.ExitCode, t.Signal, t.Why = o.ExitCode, o.Signal, o.Why
	}
	return t
}

// finished reports whether a worker trained to the end by its own word.
func (r *Run) finished(w Worker) bool {
	return w.Report.Finished || r.StepsTotal > 0 && w.Report.Step >= r.StepsTotal
}

// leftEarly reports whether a worker exited with code 0 long before the end. That needs evidence: its whole log was read,
// and the newest step in it is clearly short of the last. A trainer may report only some of its steps, or none.
func (r *Run) leftEarly(w Worker) bool {
	missing := r.StepsTotal - w.Report.Step
	return w.OK() && w.Report.Read && !w.Report.Finished && w.Report.Step > 0 && missing > max(1, r.StepsTotal/10)
}

// trained reports whether training reached its end although not every worker did well. With DiLoCo worker 0 decides: the
// mesh goes on without others that are lost. When it says nothing of the end, all that took part must have ended well.
// Without DiLoCo the workers are one world, and each must have finished.
func (r *Run) trained(ws []Worker) bool {
	if len(ws) == 0 || ws[0].Rank != 0 || !ws[0].OK() || r.leftEarly(ws[0]) { // they are by rank
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

// caveats is what is to be known about a run that succeeded, "" when there is nothing.
func (r *Run) caveats(ws []Worker) string {
	var out []string
	if notice := r.LossNotice(); notice != "" {
		out = append(out, notice)
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

// failure is how a worker ended badly, in one sentence.
func (r *Run) failure(w Worker) string {
	if r.leftEarly(w) {
		return fmt.Sprintf("%s exited with code 0 at step %d of %d, without having finished", w.name(), w.Report.Step, r.StepsTotal)
	}
	return w.Failure()
}

// endedBy is the failure that ended the attempt, of which first came first. A DiLoCo mesh trains on after it has lost a
// worker: what ends it much later is worker 0's end.
func (r *Run) endedBy(ws []Worker, first Worker) string {
	for _, w := range ws {
		later := w.Rank == 0 && w.EndedAt.Sub(first.EndedAt) > aftermath
		if r.InnerSteps > 0 && later && w.State.Terminal() && !w.OK() {
			return r.failure(w) + "; before that, " + r.failure(first)
		}
	}
	return r.failure(first)
}

// aftermath is how long after a failure others are taken for its victims: the core evicts a worker after 10 s without a
// heartbeat, and agents may report ends late.
const aftermath = time.Minute

// Exit is how the worker's process ended, by code or by signal: the one that was the cause, where that is known.
func (w Worker) Exit() (code, signal int) {
	if w.Exited && w.ExitCode != 0 && (w.Report.ExitCode != 0 || w.Report.Signal != 0) {
		return w.Report.ExitCode, w.Report.Signal
	}
	return w.ExitCode, w.Signal
}

// Failure says in one sentence how the worker ended.
func (w Worker) Failure() string {
	code, signal := w.Exit()
	stopped := w.Stopping && w.State == WorkerComplete // whatever it exited with
	switch {
	case w.State == WorkerLost:
		return w.name() + " was lost" + because(w.Detail)
	case w.State == WorkerUnknown:
		return w.name() + " is on a node that is disconnected"
	case w.OOM:
		return w.name() + " ran out of memory and was killed"
	case stopped && signal == sigKill:
		return w.name() + " was killed: it had not ended in time after it was stopped"
	case stopped:
		return w.name() + " was stopped"
	case w.Exited && signal != 0:
		return fmt.Sprintf("%s was ended by signal %d%s", w.name(), signal, because(w.Report.Why))
	case w.Exited:
		return fmt.Sprintf("%s exited with code %d%s", w.name(), code, because(w.Report.Why))
	}
	return w.name() + " failed" + because(w.Detail)
}

const sigKill = 9

// name is the worker with its node.
func (w Worker) name() string {
	if w.NodeName == "" {
		return fmt.Sprintf("worker %d", w.Rank)
	}
	return fmt.Sprintf("worker %d on %s", w.Rank, w.NodeName)
}

func because(detail string) string {
	if detail == "" {
		return ""
	}
	return ": " + detail
}
