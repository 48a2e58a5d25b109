package control

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// Nodes returns the nodes of the cluster, with who has their GPUs.
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
