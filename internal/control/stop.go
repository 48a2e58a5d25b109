package control

import (
	"context"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

// Stop asks a run to end: its workers get SIGTERM, may save a checkpoint, and are killed after the job's kill time-out. It
// is not tried again. A run that has not been sent to Nomad stops at once. Stopping a stopping run again is no error;
// stopping one that has ended is [fault.ErrConflict]. When the store can take nothing, Nomad is told all the same: the error
// says so, and [Control.Run] records the stop later.
func (c *Control) Stop(ctx context.Context, actor string, id run.ID) error {
	err := c.recordStop(ctx, actor, id)
	if cannotWrite(err) {
		return c.stopUnrecorded(ctx, actor, id, err)
	}
	return err
}

func (c *Control) recordStop(ctx context.Context, actor string, id run.ID) error {
	u, err := c.o.Store.Update(ctx, id, func(u *store.Update) error { return u.Stop(actor, run.StopAsked, c.o.Now()) })
	if err != nil {
		return err
	}
	c.o.Publisher.PublishRun(u.Run, u.Events...)
	if u.Run.State.Terminal() {
		c.o.Queue.Wake() // another of its sweep may have been waiting behind it
		return nil
	}
	c.o.Look(id)
	return nil
}
