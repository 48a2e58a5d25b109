package run

import (
	"math"
	"testing"
	"time"
)

func TestTheTimeLeftFollowsTheRecentPace(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r := Run{State: Running, StepsTotal: 410, Pace: Pace{2, 3}, Progress: Progress{Step: 110, UpdatedAt: now.Add(-time.Minute)}}
	if low, high, ok := r.TimeLeft(now); !ok || low != 9*time.Minute || high != 14*time.Minute {
		t.Errorf("%v to %v, %t, want 9 to 14 min", low, high, ok)
	}
	if low, high, ok := r.TimeLeft(now.Add(time.Hour)); !ok || low != 0 || high != 0 {
		t.Errorf("long after its newest step: %v to %v, %t", low, high, ok)
	}
	for name, change := range map[string]func(*Run){
		"no step yet":     func(r *Run) { r.Progress.Step = 0 },
		"pace not known":  func(r *Run) { r.Pace = Pace{} },
		"all steps done":  func(r *Run) { r.Progress.Step = 410 },
		"total not known": func(r *Run) { r.StepsTotal = 0 },
		"not running":     func(r *Run) { r.State = Stopping },
		"it hangs":        func(r *Run) { r.Notices = []Notice{{Kind: NoticeHang}} },
		"absurdly long":   func(r *Run) { r.StepsTotal = math.MaxInt64 },
		"absurdly slow":   func(r *Run) { r.Pace.High = math.MaxFloat64 },
	} {
		other := r
		change(&other)
		if low, high, ok := other.TimeLeft(now); ok {
			t.Errorf("%s: %v to %v, want none", name, low, high)
		}
	}
	if (Pace{1, 2}).Differs(Pace{1.01, 2.02}) || !(Pace{1, 2}).Differs(Pace{1, 2.1}) || !(Pace{1, 2}).Differs(Pace{}) || (Pace{}).Differs(Pace{}) {
		t.Error("what is worth telling is another")
	}
}
