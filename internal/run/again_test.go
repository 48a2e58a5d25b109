package run

import (
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/cotrain/cotrain/internal/fault"
)

func TestRestart(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	r := Run{State: Running, Pausing: &Pausing{When: PauseAtCheckpoint}}
	ev, err := r.Restart(ResumeStart, "me", "", now)
	if err != nil || r.State != Stopping || r.StopCause != StopRestart || r.NextResume != ResumeStart || r.Pausing != nil || ev.Message != "restarted in place of the pause: continues from the beginning" || !strings.HasSuffix(r.WhatNext(), "The pause is withdrawn.") {
		t.Errorf("%+v, %+v, %v", r, ev, err)
	}
	to, why, ok := r.AfterStop(Failed)
	if to != Queued || !ok || !strings.HasPrefix(why, "restarted") || r.StopCause != "" || r.Retried != 0 {
		t.Errorf("it becomes %s, %q, %v: %+v", to, why, ok, r)
	}
	for _, s := range []State{Queued, Dispatching, Stopping, Paused, Succeeded, Failed, Stopped} {
		r := Run{State: s}
		if _, err := r.Restart("", "me", "", now); !errors.Is(err, fault.ErrConflict) || fault.Of(err).Fix == "" {
			t.Errorf("one that is %s: %v", s, err)
		}
	}
}

func TestWhatFollowsAStop(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		run   Run
		ended State
		want  State // "" where how it ended decides
	}{
		{"a pause", Run{StopCause: StopPause}, Stopped, Paused},
		{"a pause, though a worker failed", Run{StopCause: StopPause}, Failed, Paused},
		{"a pause, though training was complete", Run{StopCause: StopPause}, Succeeded, ""},
		{"a restart", Run{StopCause: StopRestart}, Stopped, Queued},
		{"a restart that is then paused", Run{StopCause: StopRestart, Pausing: &Pausing{When: PauseNow}}, Stopped, Paused},
		{"a recall", Run{StopCause: StopOverdue}, Failed, Queued},
		{"a recall and then a stop", Run{StopCause: StopOverdue, StopRequested: true}, Failed, ""},
		{"workers that could not go on", Run{StopCause: StopDoomed}, Failed, ""},
		{"nothing", Run{}, Failed, ""},
	} {
		if got, _, ok := tc.run.AfterStop(tc.ended); got != tc.want || ok != (tc.want != "") {
			t.Errorf("%s: %s, %v", tc.name, got, ok)
		}
	}
}

func TestAnEndedRunIsTriedAgain(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	for _, s := range []State{Failed, Stopped} {
		r := Run{
			State: s, Attempt: 3, StartedAt: time.Unix(100, 0), EndedAt: time.Unix(400, 0), StopRequested: s == Stopped, StopCause: StopByPerson, StopReason: "x", Archived: true,
			Retried: 2, Cause: &Cause{Category: "cuda_oom"}, Options: Options{MaxDuration: 500, Retries: 2},
		}
		ev, err := r.RetryNow(sent, ResumeAt(40), "me", now)
		if err != nil || r.State != Queued || !r.EndedAt.IsZero() || r.StopRequested || r.StopCause != "" || r.StopReason != "" || r.Archived || r.Retried != 0 || r.Cause != nil || r.Idle != 600 {
			t.Errorf("%s: %+v, %v", s, r, err)
		}
		if r.NextResume != "step_40" || ev.Message != "tried again: continues from the checkpoint of step 40" || ev.Actor != "me" || r.Expired(now) {
			t.Errorf("%s: continues from %q, event %+v", s, r.NextResume, ev)
		}
	}
	waits := Run{State: Queued, NotBefore: now.Add(time.Hour), Retried: 1, Attempt: 1}
	if ev, err := waits.RetryNow(sent, "", "me", now); err != nil || !waits.NotBefore.IsZero() || waits.Retried != 1 || ev == nil {
		t.Errorf("one that waits: %+v, %v", waits, err)
	}
	for _, s := range []State{Queued, Dispatching, Pending, Running, Degraded, Stopping, Paused, Succeeded} {
		r := Run{State: s}
		if _, err := r.RetryNow(Attempt{}, "", "me", now); !errors.Is(err, fault.ErrConflict) || fault.Of(err).Fix == "" {
			t.Errorf("one that is %s: %v", s, err)
		}
	}
}

func TestStopRetrying(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	r := Run{State: Queued, Attempt: 1, Retried: 1, NotBefore: now.Add(time.Minute), Cause: &Cause{Category: "cuda_oom", Summary: "GPU memory ran out."}}
	ev, err := r.StopRetrying(sent, "me", now)
	if err != nil || r.State != Failed || !r.NotBefore.IsZero() || r.Cause == nil || r.Reason != "GPU memory ran out (attempt 1 failed; not tried again on request)" || ev.Actor != "me" {
		t.Errorf("%+v, %+v, %v", r, ev, err)
	}
	for name, r := range map[string]Run{"new": {State: Queued}, "resumed": {State: Queued, Attempt: 1}, "running": {State: Running, Attempt: 2, Retried: 1, Cause: &Cause{}}} {
		if _, err := r.StopRetrying(sent, "me", now); !errors.Is(err, fault.ErrConflict) {
			t.Errorf("one that is %s: %v", name, err)
		}
	}
}

func TestStopRetryingWhileAnAttemptRuns(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	for name, r := range map[string]Run{
		"pending": {State: Pending}, "running": {State: Running}, "degraded": {State: Degraded}, "hung": {State: Stopping, StopCause: StopHang},
		"spoiled": {State: Stopping, StopCause: StopSpoiled},
	} {
		r.Attempt, r.Options = 4, Options{Retries: 3}
		if !r.Allowed(ActStopRetrying) {
			t.Errorf("one that is %s may not be given up", name)
		}
		was := r.State
		ev, err := r.StopRetrying(sent, "me", now)
		if err != nil || r.State != was || ev.Message != "should attempt 4 fail, it is not tried again" || ev.Actor != "me" || r.Allowed(ActStopRetrying) || r.MayRetry() {
			t.Errorf("%s: %+v, %+v, %v", name, r, ev, err)
		}
		if ev, err := r.StopRetrying(sent, "me", now); ev != nil || err != nil {
			t.Errorf("%s, twice: %+v, %v", name, ev, err)
		}
		for _, f := range []Failure{oneFailure("network", 10), oneFailure(UnknownCause, 0, exitCode(ExitPorts))} {
			r := r
			if why, again := r.Retry(f, testRules, now); again || !strings.HasSuffix(why, "; not tried again on request") {
				t.Errorf("%s: it is tried again: %s", name, why)
			}
		}
		r.State = Failed
		if _, err := r.RetryNow(sent, ResumeNewest, "me", now); err != nil || !r.MayRetry() {
			t.Errorf("%s: who retries it gives no retries: %v", name, err)
		}
	}
	for name, r := range map[string]Run{
		"being stopped": {State: Running, StopRequested: true, Options: Options{Retries: 3}}, "restarting": {State: Stopping, StopCause: StopRestart, Options: Options{Retries: 3}},
		"without retries": {State: Running}, "done": {State: Succeeded, Options: Options{Retries: 3}},
	} {
		if _, err := r.StopRetrying(sent, "me", now); r.Allowed(ActStopRetrying) || !errors.Is(err, fault.ErrConflict) {
			t.Errorf("one that is %s: %v", name, err)
		}
	}
}

// TestActionsInAnyOrderKeepARunWhole has people and the cluster act on a run in random order.
func TestActionsInAnyOrderKeepARunWhole(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(10_000, 0)
		r, a := Run{State: Queued, CheckpointPath: "c", Options: Options{Retries: 2}, Shape: Shape{Nodes: 1}}, Attempt{}
		was := r
		from := rapid.SampledFrom([]ResumeChoice{ResumeNewest, ResumeStart, ResumeAt(20)})
		act := func(name string, do func() (*Event, error)) func(*rapid.T) {
			return func(t *rapid.T) {
				was = r
				if ev, err := do(); err != nil && (r.State != was.State || r.StopCause != was.StopCause) || err == nil && was.State != r.State && ev == nil {
					t.Fatalf("%s of %s: %s, %v, %v", name, was.State, r.State, ev, err)
				}
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"pause": func(t *rapid.T) {
				act("pause", func() (*Event, error) {
					return r.Pause(a, Pausing{When: rapid.SampledFrom([]PauseWhen{PauseNow, PauseAtCheckpoint}).Draw(t, "when")}, "me", now)
				})(t)
			},
			"checkpoint": func(t *rapid.T) {
				if r.PauseDue(ResumePoint{Step: 20}) {
					act("checkpoint", func() (*Event, error) { return r.PauseWorkers("saved", now) })(t)
				}
			},
			"resume": func(t *rapid.T) {
				act("resume", func() (*Event, error) { return r.Resume(a, from.Draw(t, "from"), "me", now) })(t)
			},
			"restart": func(t *rapid.T) {
				act("restart", func() (*Event, error) { return r.Restart(from.Draw(t, "from"), "me", "", now) })(t)
			},
			"retry": func(t *rapid.T) {
				act("retry", func() (*Event, error) { return r.RetryNow(a, from.Draw(t, "from"), "me", now) })(t)
			},
			"stop retrying": act("stop retrying", func() (*Event, error) { return r.StopRetrying(a, "me", now) }),
			"stop":          act("stop", func() (*Event, error) { return r.Stop(a, "me", StopByPerson, now) }),
			"send": func(t *rapid.T) {
				if r.State == Queued && !r.NotBefore.After(now) {
					_, _ = r.Claim(&a, "", now)
				}
				if r.State == Dispatching {
					a.JobID, a.EndedAt = "p/1", time.Time{}
					act("send", func() (*Event, error) { return r.Transition(Pending, Console, "", now) })(t)
				}
			},
			"run": func(t *rapid.T) {
				if r.State == Pending {
					act("run", func() (*Event, error) { return r.Transition(Running, Nomad, "", now) })(t)
				}
			},
			"end": func(t *rapid.T) {
				if !r.State.Live() || r.State == Dispatching {
					return
				}
				was = r
				state := rapid.SampledFrom([]State{Succeeded, Failed}).Draw(t, "end")
				if state == Failed && r.StopRequested {
					state = Stopped
				}
				why := ""
				if to, because, ok := r.AfterStop(state); ok {
					state, why = to, because
				} else if state == Failed {
					if _, again := r.Retry(Failure{Observation: Observation{Found: true}, Why: "x"}, testRules, now); again {
						state = Queued
					}
				}
				a.EndedAt = now
				if _, err := r.Transition(state, Nomad, why, now); err != nil {
					t.Fatal(err)
				}
			},
			"wait": func(*rapid.T) { now = now.Add(time.Minute) },
			"": func(t *rapid.T) {
				ended := r.State.Terminal()
				switch {
				case ended == r.EndedAt.IsZero() || (r.State == Paused) == r.PausedAt.IsZero():
					t.Fatalf("it is %s, ended at %v, paused at %v", r.State, r.EndedAt, r.PausedAt)
				case was.State == Succeeded && r.State != Succeeded:
					t.Fatalf("it had succeeded and is %s", r.State)
				case r.Pausing != nil && (ended || r.State == Paused || r.StopRequested):
					t.Fatalf("it is %s and is still to be paused", r.State)
				case r.State == Stopped && !r.StopRequested, r.State == Paused && r.StopRequested:
					t.Fatalf("it is %s, stop requested %v", r.State, r.StopRequested)
				case r.StopRequested && r.StopCause.Next() != "":
					t.Fatalf("it is to end, and %s follows", r.StopCause.Next())
				case r.Idle < 0 || r.Idle > now.Unix()-10_000:
					t.Fatalf("it was idle for %d s", r.Idle)
				}
			},
		})
	})
}
