package run

import (
	"cmp"
	"time"
)

// Observation is what Nomad says about an attempt.
type Observation struct {
	Workers []Worker // newest allocation of each rank
	Found   bool     // the child job exists
	Stopped bool     // somebody deregistered it
	Dead    bool     // Nomad will start no more of its workers
}

// Derive returns the run's state according to an observation, and the reason ("" where the caller knows better, as for
// pending). It never leaves a terminal state.
func (r *Run) Derive(o Observation) (State, string) {
	if r.State.Terminal() || r.State == Queued || r.State == Paused {
		return r.State, r.Reason
	}
	if !o.Found {
		if r.StopRequested {
			return Stopped, cmp.Or(r.StopReason, "stopped; the job is gone from Nomad")
		}
		if r.State == Dispatching {
			return Dispatching, r.Reason
		}
		return Failed, "the job is gone from Nomad: it was purged or collected outside of CoTrain"
	}
	c := r.count(o.Workers)
	if o.Stopped { // a disconnected node may hide a worker's end for months; treat it as ended
		c.stopped, c.unknown = c.stopped+c.unknown, 0
	}
	ended := c.ok + c.failed + c.lost + c.stopped
	over := ended == len(o.Workers) && (ended >= r.Shape.Nodes || o.Stopped || o.Dead)
	switch {
	case over && (c.ok >= r.Shape.Nodes || r.trained(o.Workers)):
		return Succeeded, r.caveats(o.Workers)
	case over && (r.StopRequested || (o.Stopped && c.firstBad == nil)):
		if r.StopRequested {
			return Stopped, r.StopReason
		}
		return Stopped, cmp.Or(r.StopReason, "the job was stopped outside of CoTrain")
	case over && c.firstBad != nil:
		return Failed, r.endedBy(o.Workers, *c.firstBad)
	case over:
		return Failed, "Nomad ended the job before it placed every worker"
	case o.Stopped && r.StopCause != "": // Nomad has stopped it
		return Stopping, r.endingReason()
	case r.StopRequested || o.Stopped || r.State == Stopping:
		return Stopping, r.Reason
	case c.firstBad != nil:
		return Degraded, c.firstBad.Cause.because(r.failure(*c.firstBad))
	case c.unknown > 0:
		return Degraded, "the connection to a worker's node is lost"
	case c.running+c.ok >= r.Shape.Nodes:
		return Running, ""
	}
	return Pending, ""
}

// Doomed returns why the remaining workers cannot go on, "" while they can. Worker 0 holds the store through which
// DiLoCo workers meet; without DiLoCo all workers are one world. The others would hang and hold their GPUs.
func (r *Run) Doomed(o Observation, now time.Time) string {
	if r.StopRequested || o.Stopped || r.Shape.Nodes < 2 {
		return ""
	}
	left, begun := r.Shape.Nodes-len(o.Workers), false
	var cause, first *Worker
	for i := range o.Workers {
		w := &o.Workers[i]
		bad := w.State.Terminal() && !w.Stopping && (!w.OK() || r.leftEarly(*w))
		switch {
		case !w.State.Terminal():
			left++
			begun = begun || w.Started && (first == nil || !w.StartedAt.After(first.EndedAt)) // sorted by rank
		case bad && (w.Rank == 0 || r.InnerSteps == 0):
			cause = w
		case w.Rank == 0 && w.OK():
			first = w
		}
	}
	switch {
	case left <= 0:
		return ""
	case cause != nil:
		return r.failure(*cause) + "; the others cannot go on without it and were stopped"
	case first != nil && r.finished(*first) && !begun:
		return "training has finished; workers that had not started by then were stopped"
	case first != nil && now.Sub(first.EndedAt) >= StragglerTimeout:
		return "worker 0 has finished; workers that had not ended " + ShortDuration(StragglerTimeout) + " later were stopped"
	}
	return ""
}

type tally struct {
	running, ok, failed, lost, stopped, unknown int
	firstBad                                    *Worker // the failure that came first
}

func (r *Run) count(ws []Worker) tally {
	var t tally
	for i := range ws {
		w := &ws[i]
		early := r.leftEarly(*w)
		switch {
		case w.OK() && !early:
			t.ok++
		case w.State == WorkerRunning:
			t.running++
		case w.State == WorkerUnknown:
			t.unknown++
		case w.State == WorkerLost:
			t.lost++
		case w.State.Terminal() && w.Stopping && w.State != WorkerFailed:
			t.stopped++
		case w.State.Terminal():
			t.failed++
		}
		bad := early || w.State == WorkerLost || (w.State.Terminal() && !w.OK() && (!w.Stopping || w.State == WorkerFailed))
		if bad && (t.firstBad == nil || w.EndedAt.Before(t.firstBad.EndedAt)) {
			t.firstBad = w
		}
	}
	return t
}
