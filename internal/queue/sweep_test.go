package queue_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/queue"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/points"
	"github.com/cotrain/cotrain/internal/store/storetest"
)

const sweepID = run.SweepID("s-0000000001")

// addSweep stores a sweep of n queued runs, r-s000000001 and on.
func (r *rig) addSweep(n, parallel int) []run.ID {
	r.t.Helper()
	sw := run.Sweep{ID: sweepID, Name: "s", Spec: run.SweepSpec{Parallel: parallel}, CreatedAt: time.Now()}
	var runs []run.Run
	var evs []run.Event
	var ids []run.ID
	for i := range n {
		id := run.ID(fmt.Sprintf("r-s%09d", i+1))
		runs = append(runs, run.Run{ID: id, State: run.Queued, Config: "x = 1\n", Shape: run.Shape{Nodes: 1}, Origin: run.Origin{Sweep: sweepID}})
		evs = append(evs, run.Event{RunID: id, Kind: "state", To: run.Queued})
		ids = append(ids, id)
	}
	if _, _, err := r.store.CreateSweep(r.t.Context(), sw, "", runs, evs); err != nil {
		r.t.Fatal(err)
	}
	return ids
}

// start runs the queue until the test ends; in a bubble stop must be called.
func (r *rig) start() (stop func()) {
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan error, 1)
	q := r.queue
	go func() { done <- q.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Error(err)
		}
	}
}

func (r *rig) get(id run.ID) run.Run {
	r.t.Helper()
	got, err := r.store.Run(r.t.Context(), id)
	if err != nil {
		r.t.Fatal(err)
	}
	return got
}

func (r *rig) set(id run.ID, to run.State) {
	r.t.Helper()
	_, err := r.store.Update(r.t.Context(), id, func(u *store.Update) error {
		_, err := u.Run.Transition(to, "test", "", time.Now())
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

// sent lists which of these runs Nomad has, by their place.
func (r *rig) sent(ids []run.ID) string {
	out := ""
	for i, id := range ids {
		if r.get(id).State == run.Pending {
			out += fmt.Sprint(i+1, " ")
		}
	}
	return strings.TrimSpace(out)
}

func TestASweepKeepsToItsLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		ids := r.addSweep(5, 2)
		stop := r.start()
		defer stop()
		time.Sleep(10 * time.Second) // of the bubble's clock
		if got := r.sent(ids); got != "1 2" {
			t.Fatalf("sent %q", got)
		}
		if r.run().State != run.Pending {
			t.Errorf("a run that is no part of it is %s", r.run().State)
		}
		held := r.get(ids[2])
		if held.Reason != "waits for its sweep: 2 of 2 runs are active" || held.Attempt != 0 {
			t.Errorf("a held run has attempt %d and the reason %q", held.Attempt, held.Reason)
		}
		evs, err := r.store.Events(t.Context(), ids[2], 0, 100)
		if err != nil || len(evs) != 1 {
			t.Errorf("waiting has left %d events, %v", len(evs), err)
		}
		r.set(ids[0], run.Failed)
		r.queue.Wake()
		synctest.Wait() // no time passes
		if got := r.sent(ids); got != "2 3" {
			t.Errorf("after an end, without a tick, sent %q", got)
		}
		r.set(ids[1], run.Succeeded)
		r.set(ids[2], run.Succeeded)
		time.Sleep(3 * time.Second) // without being told
		if got := r.sent(ids); got != "4 5" {
			t.Errorf("after two ends sent %q", got)
		}
	})
}

// countingStore counts what the queue writes about waiting.
type countingStore struct {
	*store.Store
	reasons int
}

func (c *countingStore) SetWaitReason(ctx context.Context, reason string, ids []run.ID) error {
	c.reasons++
	return c.Store.SetWaitReason(ctx, reason, ids)
}

func TestWaitingIsWrittenOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.addSweep(50, 1)
		counting := &countingStore{Store: r.store}
		o := r.options()
		o.Store = counting
		r.queue = queue.New(o)
		stop := r.start()
		time.Sleep(time.Minute)
		stop()
		if counting.reasons != 1 {
			t.Errorf("the reason was written %d times", counting.reasons)
		}
	})
}

// TestADeniedTokenIsTriedOnceARound is about the events, as with an unreachable Nomad, and about what everybody sees who waits.
func TestADeniedTokenIsTriedOnceARound(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ids := r.addSweep(5, 2)
	r.set(ids[0], run.Dispatching) // live, and nobody's to send: without an attempt it stays
	r.set(ids[0], run.Pending)
	r.set(ids[1], run.Dispatching)
	r.set(ids[1], run.Pending)
	for i := range 3 {
		id := run.ID(fmt.Sprintf("r-100000000%d", i))
		if _, _, err := r.store.CreateRun(t.Context(), run.Run{ID: id, State: run.Queued, Config: "x = 1\n", Shape: run.Shape{Nodes: 1}}, "", run.Event{RunID: id}); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	r.cluster.Refuse(nomad.ErrDenied)
	for range 3 {
		r.queue.Round(t.Context())
	}
	if got := r.get(r.id); got.State != run.Queued || !strings.Contains(got.Reason, "token") || len(r.events()) != 1+2*3 {
		t.Errorf("the first is %s: %s, with %d events", got.State, got.Reason, len(r.events()))
	}
	for i, id := range ids[2:] {
		got, want := r.get(id), "waits for its sweep: 2 of 2 runs are active"
		if i >= 3 {
			want = r.run().Reason
		}
		evs, err := r.store.Events(t.Context(), id, 0, 10)
		if got.State != run.Queued || got.Reason != want || err != nil || len(evs) != 1 {
			t.Errorf("run %d is %s: %q, with %d events, %v", i, got.State, got.Reason, len(evs), err)
		}
	}
	r.cluster.Refuse(nil)
	r.queue.Round(t.Context())
	if got := r.sent(append(ids, r.id)); got != "1 2 6 7 8 9" {
		t.Errorf("with another token sent %q", got)
	}
}

// TestRunsThatCannotBeSentDoNotStandInTheWay has runs of a higher priority that wait for a time or for their sweep.
func TestRunsThatCannotBeSentDoNotStandInTheWay(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ids := r.addSweep(3, 1)
	id := run.ID("r-0000000000")
	_, _, err := r.store.CreateRun(t.Context(), run.Run{ID: id, State: run.Queued, Config: "x = 1\n", Shape: run.Shape{Nodes: 1}, Options: run.Options{Priority: 100},
		NotBefore: time.Now().Add(time.Hour), Reason: "attempt 1 failed"}, "", run.Event{RunID: id})
	if err != nil {
		t.Fatal(err)
	}
	r.queue.Round(t.Context())
	if got := r.sent(append(ids, r.id, id)); got != "1 4" {
		t.Errorf("sent %q", got)
	}
	if got := r.get(id); got.Reason != "attempt 1 failed" || got.NotBefore.IsZero() {
		t.Errorf("one that waits for a time: %q until %s", got.Reason, got.NotBefore)
	}
	if got := r.get(ids[2]); got.Reason != "waits for its sweep: 1 of 1 runs are active" {
		t.Errorf("one that waits for its sweep: %q", got.Reason)
	}
}

func TestHigherPriorityIsSentFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		for i, priority := range []int{10, 90, 0, 50, 90} {
			id := run.ID(fmt.Sprintf("r-000000001%d", i))
			_, _, err := r.store.CreateRun(t.Context(), run.Run{ID: id, State: run.Queued, Config: "x = 1\n", Shape: run.Shape{Nodes: 1}, Options: run.Options{Priority: priority}},
				"", run.Event{RunID: id})
			if err != nil {
				t.Fatal(err)
			}
		}
		stop := r.start()
		time.Sleep(5 * time.Second)
		stop()
		jobs := r.cluster.Jobs()
		slices.SortFunc(jobs, func(a, b string) int {
			return strings.Compare(a[strings.LastIndex(a, "-"):], b[strings.LastIndex(b, "-"):])
		})
		var got []string
		for _, job := range jobs {
			d := r.cluster.Dispatched(job)
			got = append(got, fmt.Sprintf("%s:%d", d.RunID[len(d.RunID)-2:], d.Priority))
		}
		if fmt.Sprint(got) != "[11:90 14:90 01:0 12:0 13:50 10:10]" {
			t.Errorf("sent in the order %v", got)
		}
	})
}

func TestASweepThatWasStoredAndNotSentIsSentByTheNextProcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		ids := r.addSweep(3, 0)
		// The first process sends one run and is killed after Nomad took the second, before that was recorded.
		for _, id := range ids[:2] {
			if err := r.queue.Send(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
		_, err := r.store.Update(t.Context(), ids[1], func(u *store.Update) error {
			u.Run.State, u.Attempt.JobID = run.Dispatching, ""
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		r.restart()
		stop := r.start()
		time.Sleep(5 * time.Second)
		stop()
		if got := r.sent(ids); got != "1 2 3" || len(r.cluster.Jobs()) != 4 { // with the rig's own run
			t.Errorf("sent %q, Nomad has %v", got, r.cluster.Jobs())
		}
	})
}

func TestARefusedRunOfASweepMakesRoomForTheNext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		ids := r.addSweep(3, 1)
		r.cluster.Refuse(fmt.Errorf("too large: %w", fault.ErrInvalid))
		stop := r.start()
		defer stop()
		time.Sleep(20 * time.Second)
		for i, id := range ids {
			if got := r.get(id); got.State != run.Failed {
				t.Errorf("run %d is %s: %s", i+1, got.State, got.Reason)
			}
		}
	})
}

// failedOnce makes the rig's run one that failed in its first attempt, to be tried again at a time.
func (r *rig) failedOnce(notBefore time.Time, change func(*run.Run)) {
	r.t.Helper()
	if err := r.queue.Send(r.t.Context(), r.id); err != nil {
		r.t.Fatal(err)
	}
	_, err := r.store.Update(r.t.Context(), r.id, func(u *store.Update) error {
		u.Run.NotBefore, u.Run.Retried, u.Run.StartedAt = notBefore, 1, time.Now()
		u.Attempt.EndedAt = time.Now()
		change(&u.Run)
		_, err := u.Run.Transition(run.Queued, "cotrain", "attempt 1 failed", time.Now())
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

func TestAnotherAttemptWaitsItsTimeAcrossARestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.failedOnce(time.Now().Add(time.Minute), func(*run.Run) {})
		stop := r.start()
		time.Sleep(30 * time.Second)
		stop()
		r.restart()
		stop = r.start()
		defer stop()
		time.Sleep(29 * time.Second)
		if got := r.run(); got.State != run.Queued || got.Attempt != 1 || got.Reason != "attempt 1 failed" {
			t.Errorf("before its time it is %s in attempt %d: %s", got.State, got.Attempt, got.Reason)
		}
		time.Sleep(4 * time.Second)
		if got := r.run(); got.State != run.Pending || got.Attempt != 2 || !got.NotBefore.IsZero() {
			t.Errorf("after its time it is %s in attempt %d", got.State, got.Attempt)
		}
	})
}

func TestARunThatMayTakeNoLongerIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.failedOnce(time.Now().Add(time.Hour), func(*run.Run) {})
		id := run.ID("r-0000000002")
		_, _, err := r.store.CreateRun(t.Context(), run.Run{ID: id, State: run.Queued, StartedAt: time.Now(), Shape: run.Shape{Nodes: 1},
			Options: run.Options{MaxDuration: 60}, NotBefore: time.Now().Add(time.Hour)}, "", run.Event{RunID: id})
		if err != nil {
			t.Fatal(err)
		}
		stop := r.start()
		defer stop()
		time.Sleep(63 * time.Second)
		if got := r.get(id); got.State != run.Stopped || got.Reason != "stopped after its maximum duration of 1m" {
			t.Errorf("it is %s: %s", got.State, got.Reason)
		}
		evs, err := r.store.Events(t.Context(), id, 0, 10)
		if err != nil || evs[len(evs)-1].Actor != "cotrain" {
			t.Errorf("events %+v, %v", evs, err)
		}
		if got := r.run(); got.State != run.Queued {
			t.Errorf("one without a limit is %s", got.State)
		}
	})
}

func TestAnAttemptCarriesWhatTheRunIsTold(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if err := r.store.RegisterSecret(t.Context(), hub); err != nil {
		t.Fatal(err)
	}
	id := run.ID("r-0000000002")
	_, _, err := r.store.CreateRun(t.Context(), run.Run{ID: id, State: run.Queued, Config: "y = 1\n", Shape: run.Shape{Nodes: 1}, CheckpointPath: "c/x",
		Options: run.Options{Priority: 70, Env: map[string]string{"A": "1"}, Args: []string{"--b"}, Secrets: run.SecretNames{"HF_TOKEN"}}}, "", run.Event{RunID: id})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.queue.Send(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	d := r.cluster.Dispatched(r.cluster.Jobs()[0])
	if d.Priority != 70 || d.Env["A"] != "1" || len(d.Args) != 1 || len(d.Secrets) != 1 || d.Secrets[0] != hub.Ref() || d.CheckpointPath != "c/x" || d.Resume != "" {
		t.Errorf("sent %+v", d)
	}
}

func TestAnAttemptAfterAnUnansweredDispatchForgetsNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cluster.LoseAnswers(fmt.Errorf("connection reset: %w", fault.ErrUnavailable))
	if err := r.queue.Send(t.Context(), r.id); !errors.Is(err, fault.ErrUnavailable) {
		t.Fatal(err)
	}
	b := &store.Batch{RunID: r.id, AllocID: "a", Stream: "stdout", Attempt: 1, At: time.Now(), Log: []byte("x\n"), To: store.Cursor{File: "f", Offset: 2},
		Points: []points.Point{{Metric: "loss", Step: 1, Value: 1}}}
	if err := r.store.Commit(t.Context(), []*store.Batch{b}); err != nil { // its workers train
		t.Fatal(err)
	}
	r.cluster.LoseAnswers(nil)
	if err := r.queue.Send(t.Context(), r.id); err != nil {
		t.Fatal(err)
	}
	if pts, err := storetest.AllPoints(t.Context(), r.store, r.id, "loss"); err != nil || len(pts) != 1 || r.run().Attempt != 1 {
		t.Errorf("points %v, %v, attempt %d", pts, err, r.run().Attempt)
	}
}
