package run

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
)

// PauseWhen says when a pause stops the workers.
type PauseWhen string

// The times.
const (
	PauseAtCheckpoint PauseWhen = "checkpoint" // once every worker has saved the next checkpoint
	PauseNow          PauseWhen = "now"
)

// ParsePauseWhen reads when to pause, [PauseAtCheckpoint] where nothing is given. Errors are [FieldErrors].
func ParsePauseWhen(s string) (PauseWhen, error) {
	switch when := PauseWhen(s); when {
	case "":
		return PauseAtCheckpoint, nil
	case PauseAtCheckpoint, PauseNow:
		return when, nil
	}
	return "", FieldErrors{{Field: "when", Value: named(s), Rule: "is no time to pause", Fix: "use checkpoint or now"}}
}

// Pausing is a pause that has not come yet.
type Pausing struct {
	When PauseWhen `json:"when"`
	// After is the step of the attempt's newest complete checkpoint when it was requested: a later one is waited for.
	After int64 `json:"after,omitempty"`
	// From is the step from which the run would have continued then, 0 for the beginning.
	From int64 `json:"from,omitempty"`
	// Next is about the step of the next checkpoint, 0 if unknown.
	Next int64 `json:"next,omitempty"`
	// Gone says which worker has ended or hangs, so that no checkpoint will be complete; "" for none.
	Gone string `json:"gone,omitempty"`
}

// String says what is going to happen.
func (p *Pausing) String() string {
	switch {
	case p == nil:
		return ""
	case p.When == PauseNow:
		return "to be paused"
	case p.Gone != "":
		return p.Gone + ": the pause does not come, and pausing now would continue from " + fromStep(p.From) + " and repeat the steps since"
	case p.Next > 0:
		return fmt.Sprintf("pauses at the next checkpoint, about step %d", p.Next)
	}
	return "pauses at the next checkpoint"
}

// pauses is what happens with a run that is to be paused, without a step that has passed.
func (r *Run) pauses() string {
	p := *r.Pausing
	if p.Next <= r.Progress.Step {
		p.Next = 0
	}
	return p.String()
}

// PauseReason adds the pause that has not come to why a run is as it is.
func (r *Run) PauseReason(why string) string {
	if r.Pausing == nil {
		return why
	}
	return strings.TrimPrefix(why+"; "+r.pauses(), "; ")
}

// Gone names a worker without which no checkpoint will be complete, because it has ended or hangs, "" for none.
func (r *Run) Gone(ws []Worker) string {
	newest := map[int]Worker{}
	for _, w := range ws {
		if old, ok := newest[w.Rank]; !ok || w.StartedAt.After(old.StartedAt) {
			newest[w.Rank] = w
		}
	}
	ws = slices.SortedFunc(maps.Values(newest), func(a, b Worker) int { return a.Rank - b.Rank })
	if w := r.count(ws).firstBad; w != nil {
		return w.name() + " has ended, and without it no checkpoint will be complete"
	}
	switch n := r.Notice(NoticeHang); {
	case n == nil:
		return ""
	case n.Rank < 0:
		return "no worker goes on, so no checkpoint will be complete"
	default:
		return WorkerName(n.Rank, n.Node) + " hangs, and until it goes on no checkpoint will be complete"
	}
}

// PauseGone notes of which worker a pause at a checkpoint is told that it has gone, and returns the event if that is news.
func (r *Run) PauseGone(gone string, now time.Time) *Event {
	p := r.Pausing
	if p == nil || p.When != PauseAtCheckpoint || p.Gone == gone {
		return nil
	}
	first := p.Gone == ""
	changed := *p
	changed.Gone, r.Pausing = gone, &changed
	if !first || gone == "" {
		return nil
	}
	ev := r.event("pause", Console, changed.String(), now)
	ev.Level = "warning"
	return ev
}

// fromStep is what an attempt continues from.
func fromStep(step int64) string {
	if step == 0 {
		return "the beginning"
	}
	return fmt.Sprintf("step %d", step)
}

// pausedNow is the reason of a pause at once, with what it costs.
func (r *Run) pausedNow(p Pausing) string {
	text := pausedPrefix + "continues from " + fromStep(p.From)
	if r.Progress.Step <= p.From {
		return text
	}
	text += " and repeats " + steps(r.Progress.Step-p.From)
	if r.mayStillSave(p.Gone) {
		text += ", unless its workers save as they exit"
	}
	return text
}

// pausedPrefix begins the reason of a pause at once.
const pausedPrefix = "paused: when it is resumed it "

// reasonHeld is the reason of a run that was paused while it waited for its turn.
const reasonHeld = "held in the queue until it is resumed"

// Reasons of a run that is being paused or waits to be resumed.
const (
	ReasonPausing    = "pausing: workers are saving and exiting"
	ReasonRestarting = "restarting: workers are saving and exiting"
)

// Pause requests that the workers of a run with newest attempt a are stopped until it is resumed. It keeps its place in the
// queue. A run that is not at Nomad is paused at once; at the next checkpoint means that the watcher has the workers stopped
// then. Pausing again changes only when. What has ended, or is to end, is [fault.ErrConflict].
func (r *Run) Pause(a Attempt, p Pausing, actor string, now time.Time) (*Event, error) {
	switch {
	case r.State.Terminal():
		return nil, fault.New(fault.ErrAlreadyEnded, fmt.Sprintf("Run %s has already %s.", r.ID, endedAs(r.State)), "There is nothing left to pause.")
	case r.StopRequested:
		return nil, fault.New(fault.ErrConflict, fmt.Sprintf("Run %s is being stopped.", r.ID), "Retry it once it has stopped.")
	case r.State == Paused, r.State == Stopping && r.StopCause == StopPause:
		return nil, nil
	case r.State == Queued && a.MaybeSent: // its workers may be training; sending again finds them
		r.Pausing = &Pausing{When: PauseNow}
		return r.Transition(Dispatching, actor, "to be paused as soon as Nomad says whether it has it", now)
	case r.State == Queued:
		r.dropWait()
		return r.Transition(Paused, actor, reasonHeld, now)
	case r.State == Dispatching: // whoever is sending it sees the request afterwards
		r.Pausing, r.Reason = &Pausing{When: PauseNow}, "to be paused as soon as Nomad has it"
		return nil, nil
	case r.State == Stopping && r.Pausing != nil:
		return nil, nil
	case r.State == Stopping:
		r.Pausing = &Pausing{When: PauseNow}
		if r.StopCause.Next() != "" {
			r.Reason = ReasonPausing
		}
		return r.event("pause", actor, "to be paused once its workers have ended, in place of another attempt", now), nil
	case p.When == PauseNow:
		ev, err := r.stopWorkers(StopPause, r.pausedNow(p), actor, now)
		r.Reason, r.Pausing = ReasonPausing, nil
		return ev, err
	case r.CheckpointPath == "":
		return nil, FieldErrors{{Field: "when", Value: string(p.When), Rule: "waits for a checkpoint, and the configuration saves none (ckpt.path)", Fix: "use now: it starts over when it is resumed"}}
	case p.Gone != "":
		return nil, FieldErrors{{Field: "when", Value: string(p.When), Rule: "waits for a checkpoint that every worker has saved: " + p.Gone,
			Fix: "use now: it " + strings.TrimPrefix(r.pausedNow(p), pausedPrefix)}}
	case r.Pausing != nil:
		return nil, nil
	}
	r.Pausing, r.Reason = &p, p.String()
	return r.event("pause", actor, p.String(), now), nil
}

// PauseDue reports whether the workers of a run that is to be paused are to be stopped now, given the newest complete checkpoint of its newest
// attempt.
func (r *Run) PauseDue(whole ResumePoint) bool {
	if r.Pausing == nil || r.StopRequested || r.State != Pending && r.State != Running && r.State != Degraded {
		return false
	}
	return r.Pausing.When == PauseNow || whole.Step > r.Pausing.After
}

// PauseWorkers has the workers stopped because the time of the pause has come.
func (r *Run) PauseWorkers(why string, now time.Time) (*Event, error) {
	r.Pausing = nil
	ev, err := r.stopWorkers(StopPause, why, Console, now)
	r.Reason = ReasonPausing
	return ev, err
}

// Resume lets a paused run take its turn again, with what it continues from. A pause that has not come yet is withdrawn, so the attempt goes
// on with what it has; if its workers are ending already, another attempt follows, and resuming again changes only what that continues from.
// A run that is not paused is [fault.ErrConflict].
func (r *Run) Resume(a Attempt, from ResumeChoice, actor string, now time.Time) (*Event, error) {
	switch {
	case r.State == Paused:
		r.choose(from)
		r.NotBefore, r.Cause, r.StopCause, r.StopReason = time.Time{}, nil, "", ""
		return r.Transition(Queued, actor, r.resumed(a, from), now)
	case r.State == Stopping && r.StopCause == StopPause && !r.StopRequested:
		r.choose(from)
		r.StopCause, r.StopReason, r.Reason = StopRestart, "resumed", ReasonRestarting
		return r.event("resume", actor, "resumed: another attempt follows once its workers have ended", now), nil
	case r.State == Stopping && r.StopCause == StopRestart && !r.StopRequested && r.Pausing == nil:
		if r.NextResume == from {
			return nil, nil
		}
		r.choose(from)
		return r.event("resume", actor, "the attempt that follows "+r.continues(from), now), nil
	case r.Withdraws() && from != ResumeNewest:
		return nil, FieldErrors{{Field: "from", Value: string(from), Rule: "is for an attempt to come, and this one trains on, since its pause has not come", Fix: "leave it out to withdraw the pause, or restart the run from there"}}
	case r.Withdraws():
		r.Pausing = nil
		if r.State != Stopping {
			r.Reason = ""
		} else if r.StopCause.Next() != "" {
			r.Reason = r.endingReason()
		}
		return r.event("resume", actor, "the pause was withdrawn", now), nil
	}
	return nil, fault.New(fault.ErrConflict, fmt.Sprintf("Run %s is %s, not paused.", r.ID, r.doing()), r.instead())
}

// Withdraws reports whether resuming the run only withdraws a pause that has not come.
func (r *Run) Withdraws() bool { return r.Pausing != nil && !r.StopRequested && r.State != Paused }

// resumed is the reason of a run that takes its turn again.
func (r *Run) resumed(a Attempt, from ResumeChoice) string {
	if a.JobID == "" {
		return ""
	}
	return r.continues(from)
}

// instead says which action a state allows.
func (r *Run) instead() string {
	switch r.State {
	case Failed, Stopped:
		return "Retry it."
	case Succeeded:
		return "Clone it to train again."
	case Paused:
		return "Resume it."
	case Pending, Running, Degraded:
		return "Restart it to begin another attempt."
	case Stopping:
		switch r.doing() {
		case "pausing":
			return "Resume it: another attempt follows once its workers have ended."
		case "restarting":
			return "Another attempt follows once its workers have ended."
		}
		return "Wait until its workers have ended."
	default:
		return "It takes its turn by itself."
	}
}

// event is what a person did to a run without a change of its state.
func (r *Run) event(kind, actor, message string, now time.Time) *Event {
	return &Event{RunID: r.ID, At: now, Kind: kind, Level: "info", Actor: actor, Attempt: r.Attempt, Rank: -1, Message: message}
}
