package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/run"
)

type nodeListCmd struct {
	Remote `embed:""`
}

// Run lists the nodes of the cluster.
func (c *nodeListCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	list, err := cl.Nodes(ctx)
	if err != nil {
		return err
	}
	if c.Format == "json" {
		return p.printJSON(list)
	}
	t := p.table("NAME", "STATUS", "DATACENTER", "CPU", "MEMORY", "GPUS", "FREE", "USED BY", "ID")
	for _, n := range list.Items {
		status, free := n.Status, "-"
		if !n.Eligible {
			status += ", takes no new work"
		}
		if len(n.GPUs) > 0 {
			free = strconv.Itoa(n.FreeGPUs())
		}
		t.row(n.Name, status, n.Datacenter, fmt.Sprintf("%d MHz", n.CPU), fmt.Sprintf("%d MiB", n.Memory), gpus(n.GPUs), free, setOr(usersOf(n)), short(n.ID, 9))
	}
	if err := t.flush(); err != nil {
		return err
	}
	if len(list.Items) == 0 {
		p.say("the cluster has no nodes; \"cotrain server --dev\" brings its own")
	}
	return nil
}

// usersOf says who has GPUs of a node, and how many: "r-0123456789 (2), other-job (1)".
func usersOf(n run.Node) string {
	var names []string
	count := map[string]int{}
	for _, u := range n.Uses {
		name := string(u.Run)
		if name == "" {
			name = u.Job
		}
		if count[name] == 0 {
			names = append(names, name)
		}
		count[name] += len(u.GPUs)
	}
	for i, name := range names {
		names[i] = fmt.Sprintf("%s (%d)", name, count[name])
	}
	return strings.Join(names, ", ")
}
