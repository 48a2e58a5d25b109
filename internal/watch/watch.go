package watch

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

// Cluster is what watch asks Nomad; see [nomad.Client].
type Cluster interface {
	Watch(ctx context.Context, fn func(nomad.Hint)) error
	Workers(ctx context.Context, childID string) ([]run.Worker, nomad.JobState, error)
	WhyPending(ctx context.Context, childID string) (string, error)
	Stop(ctx context.Context, childID string) error
	Purge(ctx context.Context, childID string) error
}

// Store is what watch needs of the store.
type Store interface {
	Run(ctx context.Context, id run.ID) (run.Run, error)
	RunsAtNomad(ctx context.Context) ([]run.Run, error)
	RunOfJob(ctx context.Context, jobID string) (run.ID, error)
	Attempts(ctx context.Context, id run.ID) ([]run.Attempt, error)
	Update(ctx context.Context, id run.ID, fn func(*store.Update) error) (store.Update, error)
	Seal(ctx context.Context, id run.ID, atLeast int) error
	ExitReports(ctx context.Context, id run.ID) (map[string]run.ExitReport, error)
	Ordered() <-chan struct{}
	Orders(ctx context.Context) ([]store.Order, error)
	Done(ctx context.Context, o store.Order) error
}

// Logs follows the logs of workers; see package ingest.
type Logs interface {
	Follow(w run.Worker)
	Drained(allocID string) bool
	Forget(id run.ID)
	Flush(ctx context.Context, id run.ID) error
}

// Publisher tells viewers; see [feed.Hub].
type Publisher interface {
	Publish(topic, typ string, data any)
	PublishRun(r run.Run, evs ...run.Event)
}

// Options configures [New]. All fields are needed.
type Options struct {
	Cluster   Cluster
	Store     Store
	Logs      Logs
	Publisher Publisher
	Logger    *slog.Logger
	Now       func() time.Time
	// Released is told which runs have left Nomad, ended or to be tried again; it must not wait.
	Released func(run.ID)
	// Changed is told that a node, or what runs on it, may have changed; it must not wait.
	Changed func()
	// Health is told whether Nomad answers: nil when it does.
	Health func(error)
}

const (
	// reconcileEvery is how often every live run is compared with Nomad even if no event came.
	reconcileEvery = 5 * time.Second
	// parallel bounds the runs that are compared at once.
	parallel = 8
	// callTimeout bounds the calls for one run.
	callTimeout = 15 * time.Second
	// drainTimeout is how long the end of a run waits for the rest of its workers' logs.
	drainTimeout = 30 * time.Second
	// lostAfter is how long a worker's node may be disconnected before the worker counts as lost. Nomad is told to wait
	// much longer (lost_after in the job file), since at the end of its patience it would start another in its place.
	lostAfter = 10 * time.Minute
	// again is how soon a run whose logs are not drained yet is looked at once more.
	again = 100 * time.Millisecond
)

// Watcher compares live runs with Nomad, and gives it the orders that the store keeps.
type Watcher struct {
	o    Options
	kick chan run.ID
	back chan struct{} // Nomad answers again

	mu    sync.Mutex
	ended map[run.ID]time.Time // when a run was first seen to have ended, while its logs are being read
}

// New returns a watcher that does nothing until Run.
func New(o Options) *Watcher {
	return &Watcher{o: o, kick: make(chan run.ID, 1024), back: make(chan struct{}, 1), ended: map[run.ID]time.Time{}}
}

// Look asks for a comparison soon; it never waits.
func (w *Watcher) Look(id run.ID) {
	select {
	case w.kick <- id:
	default: // so much is waiting that the periodic comparison is as soon
	}
}

// Run watches until ctx ends.
func (w *Watcher) Run(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	resync := make(chan struct{}, 1)
	g.Go(func() error {
		return w.o.Cluster.Watch(gctx, func(h nomad.Hint) { w.hint(gctx, h, resync) })
	})
	g.Go(func() error { return w.loop(gctx, resync) })
	g.Go(func() error { return w.deliverOrders(gctx) })
	err := g.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (w *Watcher) hint(ctx context.Context, h nomad.Hint, resync chan<- struct{}) {
	if h.Unreachable == nil {
		w.o.Changed()
	}
	switch {
	case h.Unreachable != nil:
		w.o.Health(h.Unreachable)
	case h.Resync:
		w.o.Health(nil)
		for _, c := range []chan<- struct{}{resync, w.back} {
			select {
			case c <- struct{}{}:
			default:
			}
		}
	case h.JobID != "":
		id, err := w.o.Store.RunOfJob(ctx, h.JobID)
		if err == nil {
			w.Look(id)
		} else if !errors.Is(err, fault.ErrNotFound) && ctx.Err() == nil { // a job of somebody else's is no news
			w.o.Logger.Warn("look up job of event", "job", h.JobID, "err", err)
		}
	}
}

func (w *Watcher) loop(ctx context.Context, resync <-chan struct{}) error {
	tick := time.NewTicker(reconcileEvery)
	defer tick.Stop()
	slots, sctx := errgroup.WithContext(ctx)
	slots.SetLimit(parallel)
	pace := newPacer(w.Look)
	look := func(id run.ID) {
		if pace.begin(id) {
			slots.Go(func() error {
				began := time.Now()
				w.reconcile(sctx, id)
				pace.end(id, time.Since(began))
				return nil
			})
		}
	}
	for {
		select {
		case <-ctx.Done():
			return slots.Wait()
		case id := <-w.kick:
			look(id)
			continue
		case <-tick.C:
		case <-resync:
		}
		live, err := w.o.Store.RunsAtNomad(ctx)
		if err != nil && ctx.Err() == nil {
			w.o.Logger.Warn("list live runs", "err", err)
		}
		for _, r := range live {
			look(r.ID)
		}
	}
}
