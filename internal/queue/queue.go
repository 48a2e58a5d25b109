package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

// Cluster is what the queue asks of Nomad; see [nomad.Client].
type Cluster interface {
	Ping(ctx context.Context) (nomad.Info, error)
	DispatchRun(ctx context.Context, shape run.Shape, d nomad.Dispatch) (parentID, childID string, err error)
	Stop(ctx context.Context, childID string) error
}

// Store is what the queue needs of the store.
type Store interface {
	Dispatching(ctx context.Context) ([]run.ID, error)
	Expired(ctx context.Context, now time.Time) ([]run.ID, error)
	Due(ctx context.Context, now time.Time) error
	NextReady(ctx context.Context, after store.Turn) (next store.Turn, ok bool, err error)
	ReadySweeps(ctx context.Context) ([]store.SweepSlots, error)
	ReadyWithout(ctx context.Context, sweep run.SweepID, reason string) ([]run.ID, error)
	SetReason(ctx context.Context, reason string, ids []run.ID) error
	Run(ctx context.Context, id run.ID) (run.Run, error)
	Attempts(ctx context.Context, id run.ID) ([]run.Attempt, error)
	Saved(ctx context.Context, id run.ID) ([]run.Saved, error)
	Update(ctx context.Context, id run.ID, fn func(*store.Update) error) (store.Update, error)
}

// Publisher tells viewers; see [feed.Hub].
type Publisher interface {
	Publish(topic, typ string, data any)
	PublishRun(r run.Run)
	PublishMany(sweep run.SweepID)
	HasViewers(topic string) bool
}

// Checkpoints looks at the files of a checkpoint; see [storage.Storage.Lacks].
type Checkpoints interface {
	Lacks(ctx context.Context, folder string, shape run.Shape, diloco bool) (what string, known bool, err error)
}

// Options configures [New]. All fields but Checkpoints are needed.
type Options struct {
	Cluster   Cluster
	Store     Store
	Publisher Publisher
	Logger    *slog.Logger
	Now       func() time.Time
	// Dispatched is told which runs are now Nomad's; it must not wait.
	Dispatched  func(run.ID)
	Checkpoints Checkpoints // nil where the folders of runs cannot be seen
}

const (
	// retryEvery is how often runs that could not be sent are tried again.
	retryEvery = 2 * time.Second
	// callTimeout bounds sending one run.
	callTimeout = 15 * time.Second
	// maxFailures is how many refusals by Nomad (not: failures to reach it) make a run fail.
	maxFailures = 3
)

// Queue sends queued runs to Nomad.
type Queue struct {
	o    Options
	wake chan struct{}

	mu       sync.Mutex
	sending  map[run.ID]bool
	refusals map[run.ID]int
}

// New returns a queue that sends only what it is told to until Run.
func New(o Options) *Queue {
	return &Queue{o: o, wake: make(chan struct{}, 1), sending: map[run.ID]bool{}, refusals: map[run.ID]int{}}
}

// Wake asks for a look at what is waiting soon: something has come, or a place has become free. It never waits.
func (q *Queue) Wake() {
	select {
	case q.wake <- struct{}{}:
	default: // one that has not begun sees this too
	}
}

// Run sends what is waiting, by priority and then oldest first, until ctx ends. It also finishes what an earlier process
// began.
func (q *Queue) Run(ctx context.Context) error {
	tick := time.NewTicker(retryEvery)
	defer tick.Stop()
	for {
		q.Round(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-q.wake:
		}
	}
}

// Round looks once at what is waiting and sends what may be sent: first what an earlier process was sending, then by
// priority, then oldest first. Its cost grows with what there is to do, and not with how many runs wait.
func (q *Queue) Round(ctx context.Context) {
	if err := q.round(ctx); err != nil && ctx.Err() == nil {
		q.o.Logger.Warn("look at waiting runs", "err", err)
	}
}

func (q *Queue) round(ctx context.Context) error {
	now := q.o.Now()
	expired, err := q.o.Store.Expired(ctx, now)
	if err != nil {
		return err
	}
	for _, id := range expired {
		q.expire(ctx, id)
	}
	if err := q.o.Store.Due(ctx, now); err != nil {
		return err
	}
	denied, err := q.sendWaiting(ctx)
	if err != nil || ctx.Err() != nil {
		return err
	}
	return q.hold(ctx, denied)
}

// sendWaiting sends runs until none is left that may be sent, or until the next would fare no better. When that is because
// Nomad denies them all, it returns the reason for which the one that was tried waits.
func (q *Queue) sendWaiting(ctx context.Context) (denied string, err error) {
	began, err := q.o.Store.Dispatching(ctx)
	if err != nil {
		return "", err
	}
	for _, id := range began {
		if err := q.Send(ctx, id); forAll(err) || ctx.Err() != nil {
			return q.deniedReason(ctx, id, err)
		}
	}
	answers := false
	for turn := store.FirstTurn(); ctx.Err() == nil; {
		next, ok, err := q.o.Store.NextReady(ctx, turn)
		if err != nil || !ok {
			return "", err
		}
		// Each try is two changes of state, which are kept for ever: none while nobody can take the run.
		if answers = answers || q.answers(ctx); !answers {
			return "", nil
		}
		if err := q.Send(ctx, next.ID); forAll(err) {
			return q.deniedReason(ctx, next.ID, err)
		}
		turn = next
	}
	return "", nil
}

// forAll reports whether a run could not be sent for a cause that is not its own.
func forAll(err error) bool {
	return errors.Is(err, run.ErrUnavailable) || errors.Is(err, nomad.ErrDenied)
}

func (q *Queue) deniedReason(ctx context.Context, id run.ID, cause error) (string, error) {
	if !errors.Is(cause, nomad.ErrDenied) {
		return "", nil
	}
	r, err := q.o.Store.Run(ctx, id)
	if err != nil || r.State != run.Queued { // deleted or stopped meanwhile: the next round has another
		return "", nil
	}
	return r.Reason, nil
}

// HeldReason is why a run waits whose sweep has as many live runs as it may.
func HeldReason(live, parallel int) string {
	return fmt.Sprintf("waits for its sweep: %d of %d runs are active", live, parallel)
}

// hold says of the runs that could have been sent why they were not: their sweep is full, or Nomad denies every run with
// the reason denied.
func (q *Queue) hold(ctx context.Context, denied string) error {
	sweeps, err := q.o.Store.ReadySweeps(ctx)
	if err != nil {
		return err
	}
	for _, s := range sweeps {
		why := denied
		if s.Full() {
			why = HeldReason(s.Live, s.Parallel)
		}
		if why == "" {
			continue
		}
		if err := q.give(ctx, s.Sweep, why); err != nil {
			return err
		}
	}
	return nil
}

// give gives the runs of a sweep that wait a reason for it. It is no event, and written only where it is news: a sweep of
// hundreds of runs would otherwise write each of them at every look.
func (q *Queue) give(ctx context.Context, sweep run.SweepID, why string) error {
	ids, err := q.o.Store.ReadyWithout(ctx, sweep, why)
	if err != nil || len(ids) == 0 {
		return err
	}
	if err := q.o.Store.SetReason(ctx, why, ids); err != nil {
		return err
	}
	q.o.Publisher.PublishMany(sweep)
	for _, id := range ids {
		if topic := feed.RunTopic(id); q.o.Publisher.HasViewers(topic) {
			q.o.Publisher.Publish(topic, feed.Gap, struct{}{})
		}
	}
	return nil
}

// expire stops a run that waits for another attempt beyond the time that it may take.
func (q *Queue) expire(ctx context.Context, id run.ID) {
	u, err := q.o.Store.Update(ctx, id, func(u *store.Update) error {
		if u.Run.State != run.Queued || !u.Run.Expired(q.o.Now()) {
			return errNotQueued
		}
		return Stop(u, "cotrain", u.Run.ExpiredReason(), q.o.Now())
	})
	switch {
	case err == nil:
		q.tell(u)
	case !errors.Is(err, errNotQueued) && ctx.Err() == nil:
		q.o.Logger.Warn("stop expired run", "run", id, "err", err)
	}
}

// answers reports whether Nomad can be asked for anything at all.
func (q *Queue) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := q.o.Cluster.Ping(ctx)
	return !errors.Is(err, run.ErrUnavailable) && !errors.Is(err, nomad.ErrDenied) && ctx.Err() == nil
}
