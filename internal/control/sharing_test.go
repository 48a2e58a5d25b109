package control_test

import (
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

// started has a run have trained at a time, and ended then.
func (r *rig) started(t *testing.T, id run.ID, at time.Time) {
	t.Helper()
	_, err := r.store.Update(t.Context(), id, func(u *store.Update) error {
		u.Run.State, u.Run.StartedAt, u.Run.EndedAt = run.Failed, at, at
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestWhoSavesIntoTheFolderOfAnotherIsWarned has runs save where one that has ended did.
func TestWhoSavesIntoTheFolderOfAnotherIsWarned(t *testing.T) {
	t.Parallel()
	r, _ := newShelvedRig(t)
	at := time.Now().Add(-time.Hour)
	first, err := r.control.Submit(t.Context(), "test", into("/ck/mine", ""))
	if err != nil {
		t.Fatal(err)
	}
	warned := func(folder string, clone run.ID) string {
		s := into(folder, "")
		s.Origin.Clone = clone
		_, warns := r.control.Check(t.Context())(s)
		for _, w := range warns {
			if w.Field == "ckpt.path" {
				return w.Error()
			}
		}
		return ""
	}
	if got := warned("/ck/mine", first.ID); got != "" {
		t.Errorf("of one that has never started: %q", got)
	}
	r.started(t, first.ID, at)
	for _, clone := range []run.ID{"", first.ID} {
		if got := warned("/ck/mine/", clone); !strings.Contains(got, string(first.ID)) || !strings.Contains(got, "use /ck/mine/{run}") {
			t.Errorf("made from %q: %q", clone, got)
		}
	}
	if got := warned("/ck/mine/{run}", first.ID) + warned("/ck/other", ""); got != "" {
		t.Errorf("with a folder of its own: %q", got)
	}
	second, err := r.control.Submit(t.Context(), "test", into("/ck/mine", ""))
	if err != nil {
		t.Fatal(err)
	}
	r.started(t, second.ID, at.Add(time.Minute))
	for id, want := range map[run.ID]bool{second.ID: false, first.ID: true} {
		if err := r.control.Act(t.Context(), "test", id, run.Action{Act: run.ActRetry}); err != nil {
			t.Fatal(err)
		}
		got, err := r.store.Run(t.Context(), id)
		if err != nil || strings.Contains(got.Reason, string(second.ID)+" ") != want {
			t.Errorf("a retry of %s says %q, %v", id, got.Reason, err)
		}
		r.started(t, id, at.Add(2*time.Minute))
	}
}
