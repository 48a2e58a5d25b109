package storetest

import (
	"fmt"
	"slices"
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
	stored, _, err := s.CreateRun(t.Context(), r, "", run.Event{RunID: r.ID})
	must(t, err)
	return stored
}

func testOptions(t *testing.T, s Store) {
	want := add(t, s, "r-0000000001", func(r *run.Run) {
		r.Options = run.Options{
			Description: "why", Tags: []string{"a", "b"}, Priority: 70, MaxDuration: 90, Retries: 2, Retry: run.RetryPolicy{"cuda_oom": 0}, Env: map[string]string{"K": "v=1\n"},
			Args: []string{"--x", "y"}, Secrets: run.SecretNames{"HF_TOKEN", "WANDB_API_KEY"},
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
		runs, err := s.Runs(t.Context(), run.RunFilter{Projects: run.AllProjects(), Sweep: sweep, Limit: 10})
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
		runs, err := s.Runs(t.Context(), run.RunFilter{Projects: run.AllProjects(), Text: text, Limit: 10})
		must(t, err)
		same(t, "runs with "+text, len(runs), want)
	}
}

func testRetry(t *testing.T, s Store) {
	id := create(t, s, "r-0000000001", "a").ID
	ledger := run.RetryLedger{Best: 7, Failures: map[string]int{"segfault": 2}, Broken: []run.BrokenCheckpoint{{Folder: "ckpt/step_7", Attempt: 2}}, Strikes: []run.Strike{{NodeID: "n", Node: "gpu-7", Attempt: 1}}}
	_, err := s.Update(t.Context(), id, func(u *store.Update) error {
		u.Run.Retried, u.Run.PortConflicts, u.Run.NotBefore = 2, 1, epoch
		u.Run.Ledger, u.Run.GivenUp = ledger, true
		u.Run.Shape.Avoid = "n"
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
	same(t, "ledger", r.Ledger, ledger)
	same(t, "given up", r.GivenUp, true)
	same(t, "avoided nodes", r.Shape.Avoid, run.NodeIDs("n"))
}

// testActions has what people asked of a run come back as it was stored.
func testActions(t *testing.T, s Store) {
	id := add(t, s, "r-0000000001", func(r *run.Run) {
		r.State, r.StartedAt, r.Options.MaxDuration = run.Running, epoch, 100
	}).ID
	pausing := run.Pausing{When: run.PauseAtCheckpoint, After: 20, From: 10, Next: 30}
	_, err := s.Update(t.Context(), id, func(u *store.Update) error {
		u.Run.Pausing, u.Run.NextResume, u.Run.Idle = &pausing, run.ResumeAt(20), 7
		return nil
	})
	must(t, err)
	r, err := s.Run(t.Context(), id)
	must(t, err)
	if r.Pausing == nil || *r.Pausing != pausing || r.NextResume != "step_20" || r.Idle != 7 {
		t.Errorf("run is %+v", r)
	}
	move := func(to run.State, after time.Duration) run.Run {
		t.Helper()
		u, err := s.Update(t.Context(), id, func(u *store.Update) error { return u.Move(to, "me", "", epoch.Add(after)) })
		must(t, err)
		r, err := s.Run(t.Context(), id)
		must(t, err)
		same(t, "stored run", r, u.Run)
		return r
	}
	if r := move(run.Paused, 10*time.Second); !r.PausedAt.Equal(epoch.Add(10*time.Second)) || r.Pausing != nil {
		t.Errorf("paused it is %+v", r)
	}
	if r := move(run.Queued, 30*time.Second); r.Idle != 27 || !r.PausedAt.IsZero() {
		t.Errorf("resumed it is %+v", r)
	}
	for after, want := range map[time.Duration]int{126 * time.Second: 0, 127 * time.Second: 1} { // 100 s of its own
		ids, err := s.Expired(t.Context(), epoch.Add(after))
		must(t, err)
		same(t, "expired runs", len(ids), want)
	}
	ended := func() int {
		page, err := s.ListRuns(t.Context(), run.RunFilter{Projects: run.AllProjects(), Order: run.Order{By: "ended"}, Limit: 10})
		must(t, err)
		return len(page.Runs)
	}
	move(run.Failed, 40*time.Second)
	same(t, "runs by their end", ended(), 1)
	if r := move(run.Queued, 50*time.Second); r.Idle != 37 || !r.EndedAt.IsZero() {
		t.Errorf("tried again it is %+v", r)
	}
	same(t, "runs by their end, once one is tried again", ended(), 1)
	move(run.Dispatching, 51*time.Second)
	move(run.Pending, 52*time.Second)
	same(t, "runs by their end, once one is at Nomad", ended(), 1) // under way and ended it would be there twice
}

func testSaved(t *testing.T, s Store) {
	id, other := create(t, s, "r-0000000001", "a").ID, create(t, s, "r-0000000002", "b").ID
	cur := map[int]store.Cursor{}
	save := func(rank, attempt int, steps ...int64) {
		b := batch(id, rank, cur[rank], "x\n")
		b.Attempt = attempt
		for _, step := range steps {
			b.Checkpoints = append(b.Checkpoints, store.Checkpoint{Step: step, Path: fmt.Sprintf("c/step_%d", step)})
		}
		must(t, s.Commit(t.Context(), []*store.Batch{b}))
		cur[rank] = b.To
	}
	save(0, 1, 10, 20)
	save(1, 1, 10)
	save(0, 2, 20)
	got, err := s.SavedCheckpoints(t.Context(), id)
	must(t, err)
	same(t, "checkpoints", got, []run.SavedCheckpoint{
		{Attempt: 2, Rank: 0, Step: 20, Path: "c/step_20"}, {Attempt: 1, Rank: 0, Step: 10, Path: "c/step_10"}, {Attempt: 1, Rank: 1, Step: 10, Path: "c/step_10"},
	})
	for first := int64(1000); first < 1300; first += 100 {
		var steps []int64
		for step := first; step < first+100; step++ {
			steps = append(steps, step)
		}
		save(0, 2, steps...)
	}
	got, err = s.SavedCheckpoints(t.Context(), id)
	must(t, err)
	if len(got) != 201 || got[0].Step != 1299 || got[200].Rank != 1 {
		t.Errorf("after very many there are %d: %+v", len(got), got)
	}
	if got, err := s.SavedCheckpoints(t.Context(), other); err != nil || len(got) != 0 {
		t.Errorf("of another run: %v, %v", got, err)
	}
	must(t, s.DeleteRun(t.Context(), id))
	if got, err := s.SavedCheckpoints(t.Context(), id); err != nil || len(got) != 0 {
		t.Errorf("of a deleted run: %v, %v", got, err)
	}
}

// turns lists the last characters of the IDs of what may be sent, in order.
func turns(t *testing.T, s Store) string {
	t.Helper()
	groups, err := s.ReadyGroups(t.Context())
	must(t, err)
	var all []store.ReadyRun
	for _, g := range groups {
		ready, err := s.ReadyOf(t.Context(), g, 100)
		must(t, err)
		if len(ready) == 0 {
			t.Errorf("group %+v is empty", g)
		}
		if first, err := s.ReadyOf(t.Context(), g, 1); err != nil || len(first) != 1 || first[0] != ready[0] {
			t.Errorf("first of group %+v is %+v, %v; want %+v", g, first, err, ready[0])
		}
		if !slices.IsSortedFunc(ready, func(a, b store.ReadyRun) int { return a.Compare(b.QueueKey) }) {
			t.Errorf("group %+v is not in order: %+v", g, ready)
		}
		if !g.Full() {
			all = append(all, ready...)
		}
	}
	slices.SortFunc(all, func(a, b store.ReadyRun) int { return a.Compare(b.QueueKey) })
	order := ""
	for _, r := range all {
		order += string(r.ID[len(r.ID)-1:])
	}
	return order
}

func testReady(t *testing.T, s Store) {
	same(t, "order of nothing", turns(t, s), "")
	const limited, open, full = "s-0000000001", "s-0000000002", "s-0000000003"
	for id, parallel := range map[run.SweepID]int{limited: 3, open: 0, full: 1} {
		_, _, err := s.CreateSweep(t.Context(), run.Sweep{ID: id, Spec: run.SweepSpec{Parallel: parallel}}, "", nil, nil)
		must(t, err)
	}
	for id, r := range map[string]struct {
		state    run.State
		priority int
		sweep    run.SweepID
	}{
		"r-0000000001": {run.Queued, 50, ""},
		"r-0000000002": {run.Queued, 0, ""}, // is 50
		"r-0000000003": {run.Queued, 90, open},
		"r-0000000004": {run.Queued, 10, limited},
		"r-0000000005": {run.Dispatching, 10, ""},
		"r-0000000006": {run.Queued, 100, full},
		"r-0000000007": {run.Queued, 50, limited},
		"r-0000000008": {run.Queued, 90, ""},
		"r-0000000009": {run.Dispatching, 60, ""},
		"r-000000000a": {run.Running, 50, limited},
		"r-000000000b": {run.Failed, 50, limited},
		"r-000000000c": {run.Stopping, 50, full},
		"r-000000000d": {run.Paused, 50, open},
		"r-000000000e": {run.Pending, 50, open},
	} {
		add(t, s, id, func(n *run.Run) {
			n.State, n.Options.Priority, n.Origin.Sweep = r.state, r.priority, r.sweep
			if id == "r-0000000002" {
				n.Shape.Nodes = 9
			}
		})
	}
	same(t, "order", turns(t, s), "381274")
	began, err := s.Dispatching(t.Context())
	must(t, err)
	same(t, "what was being sent", began, []run.ID{"r-0000000009", "r-0000000005"})
	groups, err := s.ReadyGroups(t.Context())
	must(t, err)
	var got []string
	for _, g := range groups {
		got = append(got, fmt.Sprintf("%s %d nodes, %d of %d live, full %v", g.Sweep, g.Shape.Nodes, g.Live, g.Parallel, g.Full()))
	}
	same(t, "groups", got, []string{
		" 2 nodes, 0 of 0 live, full false", " 9 nodes, 0 of 0 live, full false", limited + " 2 nodes, 1 of 3 live, full false",
		open + " 2 nodes, 0 of 0 live, full false", full + " 2 nodes, 1 of 1 live, full true",
	})
	move := func(id run.ID, to run.State) {
		_, err := s.Update(t.Context(), id, func(u *store.Update) error {
			_, err := u.Run.Transition(to, "test", "", epoch)
			return err
		})
		must(t, err)
	}
	move("r-000000000c", run.Stopped)
	move("r-0000000007", run.Dispatching)
	same(t, "order with a place in one sweep", turns(t, s), "638124")
	move("r-0000000004", run.Dispatching)
	add(t, s, "r-000000000f", func(n *run.Run) { n.Origin.Sweep = limited })
	same(t, "order with the other sweep full", turns(t, s), "63812")
}

func testDue(t *testing.T, s Store) {
	for i, at := range []time.Time{epoch.Add(time.Millisecond), epoch, epoch.Add(-time.Hour), {}} {
		add(t, s, fmt.Sprintf("r-%010d", i), func(r *run.Run) { r.NotBefore = at })
	}
	add(t, s, "r-0000000009", func(r *run.Run) { r.NotBefore, r.State = epoch, run.Running })
	same(t, "order before any time has come", turns(t, s), "3")
	must(t, s.ReleaseDue(t.Context(), epoch.Add(-2*time.Hour)))
	same(t, "order when none has come", turns(t, s), "3")
	for range 2 {
		must(t, s.ReleaseDue(t.Context(), epoch))
		same(t, "order when two have come", turns(t, s), "123")
	}
	must(t, s.ReleaseDue(t.Context(), epoch.Add(time.Second)))
	same(t, "order when all have come", turns(t, s), "0123")
	if r, err := s.Run(t.Context(), "r-0000000009"); err != nil || !r.NotBefore.Equal(epoch) {
		t.Errorf("one that is not queued waits until %s, %v", r.NotBefore, err)
	}
}

func testExpired(t *testing.T, s Store) {
	for id, change := range map[string]func(*run.Run){
		"r-0000000001": func(r *run.Run) { r.StartedAt, r.Options.MaxDuration = epoch, 60 },
		"r-0000000002": func(r *run.Run) { r.StartedAt, r.Options.MaxDuration, r.NotBefore = epoch, 61, epoch.Add(time.Hour) },
		"r-0000000003": func(r *run.Run) { r.StartedAt = epoch },
		"r-0000000004": func(r *run.Run) { r.Options.MaxDuration = 60 },
		"r-0000000005": func(r *run.Run) { r.StartedAt, r.Options.MaxDuration, r.State = epoch, 60, run.Running },
	} {
		add(t, s, id, change)
	}
	for after, want := range map[time.Duration]int{59_999 * time.Millisecond: 0, time.Minute: 1, 61 * time.Second: 2, 1000 * time.Hour: 2} {
		ids, err := s.Expired(t.Context(), epoch.Add(after))
		must(t, err)
		if len(ids) != want {
			t.Errorf("after %s these have expired: %v", after, ids)
		}
		for _, id := range ids {
			r, err := s.Run(t.Context(), id)
			must(t, err)
			if !r.Expired(epoch.Add(after)) {
				t.Errorf("after %s %s has not expired", after, id)
			}
		}
	}
}

func testReadyWithout(t *testing.T, s Store) {
	const sweep = "s-0000000001"
	for i, reason := range []string{"", "held", "helc", "hele", "held "} {
		add(t, s, fmt.Sprintf("r-%010d", i), func(r *run.Run) { r.Reason, r.Origin.Sweep = reason, sweep })
	}
	add(t, s, "r-0000000007", func(r *run.Run) { r.Origin.Sweep, r.NotBefore = sweep, epoch })
	add(t, s, "r-0000000008", func(r *run.Run) { r.Origin.Sweep, r.State = sweep, run.Running })
	add(t, s, "r-0000000009", func(*run.Run) {})
	for of, want := range map[run.SweepID]string{sweep: "0234", "": "9", "s-0000000002": ""} {
		ids, err := s.ReadyWithOtherReason(t.Context(), of, "held")
		must(t, err)
		got := ""
		for _, id := range slices.Sorted(slices.Values(ids)) {
			got += string(id[len(id)-1:])
		}
		same(t, fmt.Sprintf("those of %q", of), got, want)
		must(t, s.SetWaitReason(t.Context(), "held", ids))
		ids, err = s.ReadyWithOtherReason(t.Context(), of, "held")
		must(t, err)
		same(t, "those left", len(ids), 0)
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
	must(t, s.SetWaitReason(t.Context(), "held", ids))
	runs, err := s.Runs(t.Context(), run.RunFilter{Projects: run.AllProjects(), Limit: 1000})
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

func testMaybeSent(t *testing.T, s Store) {
	for i, state := range []run.State{run.Queued, run.Queued, run.Dispatching, run.Failed, run.Queued} {
		r := add(t, s, fmt.Sprintf("r-%010d", i), func(r *run.Run) { r.State = state })
		if i == 4 {
			continue
		}
		_, err := s.Update(t.Context(), r.ID, func(u *store.Update) error {
			u.Run.Attempt, u.Attempt = 1, run.Attempt{RunID: r.ID, Number: 1, CreatedAt: epoch, MaybeSent: i != 0}
			return nil
		})
		must(t, err)
	}
	ids, err := s.Dispatching(t.Context())
	must(t, err)
	same(t, "what Nomad may have", ids, []run.ID{"r-0000000001", "r-0000000002"})
}

func testUnplaced(t *testing.T, s Store) {
	for i, state := range []run.State{run.Queued, run.Dispatching, run.Pending, run.Pending, run.Degraded, run.Running} {
		r := add(t, s, fmt.Sprintf("r-%010d", i), func(r *run.Run) { r.State, r.Attempt = state, 1 })
		_, err := s.Update(t.Context(), r.ID, func(u *store.Update) error {
			u.Attempt = run.Attempt{RunID: r.ID, Number: 1, JobID: fmt.Sprint("job-", i), CreatedAt: epoch}
			for rank := range max(0, i-1) { // the run that is pending first has one worker of two
				u.Workers = append(u.Workers, run.Worker{AllocID: fmt.Sprint(i, "-", rank), RunID: r.ID, Attempt: 1, Rank: min(rank, 1), State: run.WorkerRunning})
			}
			return nil
		})
		must(t, err)
	}
	got, err := s.Unplaced(t.Context())
	must(t, err)
	shape := run.Shape{Nodes: 2, CPU: 100, Memory: 300}
	same(t, "those that are not placed whole", got, []store.Unplaced{
		{ID: "r-0000000001", Project: "default", Shape: shape, JobID: "job-1"}, {ID: "r-0000000002", Project: "default", Shape: shape, JobID: "job-2", Placed: 1},
	})
}

func testLines(t *testing.T, s Store) {
	const full = "s-0000000001"
	_, _, err := s.CreateSweep(t.Context(), run.Sweep{ID: full, Spec: run.SweepSpec{Parallel: 1}}, "", nil, nil)
	must(t, err)
	for i, change := range []func(*run.Run){
		func(r *run.Run) { r.Options.Priority = 10 },
		func(*run.Run) {},
		func(r *run.Run) { r.Options.Priority, r.Shape.Nodes = 90, 7 },
		func(*run.Run) {},
		func(r *run.Run) { r.Origin.Sweep, r.Options.Priority = full, 100 },
		func(r *run.Run) { r.Origin.Sweep, r.State = full, run.Running },
		func(r *run.Run) { r.NotBefore, r.Options.Priority = epoch, 100 },
		func(r *run.Run) { r.Options.Priority = 1 },
	} {
		add(t, s, fmt.Sprintf("r-%010d", i), change)
	}
	runs, err := s.Runs(t.Context(), run.RunFilter{Projects: run.AllProjects(), Limit: 100})
	must(t, err)
	must(t, s.SetQueuePlaces(t.Context(), runs))
	var got []string
	for _, r := range runs {
		if r.QueuePlace != nil {
			got = append(got, r.Name+": "+r.QueuePlace.String())
		}
	}
	same(t, "places", got, []string{
		"r-0000000007: 5th in the queue, behind r-0000000002 (r-0000000002), r-0000000001 (r-0000000001), r-0000000003 (r-0000000003) and 1 more",
		"r-0000000003: 3rd in the queue, behind r-0000000002 (r-0000000002), r-0000000001 (r-0000000001)",
		"r-0000000002: First in the queue",
		"r-0000000001: 2nd in the queue, behind r-0000000002 (r-0000000002)",
		"r-0000000000: 4th in the queue, behind r-0000000002 (r-0000000002), r-0000000001 (r-0000000001), r-0000000003 (r-0000000003)",
	})
}
