package watch_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cotrain/cotrain/internal/diagnose"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/ingest"
	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/nomad/nomadtest"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/db"
	"github.com/cotrain/cotrain/internal/watch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a watcher and an ingest between a cluster in memory and a real store, with one dispatched run of two workers.
type rig struct {
	t        *testing.T
	cluster  *nomadtest.Cluster
	store    *store.Store
	id       run.ID
	child    string
	skip     atomic.Int64 // what the clock is ahead of time, in nanoseconds
	mu       sync.Mutex
	health   error
	released []run.ID
	stop     func() // ends the watcher and the ingest
}

func (r *rig) now() time.Time { return time.Now().Add(time.Duration(r.skip.Load())) }

func newRig(t *testing.T) *rig {
	t.Helper()
	return newRigOf(t, run.Run{ID: "r-0000000001", State: run.Queued, Shape: run.Shape{Nodes: 2}, InnerSteps: 5})
}

func newRigOf(t *testing.T, of run.Run) *rig {
	t.Helper()
	s, err := store.OpenAt(t.Context(), t.TempDir(), db.Options{Twice: true})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, cluster: nomadtest.New(), store: s, id: of.ID}
	if _, _, err := s.CreateRun(t.Context(), of, "", run.Event{RunID: r.id}); err != nil {
		t.Fatal(err)
	}
	if r.child, err = r.cluster.Dispatch(t.Context(), nomad.Dispatch{Parent: "p", Token: "t"}); err != nil {
		t.Fatal(err)
	}
	r.update(func(u *store.Update) error {
		u.Attempt = run.Attempt{RunID: r.id, Number: 1, ParentJob: "p", JobID: r.child, CreatedAt: time.Now()}
		u.Run.Attempt = 1
		if _, err := u.Run.Transition(run.Dispatching, "test", "", time.Now()); err != nil {
			return err
		}
		_, err := u.Run.Transition(run.Pending, "test", "", time.Now())
		return err
	})
	r.start()
	t.Cleanup(func() {
		r.stop()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// start begins to watch; stop has been called before when it is a restart.
func (r *rig) start() {
	t, s := r.t, r.store
	hub := feed.NewHub(time.Now)
	logger := slog.New(slog.DiscardHandler)
	var w *watch.Watcher
	in := ingest.New(ingest.Options{
		Tailer: r.cluster, Store: s, Publisher: hub, Logger: logger, Now: r.now, Health: func(error) {}, Pulse: func(b *store.Batch) { w.Pulse(b) },
	})
	rules, err := diagnose.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	w = watch.New(watch.Options{Cluster: r.cluster, Store: s, Logs: in, Publisher: hub, Logger: logger, Now: r.now, Rules: rules, DumpSignal: "SIGUSR2", Released: func(id run.ID) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.released = append(r.released, id)
	}, Changed: func() {}, Health: func(err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.health = err
	}})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, f := range []func(context.Context) error{in.Run, w.Run} {
		wg.Go(func() {
			if err := f(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	r.stop = func() {
		cancel()
		wg.Wait()
	}
}

func (r *rig) update(fn func(*store.Update) error) {
	r.t.Helper()
	if _, err := r.store.Update(r.t.Context(), r.id, fn); err != nil {
		r.t.Fatal(err)
	}
}

// becomes waits for a state and returns the run.
func (r *rig) becomes(want run.State) run.Run {
	r.t.Helper()
	var got run.Run
	r.eventually(fmt.Sprintf("the run is %s", want), func() bool {
		var err error
		if got, err = r.store.Run(r.t.Context(), r.id); err != nil {
			r.t.Fatal(err)
		}
		return got.State == want
	})
	return got
}

func (r *rig) eventually(what string, ok func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			got, _ := r.store.Run(r.t.Context(), r.id)
			r.t.Fatalf("never came true: %s; the run is %s: %s", what, got.State, got.Reason)
		}
	}
}

func (r *rig) history() string {
	evs, err := r.store.Events(r.t.Context(), r.id, 0, 100)
	if err != nil {
		r.t.Fatal(err)
	}
	var out []string
	for _, ev := range evs {
		if ev.Kind == "state" && ev.To != "" {
			out = append(out, string(ev.To))
		}
	}
	return strings.Join(out, " ")
}

func TestAHealthyRunEndsWithItsFinalNumbers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cluster.SetWhy("needs 2 nodes, the cluster has 1")
	r.eventually("the reason is told", func() bool {
		got, err := r.store.Run(t.Context(), r.id)
		return err == nil && got.State == run.Pending && got.Reason == "needs 2 nodes, the cluster has 1"
	})
	r.cluster.SetWhy("")
	r.cluster.Set(r.child, 0, nomadtest.Start)
	r.cluster.Set(r.child, 1, nomadtest.Start)
	if got := r.becomes(run.Running); got.Progress.Participants != 2 || got.StartedAt.IsZero() {
		t.Errorf("running as %+v", got)
	}
	asked, compared := r.cluster.Calls("WhyPending"), r.cluster.Calls("Workers")
	r.cluster.Set(r.child, 0, func(w *run.Worker) { w.Detail = "still well" })
	r.eventually("it is compared again", func() bool { return r.cluster.Calls("Workers") > compared })
	for rank := range 2 {
		r.cluster.Print(r.child, rank, fmt.Sprintf(`COTRAIN {"v":1,"kind":"metrics","step":7,"loss":%d}`+"\n", rank+1))
		r.cluster.Set(r.child, rank, nomadtest.End(0))
	}
	got := r.becomes(run.Succeeded)
	if got.Progress.Step != 7 || got.Progress.Loss != 1.5 || got.Progress.Participants != 0 || got.EndedAt.IsZero() {
		t.Errorf("ended as %+v", got)
	}
	if h := r.history(); h != "running succeeded" {
		t.Errorf("history is %q", h)
	}
	if n := r.cluster.Calls("WhyPending"); n != asked {
		t.Errorf("while every worker runs Nomad is asked %d times what they wait for", n-asked)
	}
	r.eventually("its log is in the archive", func() bool {
		unsealed, err := r.store.UnsealedRuns(t.Context(), 1)
		return err == nil && len(unsealed) == 0
	})
}

func TestAFailedWorkerDegradesAndThenFailsTheRun(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cluster.Set(r.child, 0, nomadtest.Start)
	r.cluster.Set(r.child, 1, nomadtest.Start)
	r.becomes(run.Running)
	r.cluster.Set(r.child, 1, nomadtest.End(3))
	if got := r.becomes(run.Degraded); !strings.Contains(got.Reason, "worker 1 (node-1) exited with code 3") {
		t.Errorf("reason is %q", got.Reason)
	}
	r.cluster.Set(r.child, 0, nomadtest.End(1))
	if got := r.becomes(run.Failed); !strings.Contains(got.Reason, "worker 1 (node-1) exited with code 3") {
		t.Errorf("reason is %q", got.Reason)
	}
}

func TestARunThatEndsBeforeAnyoneLooksHasAWholeHistory(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cluster.SetDown(true)
	for rank := range 2 {
		r.cluster.Set(r.child, rank, nomadtest.End(0))
	}
	r.cluster.SetDown(false)
	r.becomes(run.Succeeded)
	if h := r.history(); h != "running succeeded" {
		t.Errorf("history is %q", h)
	}
}

// TestAStoppingRunIsStoppedInNomad does without the order that comes with a person's stop.
func TestAStoppingRunIsStoppedInNomad(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cluster.Set(r.child, 0, nomadtest.Start)
	r.cluster.Set(r.child, 1, nomadtest.Start)
	r.becomes(run.Running)
	r.update(func(u *store.Update) error {
		u.Run.StopRequested = true
		_, err := u.Run.Transition(run.Stopping, "test", "", time.Now())
		return err
	})
	r.eventually("Nomad is told to stop", func() bool { return r.cluster.Calls("Stop") > 0 })
	for rank := range 2 {
		r.cluster.Set(r.child, rank, nomadtest.End(143))
	}
	r.becomes(run.Stopped)
}

func TestNomadGoingAwayIsToldAndCaughtUpWith(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	health := func() error {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.health
	}
	r.cluster.Set(r.child, 0, nomadtest.Start)
	r.cluster.Set(r.child, 1, nomadtest.Start)
	r.becomes(run.Running)
	r.cluster.SetDown(true)
	r.eventually("the trouble is told", func() bool { return health() != nil })
	r.cluster.Set(r.child, 0, nomadtest.End(0))
	r.cluster.Set(r.child, 1, nomadtest.End(0))
	if got, err := r.store.Run(t.Context(), r.id); err != nil || got.State != run.Running {
		t.Errorf("while nothing is known the run became %s, %v", got.State, err)
	}
	r.cluster.SetDown(false)
	r.becomes(run.Succeeded)
	if health() != nil {
		t.Errorf("health is still %v", health())
	}
}

func TestAVanishedJobFailsTheRun(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cluster.Set(r.child, 0, nomadtest.Start)
	r.cluster.Set(r.child, 1, nomadtest.Start)
	r.becomes(run.Running)
	r.cluster.Collect(r.child)
	if got := r.becomes(run.Failed); !strings.Contains(got.Reason, "gone from Nomad") {
		t.Errorf("reason is %q", got.Reason)
	}
}

func TestLosingWorker0StopsTheOthersAndFailsTheRun(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cluster.Set(r.child, 0, nomadtest.Start)
	r.cluster.Set(r.child, 1, nomadtest.Start)
	r.becomes(run.Running)
	r.cluster.Set(r.child, 0, nomadtest.End(127))
	r.becomes(run.Stopping)
	r.eventually("Nomad is told to stop", func() bool { return r.cluster.Calls("Stop") > 0 })
	r.cluster.Set(r.child, 1, nomadtest.End(143))
	if got := r.becomes(run.Failed); !strings.Contains(got.Reason, "worker 0 (node-1) exited with code 127") {
		t.Errorf("reason is %q", got.Reason)
	}
}

func TestAWorkerWhoseNodeStaysAwayIsLost(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cluster.Set(r.child, 0, nomadtest.Start)
	r.cluster.Set(r.child, 1, nomadtest.Start)
	r.becomes(run.Running)
	unknown := func(w *run.Worker) { w.State = run.WorkerUnknown }
	r.cluster.Set(r.child, 1, unknown)
	r.becomes(run.Degraded)
	r.cluster.Set(r.child, 1, nomadtest.Start) // it comes back in time
	r.becomes(run.Running)
	r.cluster.Set(r.child, 1, unknown)
	r.becomes(run.Degraded)
	r.cluster.Set(r.child, 0, nomadtest.End(0))
	r.eventually("worker 0 has finished", func() bool {
		ws, err := r.store.Workers(t.Context(), r.id)
		return err == nil && ws[0].OK() && ws[1].State == run.WorkerUnknown
	})
	r.skip.Store(int64(time.Hour))
	r.eventually("it has failed", func() bool { // its log cannot be read to the end: that is waited for only so long
		r.skip.Add(int64(time.Minute))
		r.cluster.Set(r.child, 1, unknown) // a change, so that someone looks
		got, err := r.store.Run(t.Context(), r.id)
		return err == nil && got.State == run.Failed
	})
	if got := r.becomes(run.Failed); !strings.Contains(got.Reason, "worker 1 (node-1) was lost: its node has been disconnected") {
		t.Errorf("reason is %q", got.Reason)
	}
	r.eventually("Nomad is told that nobody waits for it", func() bool { return r.cluster.Calls("Stop") > 0 })
}
