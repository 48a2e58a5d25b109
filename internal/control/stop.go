package control

import (
	"context"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

// Stop ends a run: its workers get SIGTERM, may save a checkpoint, and are killed after the job's kill time-out. It is
// not retried. A run that is not at Nomad stops at once. Stopping twice is no error; an ended run is
// [fault.ErrConflict]. If the store cannot be written, Nomad is told all the same: the error says so, and [Control.Run]
// records the stop later.
func (c *Control) Stop(ctx context.Context, actor string, id run.ID) error {
	err := c.recordStop(ctx, actor, id)
	if cannotWrite(err) {
		return c.stopUnrecorded(ctx, actor, id, err)
	}
	return err
}

func (c *Control) recordStop(ctx context.Context, actor string, id run.ID) error {
	u, err := c.o.Store.Update(ctx, id, func(u *store.Update) error { return u.Stop(actor, run.StopByPerson, c.o.Now()) })
	if err != nil {
		return err
	}
	c.o.Publisher.PublishRun(u.Run, u.Events...)
	if u.Run.State.Terminal() {
		c.o.Queue.Wake() // another run of its sweep may be waiting for its place
		return nil
	}
	c.o.ReconcileSoon(id)
	return nil
}
