package run

import (
	"context"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"
)

// TestWhatALossHasSpoiledIsNotContinuedFrom is about checkpoints that were saved after the loss went wrong.
func TestWhatALossHasSpoiledIsNotContinuedFrom(t *testing.T) {
	t.Parallel()
	saved := []SavedCheckpoint{{Attempt: 1, Step: 80, Path: "c/step_80"}, {Attempt: 1, Step: 60, Path: "c/step_60"}, {Attempt: 1, Step: 40, Path: "c/step_40"}}
	spoiled := Run{State: Stopped, Attempt: 1, CheckpointPath: "c", Shape: Shape{Nodes: 1}, StopRequested: true, Diverged: &Diverged{Step: 50}, Progress: Progress{HasLoss: true, Loss: math.NaN()}}
	newest := func(r Run) int64 {
		if points := r.NextResume.Among(r.ResumeFrom(saved)); len(points) > 0 {
			return points[0].Step
		}
		return 0
	}
	r := spoiled
	ev, err := r.RetryNow(sent, ResumeNewest, "me", time.Unix(1000, 0))
	if err != nil || newest(r) != 40 || !strings.Contains(ev.Message, "newest complete checkpoint before step 50, where the loss went wrong") {
		t.Errorf("it continues from %d, %+v, %v", newest(r), ev, err)
	}
	if newest(spoiled) != 40 || spoiled.Rollback != nil {
		t.Errorf("what a person is offered begins with %d", newest(spoiled))
	}
	for name, back := range map[string]Run{"back": {Progress: Progress{HasLoss: true, Loss: 3}, Diverged: &Diverged{Step: 50}}, "well": {}} {
		if back.Attempt, back.CheckpointPath, back.Shape = 1, "c", spoiled.Shape; newest(back) != 80 {
			t.Errorf("a loss that is %s: it continues from %d", name, newest(back))
		}
	}
	r.Attempt, r.Diverged = 2, nil // what it saves is sound again
	saved = append([]SavedCheckpoint{{Attempt: 2, Step: 60, Path: "c/step_60"}}, saved[2])
	if newest(r) != 60 {
		t.Errorf("after another attempt it continues from %d", newest(r))
	}
	diverged := Run{State: Running, Attempt: 1, Rollback: &Rollback{Count: 2, LR: 0.25}}
	diverged.Exclude(30)
	if b := diverged.Rollback; b.Count != 2 || b.LR != 0.25 || b.Before != 30 || b.Attempt != 1 || diverged.Excluded() != "before step 30 " {
		t.Errorf("what was there is lost: %+v", b)
	}
}

func TestALossThatGoesWrongAtTheSamePlaceGoesBackFurther(t *testing.T) {
	t.Parallel()
	saved := func(attempt int, steps ...int64) (out []SavedCheckpoint) {
		for _, step := range steps {
			out = append(out, SavedCheckpoint{Attempt: attempt, Step: step, Path: "c/" + stepFolder(step)})
		}
		return out
	}
	r := Run{State: Running, Attempt: 1, CheckpointPath: "c", Shape: Shape{Nodes: 1}}
	for _, tc := range []struct {
		resume  string
		trouble int64
		saved   []SavedCheckpoint
		from    int64
		says    string
	}{
		{"", 130, saved(1, 40, 80, 120), 120, "before step 130 (1 of 3)"},
		{"c/step_120", 125, saved(1, 40, 80, 120), 80, "before step 120 (2 of 3), since from there it went no further than step 125"},
		{"c/step_80", 140, append(saved(1, 40, 80), saved(3, 120)...), 120, "before step 140 (3 of 3)"}, // it went further
	} {
		next, refused := r.RollBack(Attempt{Number: r.Attempt, Resume: tc.resume}, tc.trouble, tc.saved)
		if refused != "" || next != "going back to a checkpoint "+tc.says {
			t.Errorf("attempt %d: %q, %q", r.Attempt, next, refused)
		}
		if points := r.ResumeFrom(tc.saved); len(points) == 0 || points[0].Step != tc.from {
			t.Errorf("attempt %d is followed by one that continues from %+v, want step %d", r.Attempt, points, tc.from)
		}
		r.Attempt++
	}
	if next, refused := r.RollBack(Attempt{Resume: "c/step_120"}, 125, nil); refused != "after it went back 3 times" {
		t.Errorf("it goes back a fourth time: %q, %q", next, refused)
	}
	named := Run{Attempt: 2, CheckpointPath: "c", Shape: Shape{Nodes: 1}, NextResume: "step_40", Rollback: &Rollback{Count: 2, Before: 60, LR: 1, Attempt: 2, PassOver: 40}}
	if points := named.NextResume.Among(named.ResumeFrom(saved(1, 20, 40))); points[0].Step != 40 {
		t.Errorf("though a person names step 40 it continues from %+v", points)
	}
	named.NextResume, named.Attempt = ResumeNewest, 3 // which has its own
	if points := named.ResumeFrom(saved(3, 20, 40)); points[0].Step != 40 {
		t.Errorf("a later attempt continues from %+v", points)
	}
}

// TestARejectedCheckpointIsNeverContinuedFrom is about a loss that goes wrong at one place whatever it continues from.
func TestARejectedCheckpointIsNeverContinuedFrom(t *testing.T) {
	t.Parallel()
	var saved []SavedCheckpoint
	for _, step := range []int64{50, 100} {
		saved = append(saved, SavedCheckpoint{Attempt: 1, Step: step, Path: "c/" + stepFolder(step)})
	}
	r := Run{State: Running, Attempt: 1, CheckpointPath: "c", Shape: Shape{Nodes: 1}}
	resume := ""
	for _, want := range []struct {
		from   int64
		choice ResumeChoice
		says   string
	}{
		{100, ResumeNewest, "going back to a checkpoint before step 102 (1 of 3)"},
		{50, ResumeNewest, "going back to a checkpoint before step 100 (2 of 3), since from there it went no further than step 102"},
		{0, ResumeStart, "continues from the beginning (3 of 3): no checkpoint is older than step 50"},
	} {
		next, refused := r.RollBack(Attempt{Number: r.Attempt, Resume: resume}, 102, saved)
		if refused != "" || next != want.says || r.NextResume != want.choice {
			t.Fatalf("attempt %d: %q, %q, from %q", r.Attempt, next, refused, r.NextResume)
		}
		for range 2 { // the second time after an attempt that ended before its first step
			var got int64
			if points := r.ResumeFrom(saved); len(points) > 0 {
				got = points[0].Step
			}
			if got != want.from {
				t.Errorf("after attempt %d it continues from step %d, want %d", r.Attempt, got, want.from)
			}
			r.Attempt++
		}
		resume = "c/" + stepFolder(want.from)
	}
	none := Run{State: Running, Attempt: 1, Shape: Shape{Nodes: 1}}
	if _, refused := none.RollBack(Attempt{Number: 1}, 90, nil); none.Rollback != nil || !strings.Contains(refused, "starting over unchanged would go wrong again (rollback_lr is 1)") {
		t.Errorf("it starts over unchanged: %q", refused)
	}
	for kind, want := range map[NoticeKind]string{NoticeNotFinite: ", so it fails.", NoticePlateau: ", so it is stopped."} {
		if says := none.NextRollback(kind, 90, Attempt{Number: 1}, nil); !strings.Contains(says, "starting over unchanged") || !strings.HasSuffix(says, want) {
			t.Errorf("%s: it says %q", kind, says)
		}
	}
	none.Options.RollbackLR = 0.5
	if says := none.NextRollback(NoticeNotFinite, 90, Attempt{Number: 1}, nil); !strings.Contains(says, "starts over") || none.Rollback != nil {
		t.Errorf("without checkpoints it says %q", says)
	}
	if next, _ := none.RollBack(Attempt{Number: 1}, 90, nil); next != "continues from the beginning (1 of 3): no checkpoint is older than step 90, with the learning rate multiplied by 0.5" {
		t.Errorf("without checkpoints it says %q", next)
	}
	none.State = Queued
	if ev, err := none.Claim(&Attempt{Number: 1, JobID: "j"}, "", time.Unix(1000, 0)); err != nil || ev.Message != "continues from the beginning" || none.NextResume != ResumeStart {
		t.Errorf("it is sent with %+v, %v, and the next is from %q", ev, err, none.NextResume)
	}
}

// TestAnAutomaticRetryPassesOverWhatALossHasSpoiled ends attempts whose loss has gone wrong, for another reason.
func TestAnAutomaticRetryPassesOverWhatALossHasSpoiled(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	saved := []SavedCheckpoint{{Attempt: 1, Step: 80, Path: "c/step_80"}, {Attempt: 1, Step: 40, Path: "c/step_40"}}
	for name, r := range map[string]Run{
		"not finite": {Diverged: &Diverged{Step: 50}, Progress: Progress{HasLoss: true, Loss: math.NaN()}},
		"diverged":   {Notices: []Notice{{Kind: NoticeDiverged, Step: 50}}},
	} {
		r.State, r.Attempt, r.CheckpointPath, r.Shape = Running, 1, "c", Shape{Nodes: 1}
		if _, err := r.Transition(Queued, Console, "tried again", now); err != nil {
			t.Fatal(err)
		}
		a := Attempt{Number: 1, JobID: "j"}
		if _, err := r.Claim(&a, "c/step_40", now); err != nil {
			t.Fatal(err)
		}
		r.Diverged, r.Notices, r.Progress = nil, nil, Progress{}
		next, err := r.Continuation(context.Background(), saved, nil, 1)
		if err != nil || next.Step() != 40 {
			t.Errorf("%s: it continues from %+v, %v", name, next, err)
		}
		r.State, r.FirstStep, r.Notices = Running, 81, []Notice{{Kind: NoticeNotFinite, Step: 81}} // a person named step 80
		if _, err := r.Transition(Failed, Console, "", now); err != nil || r.Rollback.Before != 50 {
			t.Errorf("%s: where the loss went wrong moved to step %d, %v", name, r.Rollback.Before, err)
		}
	}
}

func TestACheckpointThatAWorkerCouldNotLoadIsPassedOver(t *testing.T) {
	t.Parallel()
	rules := RetryRules{{Category: "checkpoint_corrupt", OlderCheckpoint: true}}
	r := Run{State: Degraded, Attempt: 2, CheckpointPath: "c", Shape: Shape{Nodes: 1}}
	saved := []SavedCheckpoint{{Attempt: 1, Step: 80, Path: "c/step_80"}, {Attempt: 1, Step: 40, Path: "c/step_40"}}
	from := func() int64 {
		next, err := r.Continuation(context.Background(), saved, nil, 1)
		if err != nil {
			t.Fatal(err)
		}
		return next.Step()
	}
	r.LearnOfLoss(Attempt{Number: 2, Resume: "c/step_80"}, Worker{Cause: &Cause{Category: "segfault"}}, rules)
	if from() != 80 {
		t.Errorf("any failure breaks it: it continues from step %d", from())
	}
	r.LearnOfLoss(Attempt{Number: 2, Resume: "c/step_80"}, Worker{Cause: &Cause{Category: "checkpoint_corrupt"}}, rules)
	if from() != 40 {
		t.Errorf("it continues from step %d", from())
	}
	var old RetryLedger
	if err := json.Unmarshal([]byte(`{"broken":["c/step_80"]}`), &old); err != nil || !old.broken("c/step_80", 3) {
		t.Errorf("what an older version stored is %+v, %v", old, err)
	}
	saved = append(saved, SavedCheckpoint{Attempt: 3, Step: 80, Path: "c/step_80"}) // anew
	if from() != 80 {
		t.Errorf("saved anew it is passed over: it continues from step %d", from())
	}
}

func TestARetryFromTheStartBeginsAsTheConfigurationSays(t *testing.T) {
	t.Parallel()
	saved := []SavedCheckpoint{{Attempt: 1, Step: 80, Path: "c/step_80"}}
	r := Run{State: Failed, Attempt: 4, CheckpointPath: "c", Shape: Shape{Nodes: 1}, Rollback: &Rollback{Count: 3, Before: 90, LR: 0.125, Attempt: 4}}
	kept := r
	if ev, err := kept.RetryNow(sent, ResumeNewest, "me", time.Unix(1000, 0)); err != nil || kept.Rollback.Count != 0 || kept.Rollback.LR != 0.125 || !strings.HasSuffix(ev.Message, ", with the learning rate multiplied by 0.125") {
		t.Errorf("from the newest: %+v, %+v, %v", kept.Rollback, ev, err)
	}
	ev, err := r.RetryNow(sent, ResumeStart, "me", time.Unix(1000, 0))
	if err != nil || r.Rollback.Count != 0 || r.Rollback.LR != 1 || ev.Message != "tried again: continues from the beginning" || r.Excluded() != "" {
		t.Errorf("from the start: %+v, %+v, %v", r.Rollback, ev, err)
	}
	r.NextResume, r.Attempt = ResumeNewest, 5 // it has reported
	if points := r.ResumeFrom(saved); len(points) > 0 {
		t.Errorf("later it continues from what it left behind: %+v", points)
	}
	r.NextResume = "step_80"
	if points := r.ResumeFrom(saved); len(points) != 1 {
		t.Error("what it left behind cannot be named")
	}
}
