package cluster

import (
	"context"
	"fmt"
	"slices"

	"github.com/cotrain/cotrain/internal/run"
)

// inConsul compares Nomad's nodes with Consul's catalog. Without an answer from both there is nothing to compare: that is said elsewhere.
func (c *check) inConsul(ctx context.Context, k CheckedConsul) {
	if len(c.inspected) == 0 {
		return
	}
	catalog, err := k.Catalog(ctx)
	if err != nil {
		return
	}
	var nodes []run.Node
	for _, n := range c.inspected {
		nodes = append(nodes, run.Node{ID: n.ID, Name: n.Name, Datacenter: n.Datacenter, Status: n.Status, ConsulName: n.ConsulName})
	}
	before := c.Count(Warn)
	if catalog.Problem != "" {
		c.add(Warn, "consul", "catalog", catalog.Problem, "")
	}
	for _, e := range catalog.Join(nodes) {
		c.add(Warn, "consul", "node "+e.Name, "Its entry in Consul's catalog is stale: Nomad has no such client, and its checks fail.", "consul force-leave -prune, with its name.")
	}
	known := 0
	for _, n := range nodes {
		if n.Disagreement != "" {
			c.add(Warn, "consul", "node "+n.Name, n.Disagreement, "nomad node status "+n.ID+"; consul members -detailed")
		}
		if n.Consul == nil {
			continue
		}
		known++
		for _, f := range n.Consul.Failing {
			c.add(Warn, "consul", "node "+n.Name, fmt.Sprintf("Consul's check %s is %s: %s.", f.Name, f.Status, orNothing(f.Output)), "")
		}
	}
	if known > 0 && c.Count(Warn) == before {
		c.add(OK, "consul", "nodes", fmt.Sprintf("%d of %d nodes of Nomad are in Consul's catalog, and no check of them fails", known, len(nodes)), "")
	}
}

func orNothing(output string) string {
	if slices.Contains([]string{"", "."}, output) {
		return "no output"
	}
	return output
}
