package storetest

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

func testRoundTrip(t *testing.T, s Store) {
	want := create(t, s, "r-0000000001", "naïve 🚀 \u05d0 <b>")
	got, err := s.Run(t.Context(), want.ID)
	must(t, err)
	same(t, "run", got, want)
	if _, err := s.Run(t.Context(), "r-0000000009"); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("a run that does not exist gave %v", err)
	}
	evs, err := s.Events(t.Context(), want.ID, 0, 10)
	must(t, err)
	if len(evs) != 1 || evs[0].To != run.Queued || !evs[0].At.Equal(epoch) || evs[0].Seq == 0 {
		t.Errorf("first event is %+v", evs)
	}
	p := run.Progress{Step: 7, Loss: 2.5, HasLoss: true, TokensPerSec: 100, UpdatedAt: epoch}
	must(t, s.SaveProgress(t.Context(), want.ID, p))
	got, err = s.Run(t.Context(), want.ID)
	must(t, err)
	same(t, "progress", got.Progress, p)
	must(t, s.Ping(t.Context()))
}

func testFirstStep(t *testing.T, s Store) {
	id := create(t, s, "r-0000000001", "a").ID
	attempt := func(n int) {
		_, err := s.Update(t.Context(), id, func(u *store.Update) error {
			u.Run.Attempt = n
			return nil
		})
		must(t, err)
	}
	save := func(step int64, at time.Time) {
		must(t, s.SaveProgress(t.Context(), id, run.Progress{Step: step, Loss: 1, HasLoss: true, UpdatedAt: at}))
	}
	first := func(what string, step int64, at time.Time) {
		t.Helper()
		r, err := s.Run(t.Context(), id)
		must(t, err)
		if r.FirstStep != step || !r.FirstAt.Equal(at) {
			t.Errorf("%s: step %d at %v, want %d at %v", what, r.FirstStep, r.FirstAt, step, at)
		}
	}
	later := func(n int) time.Time { return epoch.Add(time.Duration(n) * time.Minute) }
	first("before any", 0, time.Time{})
	attempt(1)
	save(3, later(1))
	save(50, later(2))
	first("the first attempt", 3, later(1))
	attempt(2)
	save(51, later(3)) // of a worker of the first that was slow to say so
	must(t, s.Commit(t.Context(), []*store.Batch{steps(id, 2, 0, 21, 22)}))
	save(21, later(5))
	save(22, later(6))
	first("the second attempt", 21, later(5))
}

func testKey(t *testing.T, s Store) {
	first, created, err := s.CreateRun(t.Context(), newRun("r-0000000001", "a"), "k", run.Event{RunID: "r-0000000001"})
	must(t, err)
	again, twice, err := s.CreateRun(t.Context(), newRun("r-0000000002", "b"), "k", run.Event{RunID: "r-0000000002"})
	must(t, err)
	if !created || twice || again.ID != first.ID {
		t.Errorf("got %s (created %v) after %s (created %v)", again.ID, twice, first.ID, created)
	}
}

func testTakenID(t *testing.T, s Store) {
	create(t, s, "r-0000000001", "a")
	if _, _, err := s.CreateRun(t.Context(), newRun("r-0000000001", "b"), "", run.Event{}); !errors.Is(err, fault.ErrConflict) {
		t.Errorf("got %v, want a conflict", err)
	}
}

func testRunsAtNomad(t *testing.T, s Store) {
	want := []run.ID{}
	for i, state := range run.States() {
		r := newRun(fmt.Sprintf("r-%010d", i), string(state))
		r.State = state
		if _, _, err := s.CreateRun(t.Context(), r, ""); err != nil {
			t.Fatal(err)
		}
		switch state {
		case run.Pending, run.Running, run.Degraded, run.Stopping:
			want = append([]run.ID{r.ID}, want...) // newest first
		}
	}
	got, err := s.RunsAtNomad(t.Context())
	must(t, err)
	ids := []run.ID{}
	for _, r := range got {
		ids = append(ids, r.ID)
	}
	same(t, "runs at Nomad", ids, want)
}

func testList(t *testing.T, s Store) {
	for i := range 5 {
		create(t, s, fmt.Sprintf("r-000000000%d", i), fmt.Sprintf("run %d 100%%_x", i))
	}
	_, err := s.Update(t.Context(), "r-0000000003", func(u *store.Update) error {
		_, err := u.Run.Transition(run.Stopped, "test", "", epoch)
		return err
	})
	must(t, err)
	for _, tc := range []struct {
		f    run.RunFilter
		want string
	}{
		{run.RunFilter{Projects: run.AllProjects(), Limit: 10}, "4 3 2 1 0"},
		{run.RunFilter{Projects: run.AllProjects(), Limit: 2}, "4 3"},
		{run.RunFilter{Projects: run.AllProjects(), Limit: 2, Before: "r-0000000003"}, "2 1"},
		{run.RunFilter{Projects: run.AllProjects(), Limit: 9, States: []run.State{run.Queued}}, "4 2 1 0"},
		{run.RunFilter{Projects: run.AllProjects(), Limit: 9, States: []run.State{run.Stopped, run.Failed}}, "3"},
		{run.RunFilter{Projects: run.AllProjects(), Limit: 9, Text: "RUN 2"}, "2"},
		{run.RunFilter{Projects: run.AllProjects(), Limit: 9, Text: "0000001"}, "1"},
		{run.RunFilter{Projects: run.AllProjects(), Limit: 9, Text: "0%_x"}, "4 3 2 1 0"},
		{run.RunFilter{Projects: run.AllProjects(), Limit: 9, Text: "r%n"}, ""},
		{run.RunFilter{Projects: run.AllProjects(), Limit: 9, Text: `\`}, ""},
		{run.RunFilter{Projects: run.AllProjects(), Limit: 9, Text: "' OR 1=1 --"}, ""},
	} {
		runs, err := s.Runs(t.Context(), tc.f)
		must(t, err)
		var ids []string
		for _, r := range runs {
			ids = append(ids, string(r.ID[len(r.ID)-1:]))
		}
		same(t, fmt.Sprintf("list of %+v", tc.f), strings.Join(ids, " "), tc.want)
	}
	sweepOf(t, s, "s-0000000007", 3)
	sweepOf(t, s, "s-0000000006", 2)
	for _, tc := range []struct {
		f    run.RunFilter
		want string
	}{
		{run.RunFilter{Projects: run.AllProjects(), Limit: 9}, "r-7000000002 r-6000000001 r-0000000004 r-0000000003 r-0000000002 r-0000000001 r-0000000000"},
		{run.RunFilter{Projects: run.AllProjects(), Limit: 2}, "r-7000000002 r-6000000001"},
		{run.RunFilter{Projects: run.AllProjects(), Limit: 2, Before: "r-7000000002"}, "r-6000000001 r-0000000004"},
		{run.RunFilter{Projects: run.AllProjects(), Limit: 9, Text: "s #1"}, "r-7000000000 r-6000000000"},
		{run.RunFilter{Projects: run.AllProjects(), Limit: 9, States: []run.State{run.Stopped}}, "r-0000000003"},
	} {
		tc.f.Folded = true
		runs, err := s.Runs(t.Context(), tc.f)
		must(t, err)
		var ids []string
		for _, r := range runs {
			ids = append(ids, string(r.ID))
		}
		same(t, fmt.Sprintf("folded list of %+v", tc.f), strings.Join(ids, " "), tc.want)
	}
	must(t, s.DeleteRun(t.Context(), "r-7000000000")) // the counts are of what there is
	for text, want := range map[string]run.Counts{"": {run.Queued: 8, run.Stopped: 1}, "run 3": {run.Stopped: 1}, "S #": {run.Queued: 4}, "none": {}} {
		counts, err := s.CountRuns(t.Context(), run.RunFilter{Projects: run.AllProjects(), Text: text})
		must(t, err)
		same(t, fmt.Sprintf("counts of %q", text), counts, want)
	}
}

func testUpdate(t *testing.T, s Store) {
	id := create(t, s, "r-0000000001", "a").ID
	worker := run.Worker{AllocID: "a1", RunID: id, Attempt: 1, Rank: 1, State: run.WorkerPending, GPUs: []run.GPU{{ID: "g", Model: "m"}}}
	u, err := s.Update(t.Context(), id, func(u *store.Update) error {
		u.Attempt = run.Attempt{RunID: id, Number: 1, ParentJob: "p", CreatedAt: epoch}
		u.Run.Attempt = 1
		u.Workers = []run.Worker{worker}
		ev, err := u.Run.Transition(run.Dispatching, "test", "go", epoch)
		u.Events = append(u.Events, *ev)
		return err
	})
	must(t, err)
	if u.Events[0].Seq == 0 {
		t.Error("the event has no sequence")
	}
	_, err = s.Update(t.Context(), id, func(u *store.Update) error {
		u.Attempt.JobID = "p/dispatch-1"
		u.Workers[0].State = run.WorkerRunning
		_, err := u.Run.Transition(run.Pending, "test", "", epoch)
		return err
	})
	must(t, err)
	worker.State = run.WorkerRunning
	ws, err := s.Workers(t.Context(), id)
	must(t, err)
	same(t, "workers", ws, []run.Worker{worker})
	as, err := s.Attempts(t.Context(), id)
	must(t, err)
	same(t, "attempts", as, []run.Attempt{{RunID: id, Number: 1, ParentJob: "p", JobID: "p/dispatch-1", CreatedAt: epoch}})
	owner, err := s.RunOfJob(t.Context(), "p/dispatch-1")
	must(t, err)
	same(t, "owner of the job", owner, id)
	if _, err := s.RunOfJob(t.Context(), "other"); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("owner of an unknown job: %v", err)
	}
	newest, err := s.EventsBefore(t.Context(), id, math.MaxInt64, 1)
	must(t, err)
	if len(newest) != 1 || newest[0].To != run.Dispatching {
		t.Errorf("newest event is %+v", newest)
	}
}

func testUpdateFails(t *testing.T, s Store) {
	id := create(t, s, "r-0000000001", "a").ID
	boom := errors.New("boom")
	_, err := s.Update(t.Context(), id, func(u *store.Update) error {
		u.Run.State, u.Attempt = run.Failed, run.Attempt{RunID: id, Number: 1}
		u.Events = append(u.Events, run.Event{RunID: id})
		return boom
	})
	if !errors.Is(err, boom) {
		t.Fatalf("got %v", err)
	}
	r, err := s.Run(t.Context(), id)
	must(t, err)
	as, err := s.Attempts(t.Context(), id)
	must(t, err)
	if r.State != run.Queued || len(as) != 0 {
		t.Errorf("state %s, %d attempts", r.State, len(as))
	}
	if _, err := s.Update(t.Context(), "r-0000000009", func(*store.Update) error { return nil }); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("an update of nothing gave %v", err)
	}
}
