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
	Waiting(ctx context.Context) ([]store.Waiting, map[run.SweepID]store.SweepSlots, error)
	SetReason(ctx context.Context, reason string, ids []run.ID) error
	Run(ctx context.Context, id run.ID) (run.Run, error)
	Attempts(ctx context.Context, id run.ID) ([]run.Attempt, error)
	Saved(ctx context.Context, id run.ID) ([]run.Saved, error)
	Rewind(ctx context.Context, id run.ID, from int64) error
	Update(ctx context.Context, id run.ID, fn func(*store.Update) error) (store.Update, error)
}

// Publisher tells viewers; see [feed.Hub].
type Publisher interface {
	Publish(topic, typ string, data any)
	PublishRun(r run.Run)
	PublishMany(sweep run.SweepID)
	HasViewers(topic string) bool
}

// Options configures [New]. All fields are needed.
type Options struct {
	Cluster   Cluster
	Store     Store
	Publisher Publisher
	Logger    *slog.Logger
	Now       func() time.Time
	// Dispatched is told which runs are now Nomad's; it must not wait.
	Dispatched func(run.ID)
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
		q.round(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-q.wake:
		}
	}
}

func (q *Queue) round(ctx context.Context) {
	waiting, slots, err := q.o.Store.Waiting(ctx)
	if err != nil {
		if ctx.Err() == nil {
			q.o.Logger.Warn("list waiting runs", "err", err)
		}
		return
	}
	held := map[run.SweepID][]store.Waiting{}
	answers := false
	for _, w := range waiting {
		if ctx.Err() != nil {
			return
		}
		queued := w.State == run.Queued
		switch {
		case !queued:
		case w.Expired.Expired(q.o.Now()):
			q.expire(ctx, w.ID)
			continue
		case q.o.Now().Before(w.NotBefore):
			continue
		case full(slots[w.Sweep]):
			held[w.Sweep] = append(held[w.Sweep], w)
			continue
		}
		if queued && !answers {
			// Each try is two changes of state, which are kept for ever: none while nobody can take the run.
			if answers = q.answers(ctx); !answers {
				break
			}
		}
		err := q.Send(ctx, w.ID)
		if s := slots[w.Sweep]; queued && err == nil && w.Sweep != "" {
			s.Live++
			slots[w.Sweep] = s
		}
		if errors.Is(err, run.ErrUnavailable) {
			break // the next would fare no better
		}
	}
	for sweep, ws := range held {
		q.hold(ctx, sweep, slots[sweep], ws)
	}
}

// full reports whether a sweep has as many live runs as it may.
func full(s store.SweepSlots) bool { return s.Parallel > 0 && s.Live >= s.Parallel }

// HeldReason is why a run waits whose sweep has as many live runs as it may.
func HeldReason(live, parallel int) string {
	return fmt.Sprintf("waits for its sweep: %d of %d runs are active", live, parallel)
}

// hold says why runs of a sweep are not sent. It is no event, and written only where it is news: a sweep of hundreds of
// runs would otherwise write each of them at every look.
func (q *Queue) hold(ctx context.Context, sweep run.SweepID, slots store.SweepSlots, ws []store.Waiting) {
	why := HeldReason(slots.Live, slots.Parallel)
	var ids []run.ID
	for _, w := range ws {
		if w.Reason != why {
			ids = append(ids, w.ID)
		}
	}
	if len(ids) == 0 {
		return
	}
	if err := q.o.Store.SetReason(ctx, why, ids); err != nil {
		if ctx.Err() == nil {
			q.o.Logger.Warn("store reasons for waiting", "sweep", sweep, "err", err)
		}
		return
	}
	q.o.Publisher.PublishMany(sweep)
	for _, id := range ids {
		if topic := feed.RunTopic(id); q.o.Publisher.HasViewers(topic) {
			q.o.Publisher.Publish(topic, feed.Gap, struct{}{})
		}
	}
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
