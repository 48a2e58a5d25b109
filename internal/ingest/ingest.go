package ingest

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/logparse"
	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/points"
)

// Tailer reads a worker's log; see [nomad.Client.TailLog].
type Tailer interface {
	TailLog(ctx context.Context, allocID, stream string, from nomad.Cursor, follow bool, fn func(nomad.LogChunk) error) error
}

// Store is the part of the store that ingest uses.
type Store interface {
	Cursor(ctx context.Context, allocID, stream string) (store.Cursor, error)
	Commit(ctx context.Context, batches []*store.Batch) error
	Seal(ctx context.Context, id run.ID, atLeast int) error
	UnsealedRuns(ctx context.Context, atLeast int) ([]run.ID, error)
	LeftUnsealed(ctx context.Context, before time.Time) ([]run.ID, error)
	SealPoints(ctx context.Context) (more bool, err error)
	Summarize(ctx context.Context, now time.Time) (more bool, err error)
	Run(ctx context.Context, id run.ID) (run.Run, error)
	Headline(ctx context.Context, id run.ID) (run.Progress, error)
	SaveProgress(ctx context.Context, id run.ID, p run.Progress) error
	RollUp(ctx context.Context, id run.ID) (points.RollUp, bool, error)
	Curve(ctx context.Context, id run.ID, metric string, from int64) ([]run.CurvePoint, error)
	StaleCurves(ctx context.Context) ([]run.ID, error)
}

// Publisher informs viewers; see [feed.Hub].
type Publisher interface {
	Publish(topic, typ string, data any)
	PublishRun(r run.Run, evs ...run.Event)
	HasViewers(topic string) bool
}

// Statuses reads what a trainer writes into a status file, as lines; see [status.Follower].
type Statuses interface {
	TailStatus(ctx context.Context, w run.Worker, from nomad.Cursor, follow bool, fn func(nomad.LogChunk) error) error
}

// Options configures [New]. All fields are required but Statuses, Formats and Pulse.
type Options struct {
	Tailer    Tailer
	Statuses  Statuses // nil where trainers write none
	Store     Store
	Publisher Publisher
	Logger    *slog.Logger
	Now       func() time.Time
	// Health is called with the outcome of writes: nil when they succeed.
	Health func(error)
	// Archive is called with the outcome of sealing logs: nil when the archive takes them. It may be nil.
	Archive func(error)
	// MergePatience is how long late lines wait for streams that may have earlier ones (2 s), and ten times that for those that cannot be
	// read.
	MergePatience time.Duration
	// Formats are those that the site has added to the parser's own.
	Formats []*logparse.SiteFormat
	// Pulse is called with every stored batch, if not nil; it must not block.
	Pulse func(*store.Batch)
}

// Ingest owns a goroutine per stream, a writer, and a publisher of progress.
type Ingest struct {
	o       Options
	commits chan *commitRequest
	prog    *progress
	shaper  *logShaper
	open    *openLines
	merge   *merger

	mu     sync.Mutex
	ctx    context.Context // of Run; nil before
	tails  sync.WaitGroup
	allocs map[string]*alloc

	unstored map[*tail]time.Time // since when a stream has what is not stored; see Backlog
}

// alloc is a worker whose streams are followed.
type alloc struct {
	worker run.Worker
	cancel context.CancelFunc
	ended  context.Context // done once the worker has ended
	end    context.CancelFunc
	lost   run.Unwritten // set before ended is done
	names  []string      // of its streams
	left   int           // streams not drained yet
	reads  int           // streams that are being read
	since  time.Time     // when the last of them began to be
}

// New returns an idle Ingest; see Run.
func New(o Options) *Ingest {
	return &Ingest{
		o: o, commits: make(chan *commitRequest),
		prog: newProgress(o), shaper: newLogShaper(o.Now), open: newOpenLines(o), merge: newMerger(o.MergePatience), allocs: map[string]*alloc{},
		unstored: map[*tail]time.Time{},
	}
}

// Run works until ctx ends, then waits for all it started.
func (in *Ingest) Run(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	in.mu.Lock()
	in.ctx = gctx
	for _, a := range in.allocs {
		in.start(a)
	}
	in.mu.Unlock()
	g.Go(func() error { return in.write(gctx) })
	g.Go(func() error { return in.prog.run(gctx) })
	g.Go(func() error { return in.sealLoop(gctx, "seal logs", in.sealLogs) })
	g.Go(func() error { return in.sealLoop(gctx, "seal points", in.sealPoints) })
	g.Go(func() error { return in.summarizeLoop(gctx) })
	g.Go(func() error { return in.open.run(gctx) })
	g.Go(func() error { in.prog.catchUp(gctx); return nil })
	err := g.Wait()
	in.mu.Lock()
	in.ctx = nil
	in.mu.Unlock()
	in.tails.Wait()
	return err
}

// statusStream has what the first worker's trainer writes into a status file.
const statusStream = "status"

// streamsOf names the streams of a worker.
func (in *Ingest) streamsOf(w run.Worker) []string {
	if in.o.Statuses != nil && w.Rank == 0 {
		return []string{"stdout", "stderr", statusStream}
	}
	return []string{"stdout", "stderr"}
}

// Follow follows a started worker's log, and reads the rest once it has ended. Call it at every change of the worker; it
// never blocks.
func (in *Ingest) Follow(w run.Worker) {
	in.mu.Lock()
	defer in.mu.Unlock()
	a := in.allocs[w.AllocID]
	if a == nil {
		if !w.Started && !w.State.Terminal() {
			return
		}
		a = &alloc{worker: w, names: in.streamsOf(w)}
		a.left = len(a.names)
		a.ended, a.end = context.WithCancel(context.Background())
		in.allocs[w.AllocID] = a
		in.prog.touch(w.RunID)
		if in.ctx != nil {
			in.start(a)
		}
	}
	if w.State.Terminal() && a.ended.Err() == nil {
		a.lost = w.Unwritten
		a.end()
	}
}

// start needs the lock.
func (in *Ingest) start(a *alloc) {
	if a.cancel != nil {
		return
	}
	ctx, cancel := context.WithCancel(in.ctx)
	a.cancel = cancel
	for _, stream := range a.names {
		in.tails.Go(func() {
			t := newTail(in, a, stream)
			if !t.run(ctx) {
				return
			}
			in.mu.Lock()
			a.left--
			left := a.left
			in.mu.Unlock()
			if left == 0 {
				cancel()
			}
		})
	}
}

// Drained reports whether a followed worker's whole output is stored.
func (in *Ingest) Drained(allocID string) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	a := in.allocs[allocID]
	return a != nil && a.left == 0
}

// Hears reports since when a worker's output is read as it comes, if it is.
func (in *Ingest) Hears(allocID string) (since time.Time, ok bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	a := in.allocs[allocID]
	if a == nil || a.reads < len(a.names) {
		return time.Time{}, false
	}
	return a.since, true
}

// listens counts a stream that is read, until the function that it returns is called.
func (in *Ingest) listens(a *alloc) (ends func()) {
	in.mu.Lock()
	defer in.mu.Unlock()
	a.reads++
	a.since = in.o.Now()
	return func() {
		in.mu.Lock()
		defer in.mu.Unlock()
		a.reads--
	}
}

// Forget stops following the workers of a finished or deleted run.
func (in *Ingest) Forget(id run.ID) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for allocID, a := range in.allocs {
		if a.worker.RunID == id {
			if a.cancel != nil {
				a.cancel()
			}
			a.end()
			delete(in.allocs, allocID)
		}
	}
	in.shaper.forget(id)
	in.open.forget(id)
}

// Flush stores and publishes a run's headline now, so that a final state comes with its final numbers.
func (in *Ingest) Flush(ctx context.Context, id run.ID) error {
	in.prog.touch(id)
	return in.prog.flush(ctx, id)
}

// sealEvery is how often old log lines and points are sealed.
const sealEvery = 2 * time.Second

// sealLoop seals logs or points: each has a loop, since an archive that does not answer takes its time.
func (in *Ingest) sealLoop(ctx context.Context, what string, seal func(context.Context) error) error {
	tick := time.NewTicker(sealEvery)
	defer tick.Stop()
	var complain complaint
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		err := seal(ctx)
		if ctx.Err() != nil {
			return nil
		}
		complain.about(in.o.Logger, what, err)
	}
}

// sealLeft is how long after its end the rest of a run's log is sealed: its last lines are there.
const sealLeft = 5 * time.Second

// sealLogs seals each run's log that is long enough, or was left. A failure does not stop the others, but that of the archive does: it
// would fail for them, too.
func (in *Ingest) sealLogs(ctx context.Context) error {
	long, err := in.o.Store.UnsealedRuns(ctx, store.SealBytes)
	left, other := in.o.Store.LeftUnsealed(ctx, in.o.Now().Add(-sealLeft))
	errs := []error{err, other}
	seal := func(ids []run.ID, atLeast int) (err error) {
		for _, id := range ids {
			if err = in.o.Store.Seal(ctx, id, atLeast); errors.Is(err, fault.ErrArchiveUnavailable) {
				return err
			}
			errs = append(errs, err)
		}
		return nil
	}
	away := seal(long, store.SealBytes)
	if away == nil {
		away = seal(left, 1)
	}
	if in.o.Archive != nil && ctx.Err() == nil && (away != nil || len(long)+len(left) > 0) {
		in.o.Archive(away)
	}
	return errors.Join(append(errs, away)...)
}

// sealPoints seals points for as long as the logs can wait: an old database can take hours.
func (in *Ingest) sealPoints(ctx context.Context) error {
	until := in.o.Now().Add(sealEvery)
	for more := true; more && in.o.Now().Before(until); {
		var err error
		if more, err = in.o.Store.SealPoints(ctx); err != nil {
			return err
		}
	}
	return nil
}

// summarizeLoop updates what lists say of metrics, for at most half of the time: an old database can take long.
func (in *Ingest) summarizeLoop(ctx context.Context) error {
	tick := time.NewTicker(sealEvery)
	defer tick.Stop()
	var complain complaint
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		var err error
		until := in.o.Now().Add(sealEvery / 2)
		for more := true; more && err == nil && in.o.Now().Before(until); {
			more, err = in.o.Store.Summarize(ctx, in.o.Now())
		}
		if ctx.Err() != nil {
			return nil
		}
		complain.about(in.o.Logger, "summarize metrics", err)
	}
}
