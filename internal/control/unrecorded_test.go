package control_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/control"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

// fullStore takes no changes of runs while it is full.
type fullStore struct {
	*store.Store
	full atomic.Bool
}

func (s *fullStore) Update(ctx context.Context, id run.ID, fn func(*store.Update) error) (store.Update, error) {
	if s.full.Load() {
		return store.Update{}, fault.ErrFull.Fault()
	}
	return s.Store.Update(ctx, id, fn)
}

func (s *fullStore) StopSweep(ctx context.Context, id run.SweepID, fn func(*store.Update) error) ([]store.Update, error) {
	if s.full.Load() {
		return nil, fault.ErrFull.Fault()
	}
	return s.Store.StopSweep(ctx, id, fn)
}

// TestAStopIsCarriedOutWhileNothingCanBeStored fills the disk, stops a run and a sweep, and makes room again.
func TestAStopIsCarriedOutWhileNothingCanBeStored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		s := &fullStore{Store: r.store}
		c := control.New(control.Options{
			Store: s, Queue: r.queue, Cluster: r.cluster, Logs: r.logs, Publisher: r.hub, Logger: slog.New(slog.DiscardHandler), Now: time.Now, ReconcileSoon: func(run.ID) {},
		})
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := c.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		defer func() { cancel(); wg.Wait() }()
		one := submit(t, r)
		sw, err := c.SubmitSweep(t.Context(), "me", grid())
		if err != nil {
			t.Fatal(err)
		}
		r.queue.Round(t.Context())
		jobs := r.cluster.Jobs()
		s.full.Store(true)

		asked := time.Now()
		stopping, _ := audit.Begin(t.Context(), audit.Entry{Action: "runs.stop", Actor: audit.Actor{Name: "me", Address: "10.0.0.7"}, Request: "q-1"})
		err = c.Stop(stopping, "me", one.ID)
		said := fault.Of(err).Text()
		if !errors.Is(err, fault.ErrFull) || !strings.Contains(said, "Nomad was told to stop the workers of run "+string(one.ID)) || !strings.Contains(said, "could not record") || !strings.Contains(said, "Free space") {
			t.Errorf("the answer is %q", said)
		}
		if err := c.StopSweep(t.Context(), "me", sw.ID); !errors.Is(err, fault.ErrFull) || !strings.Contains(fault.Of(err).Text(), "Nomad was told to stop") {
			t.Errorf("of a sweep the answer is %v", err)
		}
		if len(jobs) < 2 {
			t.Fatalf("jobs are %v", jobs)
		}
		for _, job := range jobs {
			if _, state, err := r.cluster.Workers(t.Context(), job); err != nil || !state.Stopped {
				t.Errorf("job %s is %+v, %v", job, state, err)
			}
		}
		time.Sleep(time.Minute) // of the bubble's clock
		if got, err := r.store.Run(t.Context(), one.ID); err != nil || got.StopRequested {
			t.Errorf("while nothing can be stored: %+v, %v", got, err)
		}

		s.full.Store(false)
		time.Sleep(time.Minute)
		if got, err := r.store.Run(t.Context(), one.ID); err != nil || !got.StopRequested || got.State != run.Stopping {
			t.Errorf("with room again the run is %+v, %v", got, err)
		}
		logged, err := r.store.Audit.Search(t.Context(), audit.Filter{AllProjects: true, Limit: 9})
		if err != nil || len(logged.Rows) != 1 {
			t.Fatalf("logged is %+v, %v", logged, err)
		}
		if e := logged.Rows[0]; e.Actor.Address != "10.0.0.7" || e.Subject != "run:"+string(one.ID) || !e.At.Equal(asked.UTC().Truncate(time.Millisecond)) || !e.Logged.After(e.At.Add(time.Minute-time.Second)) {
			t.Errorf("logged is %+v", e)
		}
		if got, err := r.store.Sweep(t.Context(), sw.ID); err != nil || !got.Stopped {
			t.Errorf("with room again the sweep is %+v, %v", got, err)
		}
	})
}

// TestAStopThatNobodyTookIsNoStop has neither room nor Nomad.
func TestAStopThatNobodyTookIsNoStop(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := &fullStore{Store: r.store}
	c := control.New(control.Options{
		Store: s, Queue: r.queue, Cluster: r.cluster, Logs: r.logs, Publisher: r.hub, Logger: slog.New(slog.DiscardHandler), Now: time.Now, ReconcileSoon: func(run.ID) {},
	})
	one := submit(t, r)
	s.full.Store(true)
	r.cluster.SetDown(true)
	if err := c.Stop(t.Context(), "me", one.ID); !errors.Is(err, fault.ErrUnavailable) || strings.Contains(fault.Of(err).Text(), "was told") {
		t.Errorf("got %v", err)
	}
}
