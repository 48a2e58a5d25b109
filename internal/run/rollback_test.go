package run

import (
	"strings"
	"testing"
	"time"
)

// TestWhatALossHasSpoiledIsNotContinuedFrom is about checkpoints that were saved after the loss went wrong.
func TestWhatALossHasSpoiledIsNotContinuedFrom(t *testing.T) {
	t.Parallel()
	saved := []SavedCheckpoint{{Attempt: 1, Step: 80, Path: "c/step_80"}, {Attempt: 1, Step: 60, Path: "c/step_60"}, {Attempt: 1, Step: 40, Path: "c/step_40"}}
	spoiled := Run{State: Stopped, Attempt: 1, CheckpointPath: "c", Shape: Shape{Nodes: 1}, StopRequested: true, Diverged: &Diverged{Step: 50}}
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
	if u := spoiled.Unspoiled(); newest(u) != 40 || spoiled.Rollback != nil {
		t.Errorf("what a person is offered begins with %d", newest(u))
	}
	r.Attempt = 2 // what it saves is sound again
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
		next, ok := r.RollBack(Attempt{Number: r.Attempt, Resume: tc.resume}, tc.trouble, tc.saved)
		if !ok || next != "going back to a checkpoint "+tc.says {
			t.Errorf("attempt %d: %q, %v", r.Attempt, next, ok)
		}
		if points := r.ResumeFrom(tc.saved); len(points) == 0 || points[0].Step != tc.from {
			t.Errorf("attempt %d is followed by one that continues from %+v, want step %d", r.Attempt, points, tc.from)
		}
		r.Attempt++
	}
	if next, ok := r.RollBack(Attempt{Resume: "c/step_120"}, 125, nil); ok {
		t.Errorf("it goes back a fourth time: %q", next)
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
		next, ok := r.RollBack(Attempt{Number: r.Attempt, Resume: resume}, 102, saved)
		if !ok || next != want.says || r.NextResume != want.choice {
			t.Fatalf("attempt %d: %q, %v, from %q", r.Attempt, next, ok, r.NextResume)
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
	if says := none.NextRollback(NoticeNotFinite, 90, Attempt{Number: 1}, nil); !strings.Contains(says, "starts over") || none.Rollback != nil {
		t.Errorf("without checkpoints it says %q", says)
	}
	if next, _ := none.RollBack(Attempt{Number: 1}, 90, nil); next != "continues from the beginning (1 of 3): no checkpoint is older than step 90" {
		t.Errorf("without checkpoints it says %q", next)
	}
	none.State = Queued
	if ev, err := none.Claim(&Attempt{Number: 1, JobID: "j"}, "", time.Unix(1000, 0)); err != nil || ev.Message != "continues from the beginning" || none.NextResume != ResumeStart {
		t.Errorf("it is sent with %+v, %v, and the next is from %q", ev, err, none.NextResume)
	}
}
