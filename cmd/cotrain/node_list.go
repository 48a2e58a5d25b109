package main

import (
	"context"
	"fmt"

	"github.com/cotrain/cotrain/internal/run"
)

type nodeListCmd struct {
	Remote `embed:""`
}

// Run lists the nodes of the cluster.
func (c *nodeListCmd) Run(ctx context.Context, p *process) error {
	cl, err := p.connect(c.Remote)
	if err != nil {
		return err
	}
	var list struct {
		Items []run.Node `json:"items"`
	}
	if err := cl.get(ctx, "/api/v1/nodes", nil, &list); err != nil {
		return err
	}
	if c.Format == "json" {
		return p.printJSON(list)
	}
	t := p.table("NAME", "STATUS", "DATACENTER", "CPU", "MEMORY", "GPUS", "ID")
	for _, n := range list.Items {
		status, devices := n.Status, gpus(n.GPUs)
		if !n.Eligible {
			status += ", takes no new work"
		}
		if n.Simulated && len(n.GPUs) > 0 {
			devices += " (simulated)"
		}
		t.row(n.Name, status, n.Datacenter, fmt.Sprintf("%d MHz", n.CPU), fmt.Sprintf("%d MiB", n.Memory), devices, short(n.ID, 9))
	}
	if err := t.flush(); err != nil {
		return err
	}
	if len(list.Items) == 0 {
		p.say("the cluster has no nodes; \"cotrain server --dev\" brings its own")
	}
	return nil
}
