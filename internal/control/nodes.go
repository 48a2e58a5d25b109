package control

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// Nodes returns the cluster's nodes, with who uses them.
func (c *Control) Nodes(ctx context.Context) ([]run.Node, error) {
	var nodes []run.Node
	var uses map[string][]run.GPUUse
	both, asking := errgroup.WithContext(ctx)
	both.Go(func() (err error) { nodes, err = c.o.Cluster.Nodes(asking); return err })
	both.Go(func() (err error) { uses, err = c.o.Cluster.GPUUses(asking); return err })
	if err := both.Wait(); err != nil {
		return nil, err
	}
	runs := map[string]run.ID{} // by job
	for i := range nodes {
		nodes[i].Uses = uses[nodes[i].ID]
		for j := range nodes[i].Uses {
			u := &nodes[i].Uses[j]
			if u.Rank < 0 {
				continue // not one of ours
			}
			id, known := runs[u.Job]
			if !known {
				var err error
				if id, err = c.o.Store.RunOfJob(ctx, u.Job); err != nil && !errors.Is(err, fault.ErrNotFound) { // another console's
					return nil, err
				}
				runs[u.Job] = id
			}
			u.Run = id
		}
	}
	return nodes, nil
}

// measureTimeout bounds the wait for statistics, however many nodes do not answer.
const measureTimeout = time.Second

// MeasureGPUs adds GPU statistics to the nodes that answer in time.
func (c *Control) MeasureGPUs(ctx context.Context, nodes []run.Node) {
	ctx, cancel := context.WithTimeout(ctx, measureTimeout)
	defer cancel()
	var each errgroup.Group
	each.SetLimit(32)
	for i := range nodes {
		n := &nodes[i]
		if n.Status != "ready" || len(n.GPUs) == 0 || n.Simulated {
			continue
		}
		each.Go(func() error {
			u, err := c.o.Cluster.NodeUsage(ctx, n.ID)
			if err != nil {
				c.o.Logger.Debug("no statistics of GPUs", "node", n.Name, "err", err)
			}
			n.Stats = u.GPUs
			return nil
		})
	}
	_ = each.Wait() // never fails
}
