package cli

import (
	"cmp"
	"context"
	"fmt"
	"maps"
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
	header := []string{"NAME", "STATUS", "DATACENTER", "CPU", "MEMORY", "GPUS", "FREE", "GPU LOAD", "USED BY", "FAILED, 7 DAYS", "ID"}
	if list.Consul != nil {
		header = append(header, "CONSUL", "META")
	}
	t := p.table(header...)
	for _, n := range list.Items {
		status, free := n.Status, "-"
		if !n.Eligible {
			status += ", takes no new work"
		}
		if len(n.GPUs) > 0 {
			free = strconv.Itoa(n.FreeGPUs())
		}
		row := []string{n.Name, status, n.Datacenter, fmt.Sprintf("%d MHz", n.CPU), fmt.Sprintf("%d MiB", n.Memory), gpus(n.GPUs), free, setOr(gpuLoad(n.Stats)), setOr(usersOf(n)), failures(n.Failures), short(n.ID, 9)}
		if list.Consul != nil {
			row = append(row, consulHealth(n.Consul), consulMeta(n.Consul))
		}
		t.row(row...)
	}
	if err := t.flush(); err != nil {
		return err
	}
	if len(list.Items) == 0 {
		p.say("the cluster has no nodes; \"cotrain server --dev\" brings its own")
	}
	p.sayConsul(list)
	return nil
}

// sayConsul says in what Consul and Nomad disagree, which checks fail, and what is wrong with Consul itself.
func (p *process) sayConsul(list client.NodeList) {
	if list.Consul == nil {
		return
	}
	for _, n := range list.Items {
		if n.Disagreement != "" {
			p.say("%s: %s", n.Name, n.Disagreement)
		}
		if n.Consul != nil {
			p.sayChecks(n.Name, *n.Consul)
		}
	}
	for _, n := range list.Consul.Stale {
		p.say("%s in %s: in Consul's catalog, and not in Nomad: consul force-leave -prune removes it", n.Name, n.Datacenter)
		p.sayChecks(n.Name, n)
	}
	if list.Consul.Problem != "" {
		p.say("Consul: %s", list.Consul.Problem)
	}
}

func (p *process) sayChecks(name string, n run.ConsulNode) {
	for _, f := range n.Failing {
		p.say("%s: Consul's check %s is %s: %s", name, f.Name, f.Status, cmp.Or(f.Output, "no output"))
	}
	if n.More > 0 {
		p.say("%s: %d more checks fail", name, n.More)
	}
}

// consulHealth is a node's health in Consul: "critical (2)" with two checks that do not pass.
func consulHealth(n *run.ConsulNode) string {
	if n == nil {
		return "-"
	}
	if failing := len(n.Failing) + n.More; failing > 0 {
		return fmt.Sprintf("%s (%d)", n.Health, failing)
	}
	return n.Health
}

// consulMeta is a node's metadata in Consul: "site=ams,zone=r1".
func consulMeta(n *run.ConsulNode) string {
	if n == nil {
		return "-"
	}
	var items []string
	for _, key := range slices.Sorted(maps.Keys(n.Meta)) {
		items = append(items, key+"="+n.Meta[key])
	}
	return setOr(strings.Join(items, ","))
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

// failures is how much failed on a node: "3, 2 of the node itself".
func failures(n *run.NodeFailures) string {
	switch {
	case n == nil:
		return "-"
	case n.Hardware > 0:
		return fmt.Sprintf("%d, %d of the node itself", n.Failures, n.Hardware)
	}
	return strconv.Itoa(n.Failures)
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
