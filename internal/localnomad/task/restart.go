package task

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/localnomad/state"
)

// restartTracker applies a task's restart policy.
type restartTracker struct {
	policy    *api.RestartPolicy
	onSuccess bool // of a sidecar, which goes on for ever; another task that ends well is done
	now       func() time.Time
	started   time.Time // of the current interval
	count     int
}

// restartDecision is what to do after a task ended.
type restartDecision struct {
	restart bool
	failed  bool // it will not be tried again, and that fails the allocation
	delay   time.Duration
	reason  string
}

func newRestartTracker(policy *api.RestartPolicy, onSuccess bool, now func() time.Time) *restartTracker {
	return &restartTracker{policy: policy, onSuccess: onSuccess, now: now, started: now()}
}

// next decides after an exit (ok says whether it was a good one) or, with
// startErr, after a failure to start that is worth another try.
func (r *restartTracker) next(ok bool, startErr bool) restartDecision {
	attempts := state.Deref(r.policy.Attempts)
	if attempts == 0 {
		if ok && !r.onSuccess && !startErr {
			return restartDecision{}
		}
		return restartDecision{failed: true, reason: reasonNoRestarts}
	}
	interval := state.Deref(r.policy.Interval)
	if now := r.now(); now.After(r.started.Add(interval)) {
		r.count, r.started = 0, now
	}
	r.count++
	if ok && !r.onSuccess && !startErr {
		return restartDecision{reason: "Restart unnecessary as task terminated successfully"}
	}
	if r.count > attempts {
		if state.Deref(r.policy.Mode) == "fail" {
			return restartDecision{failed: true, reason: fmt.Sprintf(
				`Exceeded allowed attempts %d in interval %v and mode is "fail"`, attempts, interval)}
		}
		return restartDecision{restart: true, reason: reasonDelayed, delay: r.started.Add(interval).Sub(r.now())}
	}
	return restartDecision{restart: true, reason: reasonWithinPolicy, delay: jitter(state.Deref(r.policy.Delay))}
}

// jitter adds up to a quarter, so that tasks that failed together do not start together.
func jitter(d time.Duration) time.Duration {
	if d <= 0 {
		return 1
	}
	return d + time.Duration(rand.Int64N(int64(d)/4+1))
}
