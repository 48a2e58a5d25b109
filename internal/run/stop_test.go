package run

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
)

func TestStopSaysWhatItFinds(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	for _, tc := range []struct {
		name    string
		state   State
		attempt Attempt
		want    State
		reason  string
		event   bool
	}{
		{"before it was sent", Queued, Attempt{}, Stopped, "stopped before it was sent to Nomad", true},
		{"before another attempt", Queued, Attempt{Number: 1, JobID: "p/1"}, Stopped, "stopped before it was tried again", true},
		{"when Nomad may have it", Queued, Attempt{Number: 1, MaybeSent: true}, Dispatching, "as soon as Nomad says", true},
		{"while it is being sent", Dispatching, Attempt{Number: 1}, Dispatching, "as soon as Nomad has it", false},
		{"while it trains", Running, Attempt{Number: 1, JobID: "p/1"}, Stopping, "Nomad has not told the workers yet", true},
		{"while it is stopping because it could not go on", Stopping, Attempt{Number: 1, JobID: "p/1"}, Stopping, "old", true},
	} {
		r := Run{State: tc.state, Reason: "old"}
		ev, err := r.Stop(tc.attempt, "me", StopByPerson, now)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
		if r.State != tc.want || !r.StopRequested || r.StopCause != StopByPerson || !strings.Contains(r.Reason, tc.reason) || (ev != nil) != tc.event {
			t.Errorf("%s: %s, %q, event %v", tc.name, r.State, r.Reason, ev)
		}
		if ev != nil && ev.Message == ReasonStopRequested {
			t.Errorf("%s: history keeps %q, which is over once Nomad has the order", tc.name, ev.Message)
		}
	}
	stopping := Run{State: Stopping, StopRequested: true, StopCause: StopByPerson}
	ev, err := stopping.Kill(Attempt{Number: 1, JobID: "p/1"}, "me", now)
	if err != nil || stopping.Reason != ReasonKilling || stopping.StopCause != StopKilled || ev == nil || ev.Kind != "stop" {
		t.Errorf("killed while it is stopping: %+v, %+v, %v", stopping, ev, err)
	}
	held := Run{State: Queued}
	if _, err := held.Kill(Attempt{}, "me", now); err != nil || held.State != Stopped || held.StopReason != "" {
		t.Errorf("killed before it was sent: %+v, %v", held, err)
	}
	paused := Run{State: Stopping, StopCause: StopPause, StopReason: "paused"}
	if _, err := paused.Stop(Attempt{Number: 1, JobID: "p/1"}, "me", StopByPerson, now); err != nil || paused.StopCause != StopByPerson || paused.StopReason != "" {
		t.Errorf("stopped while it is pausing: %+v, %v", paused, err)
	}
	over := Run{State: Failed}
	if _, err := over.Stop(Attempt{}, "me", StopByPerson, now); !errors.Is(err, fault.ErrConflict) {
		t.Errorf("one that is over: %v", err)
	}
}
