package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

// testWatched has notices and rollbacks stored, kept by changes of other things, replaced and taken back.
func testWatched(t *testing.T, s Store) {
	id := create(t, s, "r-0000000001", "a").ID
	other := create(t, s, "r-0000000002", "b").ID
	hang := run.Notice{
		Kind: run.NoticeHang, Rank: 1, Node: "gpu-7", Since: epoch, Step: 40, Text: "worker 1 hangs: \u00fc \u4e16 \"'", Hint: "Look.", Next: "Stacks were asked for with SIGQUIT.",
		At: epoch.Add(time.Minute), Asked: epoch.Add(time.Second), Evidence: []run.NoticeLine{{Rank: 1, Pos: 9, At: epoch, Text: "<b>"}},
		Stacks: []run.NoticeLine{{Rank: 1, Pos: 10, At: epoch, Text: "Thread 0x7f11 (most recent call first):"}},
	}
	plateau := run.Notice{Kind: run.NoticePlateau, Rank: -1, Since: epoch, Text: "the loss has hardly fallen since step 3"}
	back := &run.Rollback{Count: 2, Before: 40, LR: 0.25, Attempt: 1}
	change := func(result error, fn func(r *run.Run)) {
		t.Helper()
		if _, err := s.Update(t.Context(), id, func(u *store.Update) error { fn(&u.Run); return result }); !errors.Is(err, result) {
			t.Fatal(err)
		}
	}
	is := func(what string, notices []run.Notice, rollback *run.Rollback) {
		t.Helper()
		r, err := s.Run(t.Context(), id)
		must(t, err)
		same(t, what+": notices", r.Notices, notices)
		same(t, what+": rollback", r.Rollback, rollback)
	}
	is("a new run", nil, nil)
	change(errors.ErrUnsupported, func(r *run.Run) { r.Notices, r.Rollback = []run.Notice{hang}, back })
	is("a change that was not stored", nil, nil)
	change(nil, func(r *run.Run) { r.Notices, r.Pace = []run.Notice{hang, plateau}, run.Pace{Low: 1.5, High: 2.25} })
	is("two notices", []run.Notice{hang, plateau}, nil)
	change(nil, func(r *run.Run) { r.Rollback = back })
	is("and a rollback", []run.Notice{hang, plateau}, back)
	change(nil, func(r *run.Run) { r.Note = "else" })
	is("another change", []run.Notice{hang, plateau}, back)
	if r, err := s.Run(t.Context(), id); err != nil || r.Pace != (run.Pace{Low: 1.5, High: 2.25}) {
		t.Errorf("its pace is %+v, %v", r.Pace, err)
	}
	change(nil, func(r *run.Run) { r.Notices = []run.Notice{plateau} })
	is("one is over", []run.Notice{plateau}, back)
	change(nil, func(r *run.Run) {
		r.Notices, r.Rollback = nil, &run.Rollback{Count: 3, Before: 20, LR: 0.125, Attempt: 2}
	})
	is("the last is over", nil, &run.Rollback{Count: 3, Before: 20, LR: 0.125, Attempt: 2})
	r, err := s.Run(t.Context(), other)
	must(t, err)
	if r.Notices != nil || r.Rollback != nil {
		t.Errorf("another run has %+v, %+v", r.Notices, r.Rollback)
	}
}
