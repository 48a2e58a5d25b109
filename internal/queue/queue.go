package queue

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

// Cluster is the part of [nomad.Client] that the queue uses.
type Cluster interface {
	Ping(ctx context.Context) (nomad.Info, error)
	Room(ctx context.Context) (nomad.Room, error)
	Fit(ctx context.Context, shape run.Shape, in nomad.Room) (run.Fit, error)
	DispatchRun(ctx context.Context, shape run.Shape, d nomad.Dispatch) (parentID, childID string, err error)
}

// Store is the part of the store that the queue uses.
type Store interface {
	Backlog
	Secrets(ctx context.Context) ([]run.Secret, error)
	Run(ctx context.Context, id run.ID) (run.Run, error)
	Attempts(ctx context.Context, id run.ID) ([]run.Attempt, error)
	SavedCheckpoints(ctx context.Context, id run.ID) ([]run.SavedCheckpoint, error)
	Update(ctx context.Context, id run.ID, fn func(*store.Update) error) (store.Update, error)
}

// Backlog is the part of the store about queued runs.
type Backlog interface {
	Dispatching(ctx context.Context) ([]run.ID, error)
	Unplaced(ctx context.Context) ([]store.Unplaced, error)
	Expired(ctx context.Context, now time.Time) ([]run.ID, error)
	ReleaseDue(ctx context.Context, now time.Time) error
	ReadyGroups(ctx context.Context) ([]store.ReadyGroup, error)
	ReadyOf(ctx context.Context, g store.ReadyGroup, limit int) ([]store.ReadyRun, error)
	ReadyWithOtherReason(ctx context.Context, sweep run.SweepID, reason string) ([]run.ID, error)
	SetWaitReason(ctx context.Context, reason string, ids []run.ID) error
}

// Publisher informs viewers; see [feed.Hub].
type Publisher interface {
	Publish(topic, typ string, data any)
	PublishRun(r run.Run, evs ...run.Event)
	PublishMany(sweep run.SweepID)
	HasViewers(topic string) bool
}

// Options configures [New]. Only Checkpoints is optional.
type Options struct {
	Cluster   Cluster
	Store     Store
	Publisher Publisher
	Logger    *slog.Logger
	Now       func() time.Time
	// Dispatched is called with runs that Nomad has accepted; it must not block.
	Dispatched  func(run.ID)
	Checkpoints run.CheckpointFiles // nil where the runs' folders cannot be seen
}

const (
	// lookEvery is the time between rounds when nothing happens.
	lookEvery = 2 * time.Second
	// callTimeout bounds sending one run.
	callTimeout = 15 * time.Second
	// maxFailures is how many refusals by Nomad (not failures to reach it) fail a run.
	maxFailures = 3
)

// Queue sends queued runs to Nomad.
type Queue struct {
	o       Options
	wake    chan struct{}
	changes chan struct{} // the cluster may have changed
	changed atomic.Bool   // the cluster may have changed since the view was read

	rounds sync.Mutex // held during a round
	view   view
	short  bool // some run did not fit

	mu       sync.Mutex
	sending  map[run.ID]bool
	refusals map[run.ID]int
	backoffs map[run.ID]backoff
	lastErr  string // of the last round
}

// New returns a queue that only acts on [Queue.Send] until Run.
func New(o Options) *Queue {
	return &Queue{
		o: o, wake: make(chan struct{}, 1), changes: make(chan struct{}, 1), view: view{sent: map[run.ID]*placing{}, disputes: map[run.Shape]disagreement{}},
		sending: map[run.ID]bool{}, refusals: map[run.ID]int{}, backoffs: map[run.ID]backoff{},
	}
}

// Wake asks for a round soon: a run was queued or a sweep has room. It never blocks.
func (q *Queue) Wake() { notify(q.wake) }

// Changed reports a change of nodes or allocations. If a run waits for room, a round follows soon, at a bounded rate. It
// never blocks.
func (q *Queue) Changed() {
	q.changed.Store(true)
	notify(q.changes)
}

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // one is pending already
	}
}

// Run sends waiting runs until ctx ends, and finishes what an earlier process started.
func (q *Queue) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	look := q.Round
	for {
		look(ctx)
		switch q.await(ctx, tick.C) {
		case lookNever:
			return nil
		case lookAtAll:
			look = q.Round
		case lookAtNew:
			look = q.sendNew
		}
	}
}

// Reasons to wake up.
const (
	lookNever = iota // ctx has ended
	lookAtAll
	lookAtNew
)

// await returns the reason for another round, or lookNever.
func (q *Queue) await(ctx context.Context, tick <-chan time.Time) int {
	var fresh <-chan time.Time
	for {
		if fresh == nil && q.changed.Load() {
			if wait, ok := q.waitsForRoom(); ok {
				fresh = time.After(wait)
			}
		}
		select {
		case <-ctx.Done():
			return lookNever
		case <-tick:
			return lookAtAll
		case <-q.wake:
			return lookAtNew
		case <-fresh:
			return lookAtNew
		case <-q.changes:
		}
	}
}

// waitsForRoom reports whether a run waits for room, and when the cluster may be read again.
func (q *Queue) waitsForRoom() (wait time.Duration, ok bool) {
	q.rounds.Lock()
	defer q.rounds.Unlock()
	return q.untilStale(), q.short
}

// Round sends what may be sent: first what Nomad may have already, then by priority, then oldest first. Its cost grows
// with the shapes that wait, not with the runs.
func (q *Queue) Round(ctx context.Context) {
	q.rounds.Lock()
	defer q.rounds.Unlock()
	q.log(ctx, q.round(ctx))
}

func (q *Queue) sendNew(ctx context.Context) {
	q.rounds.Lock()
	defer q.rounds.Unlock()
	q.log(ctx, q.sendReady(ctx))
}

func (q *Queue) log(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && text != q.lastErr { // do not repeat it every few seconds
		q.o.Logger.Warn("look at waiting runs", "err", err)
	}
	q.lastErr = text
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
	if err := q.o.Store.ReleaseDue(ctx, now); err != nil {
		return err
	}
	if err := q.resendBegun(ctx); err != nil {
		if !affectsEveryRun(err) || ctx.Err() != nil {
			return err
		}
		return errors.Join(err, q.explainAllWaiting(ctx, err))
	}
	return q.sendReady(ctx)
}

// resendBegun sends the runs that Nomad may have already, fitting or not.
func (q *Queue) resendBegun(ctx context.Context) error {
	began, err := q.o.Store.Dispatching(ctx)
	if err != nil || len(began) == 0 {
		return err
	}
	// Each attempt to send is two events, kept for ever: none while Nomad is down.
	if err := q.reachable(ctx); err != nil {
		return err
	}
	for _, id := range began {
		if q.backingOff(id) {
			continue
		}
		if err := q.Send(ctx, id); affectsEveryRun(err) || ctx.Err() != nil {
			return err
		}
	}
	return nil
}

// reachable returns why Nomad can serve no run at all, or nil.
func (q *Queue) reachable(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := q.o.Cluster.Ping(ctx)
	if affectsEveryRun(err) {
		return err
	}
	return nil
}

// affectsEveryRun reports whether the cause of a failed dispatch would stop every other run too.
func affectsEveryRun(err error) bool {
	return errors.Is(err, fault.ErrUnavailable) || errors.Is(err, nomad.ErrDenied) || errors.Is(err, nomad.ErrJobFile)
}

// expire stops a run that has exceeded its maximum duration while waiting for another attempt.
func (q *Queue) expire(ctx context.Context, id run.ID) {
	u, err := q.o.Store.Update(ctx, id, func(u *store.Update) error {
		if u.Run.State != run.Queued || !u.Run.Expired(q.o.Now()) {
			return run.ErrNotQueued
		}
		return u.Stop(run.Console, run.StopExpired, q.o.Now())
	})
	switch {
	case err == nil:
		q.o.Publisher.PublishRun(u.Run, u.Events...)
	case !errors.Is(err, run.ErrNotQueued) && ctx.Err() == nil:
		q.o.Logger.Warn("stop expired run", "run", id, "err", err)
	}
}
