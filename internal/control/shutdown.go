package control

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

// shutdownLook is how often a stopping run is checked.
const shutdownLook = 20 * time.Millisecond

// StopWorking stops the runs that have workers, as Stop does, before the embedded agent shuts down, and waits until they
// have ended or ctx does. Runs with retries left are not stopped: a later attempt continues from their newest
// checkpoint.
func (c *Control) StopWorking(ctx context.Context) error {
	live, err := c.o.Store.RunsAtNomad(ctx)
	if err != nil {
		return err
	}
	var asked []run.ID
	var errs []error
	for _, r := range live {
		ended := false
		u, err := c.o.Store.Update(ctx, r.ID, func(u *store.Update) error {
			if u.Run.Pausing != nil || u.Run.State == run.Stopping && u.Run.StopCause == run.StopPause {
				return c.hasten(u)
			}
			if ended = !endsWithAgent(u); ended || u.Run.State == run.Stopping {
				return nil
			}
			return u.Stop(run.Console, run.StopAgent, c.o.Now())
		})
		switch {
		case errors.Is(err, fault.ErrNotFound) || err == nil && ended:
			continue
		case err != nil:
			errs = append(errs, err)
			continue
		}
		c.o.Publisher.PublishRun(u.Run, u.Events...)
		asked = append(asked, r.ID)
		c.o.ReconcileSoon(r.ID)
	}
	for _, id := range asked {
		errs = append(errs, c.ends(ctx, id))
	}
	return errors.Join(errs...)
}

// hasten has a pause that waits for a checkpoint come now.
func (c *Control) hasten(u *store.Update) error {
	if u.Run.Pausing == nil || u.Run.State == run.Stopping || u.Run.State == run.Dispatching {
		return nil
	}
	u.StopJob()
	return u.Record(u.Run.PauseWorkers("paused with the console, whose embedded agent ran it", c.o.Now()))
}

// endsWithAgent reports whether the run has workers and no further attempt.
func endsWithAgent(u *store.Update) bool {
	r := u.Run
	if r.State == run.Stopping && r.StopCause.Next() != "" {
		return false // another attempt follows
	}
	return r.State.Live() && u.Attempt.JobID != "" && (!r.MayRetry() || r.StopRequested) &&
		slices.ContainsFunc(u.Workers, func(w run.Worker) bool { return !w.State.Terminal() })
}

func (c *Control) ends(ctx context.Context, id run.ID) error {
	tick := time.NewTicker(shutdownLook)
	defer tick.Stop()
	for {
		r, err := c.o.Store.Run(ctx, id)
		switch {
		case errors.Is(err, fault.ErrNotFound):
			return nil
		case err != nil:
			return err
		case !r.State.Live():
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
