package control

import (
	"context"
	"errors"
	"fmt"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
)

// Delete removes a run that has ended, with its metrics, events and logs; checkpoints stay where they are. A run that has
// not ended is [run.ErrConflict].
func (c *Control) Delete(ctx context.Context, actor string, id run.ID) error {
	r, err := c.o.Store.Run(ctx, id)
	if err != nil {
		return err
	}
	jobs, err := c.remove(ctx, actor, r)
	if err != nil {
		return err
	}
	if r.Origin.Sweep != "" {
		c.o.Publisher.PublishMany(r.Origin.Sweep)
	}
	c.purge(ctx, jobs)
	return nil
}

// remove deletes an ended run from the store, tells so, and returns the child jobs that Nomad may still have of it.
func (c *Control) remove(ctx context.Context, actor string, r run.Run) (jobs []string, err error) {
	if !r.State.Terminal() {
		return nil, fault.New(fault.ErrLive, fmt.Sprintf("Run %s is %s and cannot be deleted.", r.ID, r.State), "")
	}
	attempts, err := c.o.Store.Attempts(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	c.o.Logs.Forget(r.ID)
	if err := c.o.Store.DeleteRun(ctx, r.ID); err != nil {
		return nil, err
	}
	c.o.Logger.Info("run deleted", "run", r.ID, "actor", actor)
	for _, topic := range []string{feed.RunTopic(r.ID), feed.RunsTopic} {
		c.o.Publisher.Publish(topic, feed.Deleted, map[string]run.ID{"id": r.ID})
	}
	for _, a := range attempts {
		if a.JobID != "" {
			jobs = append(jobs, a.JobID)
		}
	}
	return jobs, nil
}

// purge asks Nomad to forget child jobs. It collects by itself later what it does not hear of now.
func (c *Control) purge(ctx context.Context, jobs []string) {
	for _, job := range jobs {
		if err := c.o.Cluster.Purge(ctx, job); err != nil {
			c.o.Logger.Warn("purge job", "job", job, "err", err)
			if errors.Is(err, run.ErrUnavailable) || ctx.Err() != nil {
				return
			}
		}
	}
}
