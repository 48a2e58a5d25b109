package queue_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/nomad/nomadtest"
	"github.com/cotrain/cotrain/internal/queue"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/db"
)

type rig struct {
	t       *testing.T
	cluster *nomadtest.Cluster
	store   *store.Store
	queue   *queue.Queue
	id      run.ID
}

func newRig(t *testing.T) *rig {
	t.Helper()
	s, err := store.OpenAt(t.Context(), t.TempDir(), db.Options{Twice: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	r := &rig{t: t, cluster: nomadtest.New(), store: s, id: "r-0000000001"}
	r.restart()
	if _, _, err := s.CreateRun(t.Context(), run.Run{ID: r.id, State: run.Queued, Config: "x = 1\n", Shape: run.Shape{Nodes: 1}}, "", run.Event{RunID: r.id}); err != nil {
		t.Fatal(err)
	}
	return r
}

// restart is a new process over the same store.
func (r *rig) restart() {
	r.queue = queue.New(r.options())
}

func (r *rig) options() queue.Options {
	return queue.Options{
		Cluster: r.cluster, Store: r.store, Publisher: feed.NewHub(time.Now), Logger: slog.New(slog.DiscardHandler), Now: time.Now, Dispatched: func(run.ID) {},
	}
}

func (r *rig) run() run.Run {
	r.t.Helper()
	got, err := r.store.Run(r.t.Context(), r.id)
	if err != nil {
		r.t.Fatal(err)
	}
	return got
}

func (r *rig) events() []run.Event {
	r.t.Helper()
	evs, err := r.store.Events(r.t.Context(), r.id, 0, 1000)
	if err != nil {
		r.t.Fatal(err)
	}
	return evs
}

func (r *rig) attempts() []run.Attempt {
	r.t.Helper()
	as, err := r.store.Attempts(r.t.Context(), r.id)
	if err != nil {
		r.t.Fatal(err)
	}
	return as
}

func TestARunIsSentOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := r.queue.Send(t.Context(), r.id); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	jobs := r.cluster.Jobs()
	if len(jobs) != 1 || r.run().State != run.Pending || r.run().Attempt != 1 || r.attempts()[0].JobID != jobs[0] {
		t.Errorf("jobs %v, run %+v, attempts %+v", jobs, r.run(), r.attempts())
	}
	if got := r.cluster.Payload(jobs[0]); got != "x = 1\n" {
		t.Errorf("the payload is %q", got)
	}
}

func TestAKillBetweenDispatchAndItsRecordFindsTheSameChild(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if err := r.queue.Send(t.Context(), r.id); err != nil {
		t.Fatal(err)
	}
	// As the store was before the child was recorded.
	_, err := r.store.Update(t.Context(), r.id, func(u *store.Update) error {
		u.Run.State, u.Attempt.JobID = run.Dispatching, ""
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r.restart()
	if err := r.queue.Send(t.Context(), r.id); err != nil {
		t.Fatal(err)
	}
	if jobs, as := r.cluster.Jobs(), r.attempts(); len(jobs) != 1 || len(as) != 1 || as[0].JobID != jobs[0] {
		t.Errorf("jobs %v, attempts %+v", jobs, as)
	}
}

func TestAnUnreachableNomadKeepsTheRunQueued(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cluster.SetDown(true)
	if err := r.queue.Send(t.Context(), r.id); !errors.Is(err, fault.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if got := r.run(); got.State != run.Queued || !strings.Contains(got.Reason, "Nomad unreachable, retrying") {
		t.Errorf("run is %s: %s", got.State, got.Reason)
	}
	r.cluster.SetDown(false)
	if err := r.queue.Send(t.Context(), r.id); err != nil {
		t.Fatal(err)
	}
	if got := r.run(); got.State != run.Pending || got.Attempt != 1 {
		t.Errorf("run is %s, attempt %d", got.State, got.Attempt)
	}
}

func TestAParentThatVanishedIsMadeAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cluster.LoseParent(1)
	if err := r.queue.Send(t.Context(), r.id); err != nil {
		t.Fatal(err)
	}
	if n := r.cluster.Calls("EnsureParent"); n != 2 || r.run().State != run.Pending {
		t.Errorf("%d parents, run %s", n, r.run().State)
	}
}

func TestARefusedTokenKeepsTheRunQueued(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cluster.Refuse(nomad.ErrDenied)
	for range 5 {
		if err := r.queue.Send(t.Context(), r.id); !errors.Is(err, nomad.ErrDenied) {
			t.Errorf("got %v", err)
		}
	}
	if got := r.run(); got.State != run.Queued || !strings.Contains(got.Reason, "token") {
		t.Errorf("run is %s: %s", got.State, got.Reason)
	}
}

func TestABrokenJobFileKeepsEveryRunQueuedUntilItIsCorrected(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	other := r.add("r-0000000002", 2, 50)
	r.cluster.Fail("Fit", fmt.Errorf("%w: %w", nomad.ErrJobFile, refusal("The job file bad.hcl cannot be used: bad.hcl:1,11-17: Unclosed block.")))
	for range 5 {
		r.queue.Round(t.Context())
	}
	for _, id := range []run.ID{r.id, other} {
		if got := r.get(id); got.State != run.Queued || got.Reason != "the job file bad.hcl cannot be used: bad.hcl:1,11-17: Unclosed block" {
			t.Errorf("run %s is %s: %s", id, got.State, got.Reason)
		}
	}
	if n := len(r.events()); n != 1 {
		t.Errorf("%d events", n)
	}
	r.cluster.Fail("Fit", nil)
	r.queue.Round(t.Context())
	if got := r.sent([]run.ID{r.id, other}); got != "1 2" {
		t.Errorf("with a corrected file sent %q", got)
	}
}

// refusal is what Nomad's client answers, with its cause for the log.
func refusal(what string) error {
	return fault.New(fault.ErrNomadRefused, what, "").Because(errors.New("Nomad answers 400: " + what))
}

func TestAFailedRunSaysOnceWhatNomadRefuses(t *testing.T) {
	t.Parallel()
	for what, want := range map[string]string{
		"Nomad refuses the job: no such driver.":                       "Nomad refused the job: no such driver",
		"The job file bad.hcl cannot be used: bad.hcl:7: Wrong count.": "Nomad refused the job: The job file bad.hcl cannot be used: bad.hcl:7: Wrong count",
	} {
		r := newRig(t)
		r.cluster.Refuse(refusal(what))
		if err := r.queue.Send(t.Context(), r.id); err == nil {
			t.Fatal("no error")
		}
		if got := r.run(); got.State != run.Failed || got.Reason != want {
			t.Errorf("run is %s: %s", got.State, got.Reason)
		}
	}
}

func TestARefusedRunFailsWithNomadsReason(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		err   error
		tries int
	}{
		{"at once when it can never pass", fmt.Errorf("payload too large: %w", fault.ErrInvalid), 1},
		{"after some tries otherwise", errors.New("strange answer"), 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.cluster.Refuse(tc.err)
			for i := range tc.tries {
				if got := r.run(); got.State != run.Queued {
					t.Fatalf("before try %d the run is %s", i, got.State)
				}
				if err := r.queue.Send(t.Context(), r.id); err == nil {
					t.Fatal("no error")
				}
			}
			if got := r.run(); got.State != run.Failed || !strings.Contains(got.Reason, tc.err.Error()) {
				t.Errorf("run is %s: %s", got.State, got.Reason)
			}
		})
	}
}

func TestAStopDuringTheDispatchIsCarriedOut(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, err := r.store.Update(t.Context(), r.id, func(u *store.Update) error {
		u.Attempt = run.Attempt{RunID: r.id, Number: 1, ParentJob: "p", CreatedAt: time.Now()}
		u.Run.Attempt, u.Run.StopRequested, u.Run.State = 1, true, run.Dispatching
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.queue.Send(t.Context(), r.id); err != nil {
		t.Fatal(err)
	}
	orders, err := r.store.Orders(t.Context())
	if want := []store.Order{{JobID: r.attempts()[0].JobID, RunID: r.id}}; err != nil || !slices.Equal(orders, want) {
		t.Errorf("orders %+v, %v; want %+v", orders, err, want)
	}
}

// TestAnUnreachableNomadIsNotTriedForEver is about the events: each try would be two that are kept for ever.
func TestAnUnreachableNomadIsNotTriedForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.cluster.SetDown(true)
		if err := r.queue.Send(t.Context(), r.id); !errors.Is(err, fault.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
		before := len(r.events())
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.queue.Run(ctx) }()
		time.Sleep(time.Minute) // of the bubble's clock
		if got := r.events(); len(got) != before || r.run().State != run.Queued {
			t.Errorf("%d events became %d, the run is %s", before, len(got), r.run().State)
		}
		r.cluster.SetDown(false)
		time.Sleep(10 * time.Second)
		if got := r.run().State; got != run.Pending {
			t.Errorf("with Nomad back the run is %s", got)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestAStopWithoutAnAnswerToTheDispatchLeavesNoWorkersBehind loses the answer to a dispatch that Nomad carried out.
func TestAStopWithoutAnAnswerToTheDispatchLeavesNoWorkersBehind(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, err := r.store.Update(t.Context(), r.id, func(u *store.Update) error {
		u.Attempt = run.Attempt{RunID: r.id, Number: 1, ParentJob: "p", CreatedAt: time.Now()}
		u.Run.Attempt, u.Run.StopRequested, u.Run.State = 1, true, run.Dispatching
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r.cluster.LoseAnswers(fmt.Errorf("connection reset: %w", fault.ErrUnavailable))
	if err := r.queue.Send(t.Context(), r.id); !errors.Is(err, fault.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if got := r.run(); got.State.Terminal() {
		t.Errorf("run is %s: %s, and Nomad has %v", got.State, got.Reason, r.cluster.Jobs())
	}
	r.cluster.LoseAnswers(nil)
	if err := r.queue.Send(t.Context(), r.id); err != nil {
		t.Fatal(err)
	}
	orders, err := r.store.Orders(t.Context())
	if jobs := r.cluster.Jobs(); err != nil || len(orders) != 1 || len(jobs) != 1 || orders[0] != (store.Order{JobID: jobs[0], RunID: r.id}) {
		t.Errorf("orders %+v, %v, jobs %v, attempts %+v", orders, err, jobs, r.attempts())
	}
}

// TestAnUnansweredDispatchIsRemembered is the same with the stop coming later, while the run is queued again.
func TestAnUnansweredDispatchIsRemembered(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cluster.LoseAnswers(fmt.Errorf("connection reset: %w", fault.ErrUnavailable))
	if err := r.queue.Send(t.Context(), r.id); !errors.Is(err, fault.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if got := r.run(); got.State != run.Queued || !r.attempts()[0].MaybeSent {
		t.Errorf("run is %s, attempt %+v", got.State, r.attempts()[0])
	}
	r.cluster.LoseAnswers(nil)
	if err := r.queue.Send(t.Context(), r.id); err != nil {
		t.Fatal(err)
	}
	if a := r.attempts()[0]; a.MaybeSent || a.JobID == "" || len(r.cluster.Jobs()) != 1 {
		t.Errorf("attempt %+v, jobs %v", a, r.cluster.Jobs())
	}
}

// TestWhatAnEarlierProcessMayHaveSentIsNotGivenUp has the console killed between Nomad's answer and its record.
func TestWhatAnEarlierProcessMayHaveSentIsNotGivenUp(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]bool{"a stop": true, "no stop": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			a := run.Attempt{RunID: r.id, Number: 1, ParentJob: r.run().Shape.ParentJob(), CreatedAt: time.Now().Add(-time.Hour)}
			child, err := r.cluster.Dispatch(t.Context(), nomad.Dispatch{Parent: a.ParentJob, Token: a.Token()})
			if err != nil {
				t.Fatal(err)
			}
			_, err = r.store.Update(t.Context(), r.id, func(u *store.Update) error {
				u.Attempt, u.Run.Attempt, u.Run.StopRequested, u.Run.State = a, 1, stop, run.Dispatching
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			r.cluster.Refuse(fmt.Errorf("%w: %w", fault.ErrUnavailable, &net.OpError{Op: "dial", Err: errors.New("connection refused")}))
			if err := r.queue.Send(t.Context(), r.id); !errors.Is(err, fault.ErrUnavailable) || r.run().State.Terminal() {
				t.Errorf("while Nomad is away: %v, the run is %s", err, r.run().State)
			}
			r.cluster.Refuse(nil)
			r.cluster.Fail("EnsureParent", fmt.Errorf("%w: no such driver", fault.ErrInvalid))
			if err := r.queue.Send(t.Context(), r.id); err != nil {
				t.Error(err)
			}
			if since := time.Since(r.attempts()[0].CreatedAt); since > run.PlacementTimeout {
				t.Errorf("it would be taken back at once: it counts as sent since %s", since)
			}
			orders, err := r.store.Orders(t.Context())
			if got := r.attempts()[0].JobID; got != child || err != nil || stop != (len(orders) == 1) {
				t.Errorf("its job is %q, orders %v, %v; the run is %s: %s", got, orders, err, r.run().State, r.run().Reason)
			}
		})
	}
}

// TestAStopWithoutAConnectionIsDoneAtOnce is the counterpart: nothing can have been sent.
func TestAStopWithoutAConnectionIsDoneAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, err := r.store.Update(t.Context(), r.id, func(u *store.Update) error {
		u.Run.StopRequested = true // as if it came while the run is sent
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r.cluster.Refuse(fmt.Errorf("%w: %w", fault.ErrUnavailable, &net.OpError{Op: "dial", Err: errors.New("connection refused")}))
	if err := r.queue.Send(t.Context(), r.id); !errors.Is(err, fault.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if got := r.run(); got.State != run.Stopped {
		t.Errorf("run is %s: %s", got.State, got.Reason)
	}
}
