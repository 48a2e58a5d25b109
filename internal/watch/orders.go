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
	// Bounds of the pause before an order that Nomad did not accept is delivered again.
	firstOrderPause   = 200 * time.Millisecond
	longestOrderPause = time.Minute
)

// deliverOrders delivers the store's orders to Nomad: new ones at once, all of them when Nomad is back, failed ones
// after growing pauses. Orders survive restarts.
func (w *Watcher) deliverOrders(ctx context.Context) error {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = firstOrderPause, longestOrderPause
	retry := time.NewTimer(0) // for an earlier process's orders
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.o.Store.NewOrders():
		case <-w.back:
			pause.Reset()
		case <-retry.C:
		}
		if w.deliverAll(ctx) {
			pause.Reset()
			retry.Stop()
		} else {
			retry.Reset(pause.NextBackOff())
		}
	}
}

// deliverAll tries every order once and reports whether all were delivered.
func (w *Watcher) deliverAll(ctx context.Context) bool {
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
			if away.Load() { // the next would fail too
				return nil
			}
			if err := w.deliver(ctx, o); err != nil {
				failed.Store(true)
				if errors.Is(err, fault.ErrUnavailable) || errors.Is(err, nomad.ErrDenied) {
					away.Store(true)
				}
				w.orderFailed(ctx, o, err)
			}
			return nil
		})
	}
	_ = g.Wait() // always nil
	return !failed.Load()
}

// deliver sends one order and removes it. Once accepted, Nomad carries it out even on disconnected nodes.
func (w *Watcher) deliver(ctx context.Context, o store.Order) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	call := w.o.Cluster.Stop
	switch {
	case o.Purge:
		call = w.o.Cluster.Purge
	case o.Kill:
		call = w.o.Cluster.Kill
	}
	if err := call(ctx, o.JobID); err != nil {
		return err
	}
	if err := w.o.Store.CompleteOrder(ctx, o); err != nil {
		return err
	}
	if !o.Purge {
		w.ReconcileSoon(o.RunID) // to report it
	}
	return nil
}

func (w *Watcher) orderFailed(ctx context.Context, o store.Order, err error) {
	if ctx.Err() != nil {
		return
	}
	w.o.Logger.Warn("order to Nomad", "run", o.RunID, "job", o.JobID, "kill", o.Kill, "purge", o.Purge, "err", err)
	switch {
	case o.JobID == "" || o.Purge:
	case errors.Is(err, fault.ErrUnavailable):
		w.explainStopping(ctx, o, "Nomad unreachable, retrying: the workers go on until the stop gets through")
	case errors.Is(err, nomad.ErrDenied):
		w.explainStopping(ctx, o, "Nomad refuses the console's token: the workers go on until it may stop jobs")
	case o.Kill:
		w.explainStopping(ctx, o, "not every worker could be killed yet, retrying: the others end within their kill time-out")
	default:
		w.explainStopping(ctx, o, "Nomad did not take the stop, retrying: the workers go on until it does")
	}
}

// explainStopping sets the reason of a stopping run to why Nomad does not know yet.
func (w *Watcher) explainStopping(ctx context.Context, o store.Order, why string) {
	unchanged := errors.New("unchanged")
	u, err := w.o.Store.Update(ctx, o.RunID, func(u *store.Update) error {
		if u.Run.State != run.Stopping || u.Attempt.JobID != o.JobID || u.Run.Reason == why {
			return unchanged
		}
		return u.Move(run.Stopping, run.Nomad, why, w.o.Now())
	})
	switch {
	case err == nil:
		w.o.Publisher.PublishRun(u.Run)
	case !errors.Is(err, unchanged) && !errors.Is(err, fault.ErrNotFound) && ctx.Err() == nil:
		w.o.Logger.Warn("say how a stop goes", "run", o.RunID, "err", err)
	}
}
