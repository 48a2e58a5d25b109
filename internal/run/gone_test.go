package run

import (
	"strings"
	"testing"
	"time"
)

var oneGone = []Worker{{Rank: 0, State: WorkerRunning}, {Rank: 1, NodeName: "n2", State: WorkerFailed, Exited: true, ExitCode: 1}}

func TestAPauseSaysThatNoCheckpointWillBeComplete(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	r := Run{State: Degraded, CheckpointPath: "c", Shape: Shape{Nodes: 2}, Progress: Progress{Step: 440}}
	_, err := r.Pause(sent, Pausing{When: PauseAtCheckpoint, From: 50, After: 50, Next: 450, Gone: r.Gone(oneGone)}, "me", now)
	if err == nil || r.Pausing != nil || !strings.Contains(err.Error(), "worker 1 (n2) has ended") || !strings.Contains(err.Error(), "use now: it continues from step 50 and repeats 390 steps") {
		t.Errorf("asked for when a worker has ended: %v", err)
	}
	r.State, r.Progress.Step = Running, 60
	if _, err := r.Pause(sent, Pausing{When: PauseAtCheckpoint, From: 50, After: 50, Next: 100}, "me", now); err != nil || !strings.Contains(r.WhatNext(), "about step 100") {
		t.Fatalf("asked for before: %v, %s", err, r.WhatNext())
	}
	if r.Progress.Step = 120; strings.Contains(r.WhatNext(), "100") || strings.Contains(r.PauseReason(""), "100") {
		t.Errorf("it names a step that has passed: %s", r.WhatNext())
	}
	ev := r.PauseGone(r.Gone(oneGone), now)
	const text = "worker 1 (n2) has ended, and without it no checkpoint will be complete: the pause does not come"
	if ev == nil || ev.Level != "warning" || !strings.HasPrefix(ev.Message, text) || !strings.Contains(r.PauseReason("lost"), "lost; "+text) ||
		!strings.HasPrefix(r.WhatNext(), "W"+text[1:]) || !strings.HasSuffix(r.WhatNext(), "Paused now, it continues from step 50 and repeats 70 steps.") {
		t.Errorf("a worker went: %+v, %s", ev, r.WhatNext())
	}
	if again := r.PauseGone(r.Gone(oneGone), now); again != nil {
		t.Errorf("it is told twice: %+v", again)
	}
	if !r.Allowed(ActPause) {
		t.Error("it cannot be paused now")
	}
	hangs := Run{Notices: []Notice{{Kind: NoticeHang, Rank: -1}}}
	if got := hangs.Gone(oneGone[:1]); !strings.HasPrefix(got, "no worker goes on") {
		t.Errorf("all hang: %q", got)
	}
	if hangs.Notices[0].Rank = 1; !strings.HasPrefix(hangs.Gone(oneGone[:1]), "worker 1 hangs") {
		t.Errorf("one hangs: %q", hangs.Gone(oneGone[:1]))
	}
}

func TestAPauseNowSaysWhatItRepeats(t *testing.T) {
	t.Parallel()
	r := Run{State: Running, CheckpointPath: "c", Progress: Progress{Step: 61}}
	ev, err := r.Pause(sent, Pausing{When: PauseNow, From: 50}, "me", time.Unix(1000, 0))
	const cost = "continues from step 50 and repeats 11 steps, unless its workers save as they exit"
	if err != nil || !strings.Contains(ev.Message, cost) || !strings.HasSuffix(r.WhatNext(), "When it is resumed it "+cost+".") {
		t.Errorf("%v, %+v, %s", err, ev, r.WhatNext())
	}
}

func TestWhatALossHasSpoiledIsNoReasonToSave(t *testing.T) {
	t.Parallel()
	r := Run{State: Running, CheckpointPath: "c", Progress: Progress{Step: 61}, Notices: []Notice{{Kind: NoticeNotFinite, Step: 50}}}
	ev, err := r.Pause(sent, Pausing{When: PauseNow, After: 60, From: 40}, "me", time.Unix(1000, 0))
	if err != nil || !strings.HasSuffix(ev.Message, "continues from step 40 and repeats 21 steps") {
		t.Errorf("%v, %+v", err, ev)
	}
}

func TestARestartSaysWhatItRepeats(t *testing.T) {
	t.Parallel()
	r := Run{State: Running, CheckpointPath: "c", Progress: Progress{Step: 439}}
	o := Outlook{Run: r, Points: []ResumePoint{{Step: 200}, {Step: 100}}}
	for from, want := range map[ResumeChoice]string{
		ResumeNewest: "continues from the newest complete checkpoint, step 200, and repeats 239 steps, unless its workers save as they exit",
		"step_100":   "continues from the checkpoint of step 100 and repeats 339 steps",
		ResumeStart:  "continues from the beginning and repeats 439 steps",
	} {
		again := r
		if ev, err := again.Restart(from, "me", o.Cost(from), time.Unix(1000, 0)); err != nil || ev.Message != "restarted: "+want || !strings.HasSuffix(again.WhatNext(), "then another attempt "+want+".") {
			t.Errorf("%v, %+v, %s", err, ev, again.WhatNext())
		}
	}
}

func TestTheNewestActionGivesTheReason(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	r := Run{State: Running}
	if _, err := r.Restart(ResumeNewest, "me", "", now); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Pause(sent, Pausing{When: PauseNow}, "me", now); err != nil || r.Reason != ReasonPausing || r.endingReason() != ReasonPausing {
		t.Errorf("a pause after a restart: %v, %q, %q", err, r.Reason, r.endingReason())
	}
	if _, err := r.Resume(sent, ResumeNewest, "me", now); err != nil || r.Reason != ReasonRestarting {
		t.Errorf("that withdrawn: %v, %q", err, r.Reason)
	}
	if _, err := r.Stop(sent, "me", StopByPerson, now); err != nil || r.Reason != ReasonStopping || r.endingReason() != ReasonStopping {
		t.Errorf("a stop after that: %v, %q, %q", err, r.Reason, r.endingReason())
	}
}

func TestAHeldRetryIsGivenUp(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	r := Run{State: Paused, Attempt: 1, Shape: Shape{Nodes: 2, GPUs: 3}, Cause: &Cause{Category: "x", Summary: "y"}, Reason: reasonHeld}
	if next := r.WhatNext(); !strings.Contains(next, "It holds no GPUs.") {
		t.Errorf("held it says %q", next)
	}
	if !r.Allowed(ActStopRetrying) {
		t.Error("it is not offered")
	}
	if _, err := r.StopRetrying(sent, "me", now); err != nil || r.State != Failed || r.Cause == nil {
		t.Errorf("%v, %+v", err, r)
	}
}
