package control

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

// recordEvery is the time between tries to record stops.
const recordEvery = 2 * time.Second

// unrecorded are stops that Nomad was told of but the store could not record: a run that fills the disk must be
// stoppable.
type unrecorded struct {
	mu   sync.Mutex
	stop map[string]func(context.Context) error // by run or sweep ID
	wake chan struct{}
}

func newUnrecorded() *unrecorded {
	return &unrecorded{stop: map[string]func(context.Context) error{}, wake: make(chan struct{}, 1)}
}

func (u *unrecorded) add(id string, record func(context.Context) error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.stop[id] = record
	select {
	case u.wake <- struct{}{}:
	default:
	}
}

// record tries each once and reports whether none is left.
func (u *unrecorded) record(ctx context.Context) (done bool) {
	u.mu.Lock()
	all := maps.Clone(u.stop)
	u.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(all)) {
		if err := all[id](ctx); cannotWrite(err) || ctx.Err() != nil {
			return false // the others would fail too
		}
		u.mu.Lock()
		delete(u.stop, id) // recorded, or ended or deleted meanwhile
		u.mu.Unlock()
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.stop) == 0
}

// Run records pending stops until ctx ends.
func (c *Control) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.unrecorded.wake:
		}
		for !c.unrecorded.record(ctx) {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(recordEvery):
			}
		}
	}
}

// cannotWrite reports whether the store cannot be written at present.
func cannotWrite(err error) bool {
	return errors.Is(err, fault.ErrFull) || errors.Is(err, fault.ErrStoreUnavailable)
}

// stopUnrecorded tells Nomad to stop a run that the store cannot record as stopped because of cause. The error says
// both.
func (c *Control) stopUnrecorded(ctx context.Context, actor string, id run.ID, cause error) error {
	told, err := c.tellNomad(ctx, actor, id)
	if err != nil {
		return err
	}
	if !told {
		return cause
	}
	c.unrecorded.add(string(id), c.asked(ctx, func(ctx context.Context) error { return c.recordStop(ctx, actor, id) }))
	return notRecorded(fmt.Sprintf("Nomad was told to stop the workers of run %s.", id), cause)
}

func (c *Control) stopSweepUnrecorded(ctx context.Context, actor string, id run.SweepID, cause error) error {
	runs, err := c.o.Store.Runs(ctx, run.RunFilter{Projects: run.AllProjects(), Sweep: id, Limit: run.MaxSweepRuns})
	if err != nil {
		return err
	}
	n := 0
	for _, r := range runs {
		if r.State.Terminal() {
			continue
		}
		told, err := c.tellNomad(ctx, actor, r.ID)
		switch {
		case errors.Is(err, fault.ErrConflict): // it has just ended
		case err != nil:
			return err
		case told:
			n++
		}
	}
	c.unrecorded.add(string(id), c.asked(ctx, func(ctx context.Context) error { return c.recordSweepStop(ctx, actor, id) }))
	return notRecorded(fmt.Sprintf("Nomad was told to stop the workers of %d runs of sweep %s.", n, id), cause)
}

// asked has a stop that is recorded later logged as what was asked for now, by whom and from where.
func (c *Control) asked(now context.Context, record func(context.Context) error) func(context.Context) error {
	p := audit.Of(now)
	if p == nil {
		return record
	}
	e := p.Entry
	if e.At.IsZero() {
		e.At = c.o.Now()
	}
	return func(ctx context.Context) error {
		ctx, _ = audit.Begin(ctx, e)
		return record(ctx)
	}
}

// tellNomad stops a run's job, if it may be stopped, and reports whether there was one.
func (c *Control) tellNomad(ctx context.Context, actor string, id run.ID) (told bool, err error) {
	r, err := c.o.Store.Run(ctx, id)
	if err != nil {
		return false, err
	}
	attempts, err := c.o.Store.Attempts(ctx, id)
	if err != nil {
		return false, err
	}
	u := store.Update{Run: r}
	if n := len(attempts); n > 0 {
		u.Attempt = attempts[n-1]
	}
	if err := u.Stop(actor, run.StopByPerson, c.o.Now()); err != nil {
		return false, err
	}
	if u.Attempt.JobID == "" || !u.Attempt.EndedAt.IsZero() {
		return false, nil
	}
	if err := c.o.Cluster.Stop(ctx, u.Attempt.JobID); err != nil {
		return false, err
	}
	c.o.ReconcileSoon(id)
	return true, nil
}

func notRecorded(done string, cause error) error {
	f := fault.Of(cause)
	return fault.New(f.Kind, done+" The console could not record that yet, and does so when it can write again. "+f.What, f.Fix).Because(cause)
}
