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
	"github.com/cotrain/cotrain/internal/store/points"
)

// Cluster is the part of [nomad.Client] that watch uses.
type Cluster interface {
	Watch(ctx context.Context, fn func(nomad.Hint)) error
	Workers(ctx context.Context, childID string) ([]run.Worker, nomad.JobState, error)
	WhyPending(ctx context.Context, childID string) (string, error)
	Stop(ctx context.Context, childID string) error
	Kill(ctx context.Context, childID string) error
	Purge(ctx context.Context, childID string) error
	Signal(ctx context.Context, childID, allocID, signal string) error
	Host(ctx context.Context, nodeID string) (nomad.Host, error)
}

// Store is the part of the store that watch uses.
type Store interface {
	Run(ctx context.Context, id run.ID) (run.Run, error)
	RunsAtNomad(ctx context.Context) ([]run.Run, error)
	RunOfJob(ctx context.Context, jobID string) (run.ID, error)
	Attempts(ctx context.Context, id run.ID) ([]run.Attempt, error)
	Update(ctx context.Context, id run.ID, fn func(*store.Update) error) (store.Update, error)
	AttemptWorkers(ctx context.Context, id run.ID, attempt int) ([]run.Worker, error)
	SavedCheckpoints(ctx context.Context, id run.ID) ([]run.SavedCheckpoint, error)
	PointsPage(ctx context.Context, id run.ID, metric string, from int64, after *points.PageCursor, limit int) ([]points.WorkerPoint, error)
	Logs(ctx context.Context, id run.ID, q run.LogQuery) ([]run.LogLine, error)
	CountCause(ctx context.Context, in run.Projects, fingerprint string, since time.Time) (run.CauseCount, error)
	ExitReports(ctx context.Context, id run.ID) (map[string]run.ExitReport, error)
	NewOrders() <-chan struct{}
	Orders(ctx context.Context) ([]store.Order, error)
	CompleteOrder(ctx context.Context, o store.Order) error
}

// Logs follows workers' logs; see package ingest.
type Logs interface {
	Follow(w run.Worker)
	Drained(allocID string) bool
	Hears(allocID string) (since time.Time, ok bool)
	Forget(id run.ID)
	Flush(ctx context.Context, id run.ID) error
}

// Machines samples what workers and their nodes use; see package machines.
type Machines interface {
	Follow(r run.Run, a run.Attempt, ws []run.Worker)
	Notices(id run.ID) []run.Notice
	Forget(id run.ID)
}

// Publisher informs viewers; see [feed.Hub].
type Publisher interface {
	Publish(topic, typ string, data any)
	PublishRun(r run.Run, evs ...run.Event)
}

// Options configures [New]. Only Machines and Checkpoints are optional.
type Options struct {
	Cluster   Cluster
	Store     Store
	Logs      Logs
	Machines  Machines // nil to sample nothing
	Publisher Publisher
	Logger    *slog.Logger
	Now       func() time.Time
	Rules     RuleSource // by which failures are explained and retried
	// Checkpoints is nil where the runs' folders cannot be seen: what workers report decides when to pause then.
	Checkpoints run.CheckpointFiles
	// DumpSignal has a trainer print its stacks and go on; "" where none does.
	DumpSignal string
	// Released is called with runs that left Nomad, ended, paused or to be retried; it must not block.
	Released func(run.ID)
	// Changed is called when nodes or allocations may have changed; it must not block.
	Changed func()
	// Health is called with Nomad's state: nil when it answers.
	Health func(error)
}

const (
	// reconcileEvery is how often live runs are compared with Nomad without an event.
	reconcileEvery = 5 * time.Second
	// parallel bounds concurrent comparisons.
	parallel = 8
	// callTimeout bounds the calls for one run.
	callTimeout = 15 * time.Second
	// drainTimeout is how long a run's end waits for the rest of its logs.
	drainTimeout = 30 * time.Second
	// lostAfter is how long a worker's node may be disconnected until the worker counts as lost. Nomad's own limit
	// (lost_after in the job file) is much longer, since it would then start a replacement.
	lostAfter = 10 * time.Minute
	// again is the pause before a run with undrained logs is compared again.
	again = 100 * time.Millisecond
)

// Watcher compares live runs with Nomad and delivers the store's orders.
type Watcher struct {
	o    Options
	kick chan run.ID
	back chan struct{} // Nomad answers again

	began  time.Time // this console
	vitals vitals
	clocks nodeClocks

	mu    sync.Mutex
	ended map[run.ID]time.Time // when a run was first seen ended, while its logs are read
}

// New returns an idle watcher; see Run.
func New(o Options) *Watcher {
	return &Watcher{
		o: o, kick: make(chan run.ID, 1024), back: make(chan struct{}, 1), ended: map[run.ID]time.Time{},
		began: o.Now(), vitals: vitals{runs: map[run.ID]*vital{}}, clocks: newNodeClocks(),
	}
}

// ReconcileSoon asks for a comparison; it never blocks.
func (w *Watcher) ReconcileSoon(id run.ID) {
	select {
	case w.kick <- id:
	default: // the queue is full: the periodic comparison is as soon
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
	g.Go(func() error { return w.measureClocks(gctx) })
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
			w.ReconcileSoon(id)
		} else if !errors.Is(err, fault.ErrNotFound) && ctx.Err() == nil { // another console's job
			w.o.Logger.Warn("look up job of event", "job", h.JobID, "err", err)
		}
	}
}

func (w *Watcher) loop(ctx context.Context, resync <-chan struct{}) error {
	tick := time.NewTicker(reconcileEvery)
	defer tick.Stop()
	slots, sctx := errgroup.WithContext(ctx)
	slots.SetLimit(parallel)
	pace := newPacer(w.ReconcileSoon)
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
