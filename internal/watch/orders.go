package watch

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sync/errgroup"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

const (
	// firstOrderPause and longestOrderPause bound the pause before Nomad is told again what it did not take.
	firstOrderPause   = 200 * time.Millisecond
	longestOrderPause = time.Minute
)

// giveOrders gives Nomad the orders that the store keeps, each until Nomad has taken it. It sends at once what is new, and
// everything when Nomad is back; what fails it repeats with longer and longer pauses. A restart changes nothing.
func (w *Watcher) giveOrders(ctx context.Context) error {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = firstOrderPause, longestOrderPause
	retry := time.NewTimer(0) // what an earlier process left
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.o.Store.Ordered():
		case <-w.back:
			pause.Reset()
		case <-retry.C:
		}
		if w.orderRound(ctx) {
			pause.Reset()
			retry.Stop()
		} else {
			retry.Reset(pause.NextBackOff())
		}
	}
}

// orderRound gives every order once, and reports whether none is left.
func (w *Watcher) orderRound(ctx context.Context) bool {
	orders, err := w.o.Store.Orders(ctx)
	if err != nil {
		w.orderFailed(ctx, store.Order{}, err)
		return false
	}
	var failed, away atomic.Bool
	var g errgroup.Group
	g.SetLimit(parallel)
	for _, o := range orders {
		g.Go(func() error {
			if away.Load() { // the next would fare no better
				return nil
			}
			if err := w.giveOrder(ctx, o); err != nil {
				failed.Store(true)
				if errors.Is(err, fault.ErrUnavailable) || errors.Is(err, nomad.ErrDenied) {
					away.Store(true)
				}
				w.orderFailed(ctx, o, err)
			}
			return nil
		})
	}
	_ = g.Wait() // they return nil
	return !failed.Load()
}

// giveOrder gives one order, and takes it off the list. Nomad answers once it has stored that the job is to end; what is
// left to do is then its own, for nodes that are away too.
func (w *Watcher) giveOrder(ctx context.Context, o store.Order) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	give := w.o.Cluster.Stop
	if o.Purge {
		give = w.o.Cluster.Purge
	}
	if err := give(ctx, o.JobID); err != nil {
		return err
	}
	if err := w.o.Store.Done(ctx, o); err != nil {
		return err
	}
	if !o.Purge {
		w.Look(o.RunID) // to say so
	}
	return nil
}

func (w *Watcher) orderFailed(ctx context.Context, o store.Order, err error) {
	if ctx.Err() != nil {
		return
	}
	w.o.Logger.Warn("order to Nomad", "run", o.RunID, "job", o.JobID, "purge", o.Purge, "err", err)
	switch {
	case o.JobID == "" || o.Purge:
	case errors.Is(err, fault.ErrUnavailable):
		w.sayStopping(ctx, o, "Nomad unreachable, retrying: the workers go on until the stop gets through")
	case errors.Is(err, nomad.ErrDenied):
		w.sayStopping(ctx, o, "Nomad refuses the console's token: the workers go on until it may stop jobs")
	default:
		w.sayStopping(ctx, o, "Nomad did not take the stop, retrying: the workers go on until it does")
	}
}

// sayStopping says in the reason of a run that is stopping why Nomad does not know yet.
func (w *Watcher) sayStopping(ctx context.Context, o store.Order, why string) {
	said := errors.New("said")
	u, err := w.o.Store.Update(ctx, o.RunID, func(u *store.Update) error {
		if u.Run.State != run.Stopping || u.Attempt.JobID != o.JobID || u.Run.Reason == why {
			return said
		}
		return u.Move(run.Stopping, run.Nomad, why, w.o.Now())
	})
	switch {
	case err == nil:
		w.o.Publisher.PublishRun(u.Run)
	case !errors.Is(err, said) && !errors.Is(err, fault.ErrNotFound) && ctx.Err() == nil:
		w.o.Logger.Warn("say how a stop goes", "run", o.RunID, "err", err)
	}
}
