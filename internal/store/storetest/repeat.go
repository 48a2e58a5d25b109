package storetest

import (
	"errors"
	"testing"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/points"
)

// steps makes a batch of a worker of an attempt: from one step to another, the loss of each is the attempt and the step.
func steps(id run.ID, attempt, rank int, from, to int64) *store.Batch {
	b := batch(id, rank, store.Cursor{}, "line\n")
	b.AllocID += string(rune('0' + attempt))
	b.Attempt = attempt
	for step := from; step <= to; step++ {
		b.Points = append(b.Points, points.Point{Metric: "loss", Step: step, Value: float64(100*attempt) + float64(step)}, points.Point{Metric: "tokens_per_second", Step: step, Value: 5})
		b.Checkpoints = append(b.Checkpoints, store.Checkpoint{Step: step, Path: "p"})
	}
	return b
}

// next is the batch that follows another of the same worker.
func next(before, b *store.Batch) *store.Batch {
	b.From = before.To
	b.To.Offset += before.To.Offset
	return b
}

// bothAttempts expects the curve to be of one attempt up to a step and of another from there on.
func bothAttempts(t *testing.T, s Store, id run.ID, when string, early, late int, from, to int64) {
	t.Helper()
	c := curve(t, s, id)
	if len(c) != int(to)+1 {
		t.Errorf("%s: the curve has %d steps, want 0 to %d", when, len(c), to)
		return
	}
	for i, p := range c {
		want := float64(100*early) + float64(i)
		if int64(i) >= from {
			want = float64(100*late) + float64(i)
		}
		if p.Step != int64(i) || p.Mean != want {
			t.Errorf("%s: step %d is %v at place %d, want %v", when, p.Step, p.Mean, i, want)
		}
	}
}

func testRepeat(t *testing.T, s Store) {
	id, other := create(t, s, "r-0000000001", "a").ID, create(t, s, "r-0000000002", "b").ID
	var first []*store.Batch
	for _, id := range []run.ID{id, other} {
		for rank := range 2 {
			b := steps(id, 1, rank, 0, 9)
			b.Points = append(b.Points, points.Point{Metric: "system/cpu", Step: epoch.UnixMilli(), Value: 1})
			first = append(first, b)
		}
	}
	must(t, s.Commit(t.Context(), first))
	bothAttempts(t, s, id, "trained once", 1, 1, 0, 9)
	saveHeadline(t, s, id)

	idle := batch(id, 0, store.Cursor{}, "starting\n", points.Point{Metric: "system/cpu", Step: epoch.UnixMilli() + 9, Value: 2})
	idle.AllocID, idle.Attempt = "idle", 2
	must(t, s.Commit(t.Context(), []*store.Batch{idle}))
	bothAttempts(t, s, id, "another attempt has not trained", 1, 1, 0, 9)

	second := steps(id, 2, 0, 6, 7)
	failing := batch(id, 1, store.Cursor{File: "elsewhere", Offset: 1}, "x\n")
	if err := s.Commit(t.Context(), []*store.Batch{second, failing}); !errors.Is(err, fault.ErrConflict) {
		t.Errorf("a group with a stale cursor: %v", err)
	}
	bothAttempts(t, s, id, "nothing was stored", 1, 1, 0, 9)
	must(t, s.Commit(t.Context(), []*store.Batch{second}))
	if r, err := s.Run(t.Context(), id); err != nil || !second.Repeated || r.Progress.Step != 5 || r.Progress.Loss != 105 || r.Progress.TokensPerSec != 0 {
		t.Errorf("repeated: %v, %+v, %v", second.Repeated, r.Progress, err)
	}
	bothAttempts(t, s, id, "trained again from 6", 1, 2, 6, 7)
	bothAttempts(t, s, other, "the other run", 1, 1, 0, 9)
	for metric, want := range map[string]int{"loss": 14, "system/cpu": 3} {
		pts, err := AllPoints(t.Context(), s, id, metric)
		must(t, err)
		same(t, "points of "+metric, len(pts), want)
	}
	saved, err := s.SavedCheckpoints(t.Context(), id)
	must(t, err)
	same(t, "checkpoints", len(saved), 14)

	late := next(first[1], steps(id, 1, 1, 4, 12)) // of a worker that was slow to say so
	must(t, s.Commit(t.Context(), []*store.Batch{late}))
	bothAttempts(t, s, id, "a late batch", 1, 2, 6, 7)
	same(t, "points of the late batch", len(late.Points), 2*9)
	if again, err := s.SavedCheckpoints(t.Context(), id); err != nil || len(again) != 14 {
		t.Errorf("checkpoints after a late batch: %+v, %v", again, err)
	}
	more := next(second, steps(id, 2, 0, 8, 8))
	must(t, s.Commit(t.Context(), []*store.Batch{more}))
	if more.Repeated {
		t.Error("an attempt that goes on repeats once more")
	}

	must(t, s.Commit(t.Context(), []*store.Batch{steps(id, 2, 1, 4, 8)})) // began earlier than the first one said
	bothAttempts(t, s, id, "trained again from 4", 1, 2, 4, 8)
	must(t, s.Commit(t.Context(), []*store.Batch{steps(id, 3, 0, 7, 7)}))
	if c := curve(t, s, id); len(c) != 8 || c[6].Mean != 206 || c[7].Mean != 307 {
		t.Errorf("trained a third time: %+v", c)
	}
	must(t, s.Commit(t.Context(), []*store.Batch{steps(id, 3, 1, 0, 1)}))
	if c := curve(t, s, id); len(c) != 3 || c[2].Step != 7 || c[2].Mean != 307 {
		t.Errorf("from the beginning: %+v", c)
	}
	lines, err := s.Logs(t.Context(), id, run.LogQuery{Rank: -1, Limit: 20})
	must(t, err)
	same(t, "lines of the log", len(lines), 9)
}

// saveHeadline stores the headline as ingest does.
func saveHeadline(t *testing.T, s Store, id run.ID) {
	t.Helper()
	p, err := s.Headline(t.Context(), id)
	must(t, err)
	must(t, s.SaveProgress(t.Context(), id, p))
}

func testHeadline(t *testing.T, s Store) {
	id := create(t, s, "r-0000000001", "a").ID
	place := func(attempt int, states ...run.WorkerState) {
		t.Helper()
		_, err := s.Update(t.Context(), id, func(u *store.Update) error {
			u.Run.Attempt, u.Attempt = attempt, run.Attempt{RunID: id, Number: attempt}
			u.Workers = nil
			for rank, state := range states {
				u.Workers = append(u.Workers, run.Worker{AllocID: string(rune('a'+attempt)) + string(rune('0'+rank)), RunID: id, Attempt: attempt, Rank: rank, State: state})
			}
			return nil
		})
		must(t, err)
	}
	headline := func(when string, want run.Progress) {
		t.Helper()
		curve(t, s, id)
		got, err := s.Headline(t.Context(), id)
		must(t, err)
		same(t, when, got, want)
		must(t, s.SaveProgress(t.Context(), id, got))
	}
	place(1, run.WorkerRunning, run.WorkerRunning)
	headline("no step", run.Progress{})
	last := steps(id, 1, 0, 1, 30)
	must(t, s.Commit(t.Context(), []*store.Batch{last, steps(id, 1, 1, 1, 20)}))
	headline("one is behind", run.Progress{Step: 20, Loss: 120, HasLoss: true, TokensPerSec: 10})
	place(1, run.WorkerRunning, run.WorkerLost)
	headline("one is lost", run.Progress{Step: 30, Loss: 130, HasLoss: true, TokensPerSec: 5})
	place(1, run.WorkerFailed, run.WorkerLost)
	place(2, run.WorkerRunning, run.WorkerRunning)
	headline("another attempt has not trained", run.Progress{Step: 30, Loss: 130, HasLoss: true, TokensPerSec: 5})
	must(t, s.Commit(t.Context(), []*store.Batch{steps(id, 2, 0, 11, 12)}))
	headline("another attempt trains", run.Progress{Step: 12, Loss: 212, HasLoss: true, TokensPerSec: 5})
	must(t, s.Commit(t.Context(), []*store.Batch{steps(id, 2, 1, 11, 11)}))
	headline("the step does not go back", run.Progress{Step: 12, Loss: 212, HasLoss: true, TokensPerSec: 5})
	place(2, run.WorkerComplete, run.WorkerComplete)
	headline("all have ended", run.Progress{Step: 12, Loss: 212, HasLoss: true, TokensPerSec: 5})
}

func testRevision(t *testing.T, s Store) {
	id := add(t, s, "r-0000000001", func(r *run.Run) { r.NotBefore = epoch }).ID
	var before int64
	for _, c := range []struct {
		what   string
		change func() error
	}{
		{"a time that has come", func() error { return s.ReleaseDue(t.Context(), epoch) }},
		{"a reason", func() error { return s.SetWaitReason(t.Context(), "held", []run.ID{id}) }},
		{"a headline", func() error { return s.SaveProgress(t.Context(), id, run.Progress{Step: 3}) }},
		{"an update", func() error {
			u, err := s.Update(t.Context(), id, func(*store.Update) error { return nil })
			if err == nil && u.Run.Revision <= before {
				t.Errorf("an update returns revision %d after %d", u.Run.Revision, before)
			}
			return err
		}},
		{"steps that are repeated", func() error { return s.Commit(t.Context(), []*store.Batch{steps(id, 2, 0, 1, 2)}) }},
	} {
		must(t, c.change())
		r, err := s.Run(t.Context(), id)
		must(t, err)
		if r.Revision <= before {
			t.Errorf("%s: revision %d after %d", c.what, r.Revision, before)
		}
		before = r.Revision
	}
}
