package run

import (
	"fmt"
	"strings"
	"time"
)

// Exit codes of a worker that say more than that it failed; those above 64 are the launch script's (jobs/launch.sh).
const (
	ExitUsage       = 2   // the trainer does not accept its configuration or its arguments
	ExitRendezvous  = 75  // worker 0 did not appear in time
	ExitPorts       = 76  // a port that the worker needs is taken on its node; training has not begun
	ExitMissing     = 78  // something on the node is missing
	ExitNoCommand   = 127 // the trainer's command does not exist
	firstSignalExit = 128 // and above: ended by a signal
)

// MaxPortConflicts is how many attempts may end with [ExitPorts] before that is a failure as any other.
const MaxPortConflicts = 5

// The wait before another attempt: the first, doubled for each further one, up to the longest.
const (
	FirstRetryWait   = 10 * time.Second
	LongestRetryWait = 5 * time.Minute
)

// Retry decides what follows an attempt that has failed for the reason why. When the run is to be tried again it counts
// that, sets NotBefore, and returns the sentence that records it; else it returns the final reason and false. A stop that
// was asked for is never followed by another attempt.
func (r *Run) Retry(o Observation, why string, now time.Time) (reason string, again bool) {
	c := r.count(o.Workers)
	switch {
	case r.StopRequested || !o.Found: // gone from Nomad: who removed it knew why, and how it ended nobody knows
		return why, false
	case portConflict(o.Workers) && r.PortConflicts < MaxPortConflicts:
		r.PortConflicts++
	case r.Options.Retries == 0:
		return why, false
	case c.firstBad != nil && c.firstBad.hopeless():
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

// attempts is how many attempts the run has at most, as far as is known by now.
func (r *Run) attempts() int { return 1 + r.Options.Retries + r.PortConflicts }

// retryWait is how long the n-th further attempt waits, n from 1.
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

// hopeless reports whether the worker ended for a cause that another attempt would meet again.
func (w Worker) hopeless() bool {
	code, signal := w.Exit()
	return w.Exited && signal == 0 && (code == ExitUsage || code == ExitMissing || code == ExitNoCommand)
}

// portConflict reports whether an attempt ended because a worker did not get its ports. The others then ended for want of
// it: stopped, by a signal, or since they waited for worker 0 in vain. A worker that failed by itself is another cause.
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

// Expired reports whether the run has been started for longer than it may take.
func (r *Run) Expired(now time.Time) bool {
	limit := time.Duration(r.Options.MaxDuration) * time.Second
	return limit > 0 && !r.StartedAt.IsZero() && now.Sub(r.StartedAt) >= limit
}

// ShortDuration writes a duration without the units that are zero at its end: "2h30m", "45s", "1h".
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
