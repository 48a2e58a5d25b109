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
