package control

import (
	"context"
	"fmt"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// Delete removes a run with its metrics, events and logs; checkpoints stay. A run that has not ended is
// [fault.ErrConflict].
func (c *Control) Delete(ctx context.Context, actor string, id run.ID) error {
	r, err := c.o.Store.Run(ctx, id)
	if err != nil {
		return err
	}
	if err := c.remove(ctx, actor, r); err != nil {
		return err
	}
	if r.Origin.Sweep != "" {
		c.o.Publisher.PublishMany(r.Origin.Sweep)
	}
	return nil
}

// remove deletes an ended run from the store, which orders Nomad to purge its jobs, and informs viewers.
func (c *Control) remove(ctx context.Context, actor string, r run.Run) error {
	if !r.State.Terminal() {
		return fault.New(fault.ErrNotEnded, fmt.Sprintf("Run %s is %s and cannot be deleted.", r.ID, r.State), "")
	}
	c.o.Logs.Forget(r.ID)
	if err := c.o.Store.DeleteRun(ctx, r.ID); err != nil {
		return err
	}
	c.o.Logger.Info("run deleted", "run", r.ID, "actor", actor)
	c.o.Publisher.PublishDeleted(r)
	return nil
}
