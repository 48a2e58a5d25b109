package run

import (
	"fmt"
	"strings"
	"time"
)

// Exit codes with a meaning of their own; those above 64 are the launch script's (jobs/launch.sh).
const (
	ExitUsage       = 2   // the trainer rejects its configuration or arguments
	ExitRendezvous  = 75  // worker 0 did not appear in time
	ExitPorts       = 76  // a port is taken on the node; training has not started
	ExitMissing     = 78  // something is missing on the node
	ExitNoCommand   = 127 // the trainer's command does not exist
	firstSignalExit = 128 // and above: ended by a signal
)

// MaxPortConflicts is how many attempts may end with [ExitPorts] before it counts as an ordinary failure.
const MaxPortConflicts = 5

// The wait before another attempt doubles from the first to the longest.
const (
	FirstRetryWait   = 10 * time.Second
	LongestRetryWait = 5 * time.Minute
)

// Retry decides what follows a failed attempt, whose cause may be nil. If the run is to be tried again it counts the retry, sets NotBefore and
// returns the reason to record; otherwise it returns the final reason and false. A requested stop is never retried.
func (r *Run) Retry(o Observation, cause *Cause, why string, now time.Time) (reason string, again bool) {
	c := r.count(o.Workers)
	why = cause.because(why)
	switch {
	case r.StopRequested || !o.Found: // somebody purged it from Nomad: how it ended is unknown
		return why, false
	case portConflict(o.Workers) && r.PortConflicts < MaxPortConflicts:
		r.PortConflicts++
	case r.Options.Retries == 0:
		return why, false
	case c.firstBad != nil && c.firstBad.hopeless(), cause.Known() && !cause.Retryable:
		return why + "; trying again would not help", false
	case r.Retried >= r.Options.Retries:
		return fmt.Sprintf("%s (attempt %d of %d)", why, r.Attempt, r.attempts()), false
	default:
		r.Retried++
	}
	r.StopCause, r.StopReason = "", ""
	r.NotBefore = now.Add(retryWait(r.Retried + r.PortConflicts))
	return fmt.Sprintf("attempt %d failed: %s; trying again (attempt %d of %d)", r.Attempt, why, r.Attempt+1, r.attempts()), true
}

// attempts is the most attempts the run can have, as of now.
func (r *Run) attempts() int { return 1 + r.Options.Retries + r.PortConflicts }

// retryWait is the wait before the n-th retry, from 1.
func retryWait(n int) time.Duration {
	wait := FirstRetryWait
	for range n - 1 {
		if wait >= LongestRetryWait {
			break
		}
		wait *= 2
	}
	return min(wait, LongestRetryWait)
}

// hopeless reports whether another attempt would fail in the same way.
func (w Worker) hopeless() bool {
	code, signal := w.Exit()
	return w.Exited && signal == 0 && (code == ExitUsage || code == ExitMissing || code == ExitNoCommand)
}

// portConflict reports whether an attempt ended because a worker did not get its ports. The others must have ended as a
// consequence: stopped, by a signal, or in vain waiting for worker 0.
func portConflict(ws []Worker) bool {
	found := false
	for _, w := range ws {
		switch {
		case w.OK():
			return false
		case w.Exited && w.ExitCode == ExitPorts:
			found = true
		case w.Exited && w.ExitCode == ExitRendezvous, w.Stopping, w.Signal != 0, w.ExitCode >= firstSignalExit:
		default:
			return false
		}
	}
	return found
}

// Expired reports whether the run has exceeded its maximum duration.
func (r *Run) Expired(now time.Time) bool {
	limit := time.Duration(r.MaxSeconds()) * time.Second
	return limit > 0 && !r.StartedAt.IsZero() && now.Sub(r.StartedAt) >= limit
}

// MaxSeconds is how many seconds after its first start the run is stopped, 0 for never: its maximum duration and the time that
// it was idle.
func (r *Run) MaxSeconds() int64 {
	if r.Options.MaxDuration <= 0 {
		return 0
	}
	return r.Options.MaxDuration + r.Idle
}

// ShortDuration formats a duration without trailing zero units: "2h30m", "45s", "1h".
func ShortDuration(d time.Duration) string {
	s := d.Round(time.Second).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
