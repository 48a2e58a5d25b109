package run

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
)

var (
	sent   = Attempt{Number: 1, JobID: "p/1", EndedAt: time.Unix(900, 0)}
	unsure = Attempt{Number: 1, MaybeSent: true}
)

func TestPauseSaysWhatItFinds(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		state   State
		attempt Attempt
		when    PauseWhen
		want    State
		reason  string
		pausing bool // still to come
		event   bool
	}{
		{"before it was sent", Queued, Attempt{}, PauseAtCheckpoint, Paused, "held in the queue", false, true},
		{"before another attempt", Queued, sent, PauseNow, Paused, "held in the queue", false, true},
		{"when Nomad may have it", Queued, unsure, PauseNow, Dispatching, "as soon as Nomad says", true, true},
		{"while it is being sent", Dispatching, Attempt{Number: 1}, PauseNow, Dispatching, "as soon as Nomad has it", true, false},
		{"now", Running, sent, PauseNow, Stopping, ReasonPausing, false, true},
		{"now, with a lost worker", Degraded, sent, PauseNow, Stopping, ReasonPausing, false, true},
		{"at a checkpoint", Running, sent, PauseAtCheckpoint, Running, "pauses at the next checkpoint, about step 40", true, true},
		{"while its workers end because it could not go on", Stopping, sent, PauseNow, Stopping, "old", true, true},
		{"again", Paused, sent, PauseNow, Paused, "old", false, false},
	} {
		r := Run{State: tc.state, Reason: "old", CheckpointPath: "c"}
		ev, err := r.Pause(tc.attempt, Pausing{When: tc.when, Next: 40}, "me", time.Unix(1000, 0))
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
		if r.State != tc.want || !strings.Contains(r.Reason, tc.reason) || (r.Pausing != nil) != tc.pausing || (ev != nil) != tc.event {
			t.Errorf("%s: %s, %q, pausing %v, event %v", tc.name, r.State, r.Reason, r.Pausing, ev)
		}
	}
	for name, r := range map[string]Run{
		"ended":            {State: Failed},
		"to be stopped":    {State: Stopping, StopRequested: true},
		"sent and stopped": {State: Dispatching, StopRequested: true},
	} {
		if _, err := r.Pause(sent, Pausing{When: PauseNow}, "me", time.Time{}); !errors.Is(err, fault.ErrConflict) {
			t.Errorf("one that is %s: %v", name, err)
		}
	}
	without := Run{State: Running}
	if _, err := without.Pause(sent, Pausing{When: PauseAtCheckpoint}, "me", time.Time{}); !errors.Is(err, fault.ErrInvalid) || without.Pausing != nil {
		t.Errorf("one that saves no checkpoint waits for one: %v", err)
	}
}

func TestAPauseAtACheckpointWaitsForANewOne(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		run     Run
		whole   int64
		wantDue bool
	}{
		{"no checkpoint", Run{State: Running, Pausing: &Pausing{When: PauseAtCheckpoint}}, 0, false},
		{"the one that there was", Run{State: Running, Pausing: &Pausing{When: PauseAtCheckpoint, After: 20}}, 20, false},
		{"a new one", Run{State: Degraded, Pausing: &Pausing{When: PauseAtCheckpoint, After: 20}}, 30, true},
		{"now", Run{State: Pending, Pausing: &Pausing{When: PauseNow}}, 0, true},
		{"nobody asked", Run{State: Running}, 30, false},
		{"it ends anyway", Run{State: Stopping, Pausing: &Pausing{When: PauseNow}}, 30, false},
	} {
		if got := tc.run.PauseDue(ResumePoint{Step: tc.whole}); got != tc.wantDue {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}

func TestResume(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	paused := Run{State: Paused, StartedAt: time.Unix(500, 0), PausedAt: time.Unix(900, 0), Attempt: 1}
	ev, err := paused.Resume(sent, ResumeAt(20), "me", now)
	if err != nil || paused.State != Queued || paused.NextResume != "step_20" || paused.Idle != 100 || !paused.PausedAt.IsZero() || !strings.Contains(ev.Message, "step 20") {
		t.Errorf("a paused one: %+v, %+v, %v", paused, ev, err)
	}
	waits := Run{State: Running, Pausing: &Pausing{When: PauseAtCheckpoint}, Reason: "pauses"}
	if ev, err := waits.Resume(sent, "", "me", now); err != nil || waits.Pausing != nil || waits.State != Running || waits.Reason != "" || ev == nil {
		t.Errorf("one that waits for a checkpoint: %+v, %v", waits, err)
	}
	ending := Run{State: Stopping, StopCause: StopPause}
	if _, err := ending.Resume(sent, "", "me", now); err != nil || ending.StopCause != StopRestart || ending.State != Stopping {
		t.Errorf("one whose workers are ending: %+v, %v", ending, err)
	}
	if ev, err := ending.Resume(sent, "", "me", now); err != nil || ev != nil || ending.StopCause != StopRestart {
		t.Errorf("a second time: %+v, %v", ev, err)
	}
	if ev, err := ending.Resume(sent, ResumeStart, "me", now); err != nil || ev.Message != "the attempt that follows continues from the beginning" || ending.NextResume != ResumeStart {
		t.Errorf("with another choice: %+v, %v", ev, err)
	}
	from := Run{State: Running, Pausing: &Pausing{When: PauseAtCheckpoint}}
	if _, err := from.Resume(sent, ResumeAt(20), "me", now); !errors.Is(err, fault.ErrInvalid) || from.Pausing == nil {
		t.Errorf("a choice for an attempt that goes on: %v", err)
	}
	again := Run{State: Stopping, StopCause: StopRestart}
	if _, err := again.Pause(sent, Pausing{When: PauseNow}, "me", now); err != nil || !strings.Contains(again.WhatNext(), "then it is paused") {
		t.Errorf("a pause in place of a restart: %v, %s", err, again.WhatNext())
	}
	if to, _, ok := ending.AfterStop(Stopped); to != Queued || !ok {
		t.Errorf("after that: %s, %v", to, ok)
	}
	for _, s := range []State{Queued, Dispatching, Pending, Running, Stopping, Succeeded, Failed, Stopped} {
		r := Run{State: s}
		if _, err := r.Resume(sent, "", "me", now); !errors.Is(err, fault.ErrConflict) || fault.Of(err).Fix == "" {
			t.Errorf("one that is %s: %v", s, err)
		}
	}
}

func TestAPersonsChoiceOfACheckpoint(t *testing.T) {
	t.Parallel()
	points := []ResumePoint{{Step: 30, Folder: "c/step_30"}, {Step: 20, Folder: "c/step_20"}, {Step: 10, Folder: "c/step_10"}}
	for _, tc := range []struct {
		given string
		want  ResumeChoice
		first int64 // that it continues from, 0 for none
		ok    bool  // it can be made
	}{
		{"", ResumeNewest, 30, true},
		{"newest", ResumeNewest, 30, true},
		{"start", ResumeStart, 0, true},
		{"20", "step_20", 20, true},
		{"step_10", "step_10", 10, true},
		{"25", "step_25", 20, false},
		{"5", "step_5", 0, false},
	} {
		c, err := ParseResumeChoice(tc.given)
		if err != nil || c != tc.want {
			t.Errorf("%q is %q, %v", tc.given, c, err)
		}
		first := int64(0)
		if among := c.Among(points); len(among) > 0 {
			first = among[0].Step
		}
		if first != tc.first || (c.Check(points) == nil) != tc.ok {
			t.Errorf("%q continues from %d, %v", tc.given, first, c.Check(points))
		}
	}
	for _, bad := range []string{"step_", "-1", "step_-1", "../x", "latest", "1e3", strings.Repeat("9", 50)} {
		if _, err := ParseResumeChoice(bad); !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("%q is a choice: %v", bad, err)
		}
	}
}
