package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

// add stores a run that the caller has changed.
func add(t *testing.T, s Store, id string, change func(*run.Run)) run.Run {
	t.Helper()
	r := newRun(id, id)
	change(&r)
	stored, _, err := s.CreateRun(t.Context(), r, run.Attempt{}, "", run.Event{RunID: r.ID})
	must(t, err)
	return stored
}

func testOptions(t *testing.T, s Store) {
	want := add(t, s, "r-0000000001", func(r *run.Run) {
		r.Options = run.Options{
			Description: "why", Tags: []string{"a", "b"}, Priority: 70, MaxDuration: 90, Retries: 2, Env: map[string]string{"K": "v=1\n"},
			Args: []string{"--x", "y"}, Secrets: "nomad/jobs/x",
		}
		r.Origin = run.Origin{Template: "t@2", Clone: "r-0000000000", Sweep: "s-0000000001", Point: map[string]string{"nodes": "2"}}
		r.CheckpointPath = "models/checkpoints/r-0000000001"
	})
	got, err := s.Run(t.Context(), want.ID)
	must(t, err)
	same(t, "run", got, want)
	plain := add(t, s, "r-0000000002", func(*run.Run) {})
	got, err = s.Run(t.Context(), plain.ID)
	must(t, err)
	same(t, "run without options", got, plain)
	for sweep, n := range map[run.SweepID]int{"s-0000000001": 1, "s-0000000002": 0, "": 2} {
		runs, err := s.Runs(t.Context(), run.RunFilter{Sweep: sweep, Limit: 10})
		must(t, err)
		same(t, fmt.Sprintf("runs of sweep %q", sweep), len(runs), n)
	}
}

func testWords(t *testing.T, s Store) {
	add(t, s, "r-0000000001", func(r *run.Run) {
		r.Options.Tags, r.Options.Description = []string{"baseline", "paper"}, "compares 50% of\nthe data"
	})
	add(t, s, "r-0000000002", func(r *run.Run) { r.Options.Env = map[string]string{"HIDDEN": "word"} })
	for text, want := range map[string]int{"BASE": 1, "paper": 1, "50% of": 1, "THE data": 1, "50_": 0, "word": 0, "tags": 0, "r-000": 2} {
		runs, err := s.Runs(t.Context(), run.RunFilter{Text: text, Limit: 10})
		must(t, err)
		same(t, "runs with "+text, len(runs), want)
	}
}

func testRetry(t *testing.T, s Store) {
	id := create(t, s, "r-0000000001", "a").ID
	_, err := s.Update(t.Context(), id, func(u *store.Update) error {
		u.Run.Retried, u.Run.PortConflicts, u.Run.NotBefore = 2, 1, epoch
		u.Attempt = run.Attempt{RunID: id, Number: 3, ParentJob: "p", Resume: "ckpt/step_7", CreatedAt: epoch}
		return nil
	})
	must(t, err)
	r, err := s.Run(t.Context(), id)
	must(t, err)
	as, err := s.Attempts(t.Context(), id)
	must(t, err)
	if r.Retried != 2 || r.PortConflicts != 1 || !r.NotBefore.Equal(epoch) || len(as) != 1 || as[0].Resume != "ckpt/step_7" {
		t.Errorf("run %+v, attempts %+v", r, as)
	}
}

func testSaved(t *testing.T, s Store) {
	id, other := create(t, s, "r-0000000001", "a").ID, create(t, s, "r-0000000002", "b").ID
	cur := map[int]store.Cursor{}
	save := func(rank, attempt int, steps ...int64) {
		b := batch(id, rank, cur[rank], "x\n")
		b.Attempt = attempt
		for _, step := range steps {
			b.Saved = append(b.Saved, store.Checkpoint{Step: step, Path: fmt.Sprintf("c/step_%d", step)})
		}
		must(t, s.Commit(t.Context(), []*store.Batch{b}))
		cur[rank] = b.To
	}
	save(0, 1, 10, 20)
	save(1, 1, 10)
	save(0, 2, 20)
	got, err := s.Saved(t.Context(), id)
	must(t, err)
	same(t, "checkpoints", got, []run.Saved{
		{Attempt: 2, Rank: 0, Step: 20, Path: "c/step_20"}, {Attempt: 1, Rank: 0, Step: 10, Path: "c/step_10"}, {Attempt: 1, Rank: 1, Step: 10, Path: "c/step_10"},
	})
	for step := int64(1000); step < 1100; step++ {
		save(0, 2, step)
	}
	got, err = s.Saved(t.Context(), id)
	must(t, err)
	if len(got) != 21 || got[0].Step != 1099 || got[20].Rank != 1 {
		t.Errorf("after very many there are %d: %+v", len(got), got)
	}
	if got, err := s.Saved(t.Context(), other); err != nil || len(got) != 0 {
		t.Errorf("of another run: %v, %v", got, err)
	}
	must(t, s.DeleteRun(t.Context(), id))
	if got, err := s.Saved(t.Context(), id); err != nil || len(got) != 0 {
		t.Errorf("of a deleted run: %v, %v", got, err)
	}
}

func testRewind(t *testing.T, s Store) {
	id, other := create(t, s, "r-0000000001", "a").ID, create(t, s, "r-0000000002", "b").ID
	at := epoch.UnixMilli()
	for _, id := range []run.ID{id, other} {
		for rank := range 2 {
			b := batch(id, rank, store.Cursor{}, "line\n", store.Point{Metric: "system/cpu", Step: at, Value: 1})
			for step := range int64(10) {
				b.Points = append(b.Points, store.Point{Metric: "loss", Step: step, Value: 10 - float64(step)}, store.Point{Metric: "tokens_per_second", Step: step, Value: 5})
				b.Saved = append(b.Saved, store.Checkpoint{Step: step, Path: "p"})
			}
			must(t, s.Commit(t.Context(), []*store.Batch{b}))
		}
		if c := curve(t, s, id); len(c) != 10 {
			t.Fatalf("curve is %+v", c)
		}
	}
	for range 2 { // again, as after an interruption
		must(t, s.Rewind(t.Context(), id, 6))
		if c := curve(t, s, id); len(c) != 6 || c[5].Step != 5 {
			t.Errorf("curve is %+v", c)
		}
	}
	for metric, want := range map[string]int{"loss": 12, "tokens_per_second": 12, "system/cpu": 2} {
		pts, err := s.Points(t.Context(), id, metric)
		must(t, err)
		same(t, "points of "+metric, len(pts), want)
	}
	saved, err := s.Saved(t.Context(), id)
	must(t, err)
	same(t, "checkpoints", len(saved), 12)
	r, err := s.Run(t.Context(), id)
	must(t, err)
	if r.Progress.Step != 5 || r.Progress.Loss != 5 || r.Progress.TokensPerSec != 0 {
		t.Errorf("headline is %+v", r.Progress)
	}
	lines, err := s.Logs(t.Context(), id, run.LogQuery{Rank: -1, Limit: 10})
	must(t, err)
	same(t, "log", len(lines), 2)
	if c := curve(t, s, other); len(c) != 10 {
		t.Errorf("the other run's curve is %+v", c)
	}
	must(t, s.Rewind(t.Context(), id, 0))
	r, err = s.Run(t.Context(), id)
	must(t, err)
	if c := curve(t, s, id); len(c) != 0 || r.Progress.HasLoss || r.Progress.Step != 0 {
		t.Errorf("from the beginning: curve %+v, headline %+v", c, r.Progress)
	}
}

func testWaiting(t *testing.T, s Store) {
	add(t, s, "r-0000000005", func(r *run.Run) { r.State = run.Dispatching })
	add(t, s, "r-0000000003", func(r *run.Run) { r.Options.Priority, r.NotBefore, r.Reason = 90, epoch, "why" })
	add(t, s, "r-0000000002", func(r *run.Run) {
		r.StartedAt, r.Options.MaxDuration = epoch, 60
	})
	add(t, s, "r-0000000001", func(r *run.Run) { r.Options.Priority, r.Options.MaxDuration = 50, 60 })
	add(t, s, "r-0000000004", func(r *run.Run) { r.Options.Priority, r.Origin.Sweep = 10, "s-0000000001" })
	add(t, s, "r-0000000006", func(r *run.Run) { r.State, r.Origin.Sweep = run.Running, "s-0000000001" })
	add(t, s, "r-0000000007", func(r *run.Run) { r.State, r.Origin.Sweep = run.Failed, "s-0000000001" })
	_, _, err := s.CreateSweep(t.Context(), run.Sweep{ID: "s-0000000001", Spec: run.SweepSpec{Parallel: 3}}, "", nil, nil)
	must(t, err)
	ws, slots, err := s.Waiting(t.Context())
	must(t, err)
	order := ""
	for _, w := range ws {
		order += string(w.ID[len(w.ID)-1:])
	}
	same(t, "order", order, "53124")
	same(t, "slots", slots, map[run.SweepID]store.SweepSlots{"s-0000000001": {Parallel: 3, Live: 1}})
	if w := ws[1]; w.State != run.Queued || !w.NotBefore.Equal(epoch) || w.Reason != "why" {
		t.Errorf("one that waits is %+v", w)
	}
	if !ws[3].Expired.Expired(epoch.Add(time.Minute)) || ws[2].Expired.Expired(epoch.Add(time.Hour)) {
		t.Errorf("expired: %+v and not %+v", ws[3], ws[2])
	}
}

func testReason(t *testing.T, s Store) {
	var ids []run.ID
	for i := range 1200 {
		ids = append(ids, add(t, s, fmt.Sprintf("r-%010d", i), func(r *run.Run) {
			if i == 7 {
				r.State = run.Running
			}
		}).ID)
	}
	must(t, s.SetReason(t.Context(), "held", ids))
	runs, err := s.Runs(t.Context(), run.RunFilter{Limit: 1000})
	must(t, err)
	for _, r := range runs {
		if r.Reason != "held" {
			t.Fatalf("%s has the reason %q", r.ID, r.Reason)
		}
	}
	if r, err := s.Run(t.Context(), ids[7]); err != nil || r.Reason != "" {
		t.Errorf("a running one has the reason %q, %v", r.Reason, err)
	}
}
