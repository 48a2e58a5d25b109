package cli

import (
	"context"
	"fmt"
	"slices"
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
	t := p.table("NAME", "STATUS", "DATACENTER", "CPU", "MEMORY", "GPUS", "FREE", "GPU LOAD", "USED BY", "ID")
	for _, n := range list.Items {
		status, free := n.Status, "-"
		if !n.Eligible {
			status += ", takes no new work"
		}
		if len(n.GPUs) > 0 {
			free = strconv.Itoa(n.FreeGPUs())
		}
		t.row(n.Name, status, n.Datacenter, fmt.Sprintf("%d MHz", n.CPU), fmt.Sprintf("%d MiB", n.Memory), gpus(n.GPUs), free, setOr(gpuLoad(n.Stats)), setOr(usersOf(n)), short(n.ID, 9))
	}
	if err := t.flush(); err != nil {
		return err
	}
	if len(list.Items) == 0 {
		p.say("the cluster has no nodes; \"cotrain server --dev\" brings its own")
	}
	return nil
}

// gpuLoad is the mean utilization of a node's GPUs and their memory in all, as far as they are measured: "44 %, 40 of 160 GiB".
func gpuLoad(stats []run.GPUStats) string {
	var parts []string
	var busy, measured, used, total int64
	for _, st := range stats {
		if st.Utilization != nil {
			busy += *st.Utilization
			measured++
		}
		if st.MemoryUsed != nil && st.MemoryTotal != nil {
			used += *st.MemoryUsed
			total += *st.MemoryTotal
		}
	}
	if measured > 0 {
		parts = append(parts, fmt.Sprintf("%.0f %%", float64(busy)/float64(measured)))
	}
	if total > 0 {
		parts = append(parts, fmt.Sprintf("%.0f of %.0f GiB", float64(used)/1024, float64(total)/1024))
	}
	return strings.Join(parts, ", ")
}

// usersOf says who is on a node, and with how many GPUs: "r-0123456789 (2), other-job (1), r-1234567890".
func usersOf(n run.Node) string {
	var names []string
	count := map[string]int{} // of GPUs
	for _, u := range n.Uses {
		name := string(u.Run)
		if name == "" {
			name = u.Job
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
		count[name] += len(u.GPUs)
	}
	for i, name := range names {
		if count[name] > 0 {
			names[i] = fmt.Sprintf("%s (%d)", name, count[name])
		}
	}
	return strings.Join(names, ", ")
}
