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
	policy  *api.RestartPolicy
	now     func() time.Time
	started time.Time // of the current interval
	count   int
}

// restartDecision is what to do after a task ended.
type restartDecision struct {
	restart bool
	failed  bool // it will not be tried again, and that fails the allocation
	delay   time.Duration
	reason  string
}

func newRestartTracker(policy *api.RestartPolicy, now func() time.Time) *restartTracker {
	return &restartTracker{policy: policy, now: now, started: now()}
}

// next decides after an end; ok says whether it was a good one.
func (r *restartTracker) next(ok bool) restartDecision {
	if ok {
		return restartDecision{}
	}
	attempts, interval := state.Deref(r.policy.Attempts), state.Deref(r.policy.Interval)
	if attempts == 0 {
		return restartDecision{failed: true, reason: reasonNoRestarts}
	}
	if now := r.now(); now.After(r.started.Add(interval)) {
		r.count, r.started = 0, now
	}
	r.count++
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
