package nomad

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/fault"
)

// WhyPending says why workers of a child job wait and what would help, "" if none do. An unknown job is
// [fault.ErrNotFound].
func (c *Client) WhyPending(ctx context.Context, childID string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	evals, _, err := list[api.Evaluation](c, "read the evaluations of job "+childID,
		"/v1/job/"+url.PathEscape(childID)+"/evaluations", c.about(ctx, childID))
	if err != nil {
		return "", err
	}
	metric, waiting := newestFailure(evals, groupName)
	if metric == nil && !waiting {
		if len(evals) == 0 {
			state, err := c.jobState(ctx, childID)
			if err == nil && !state.Found {
				err = fmt.Errorf("job %s: %w", childID, fault.ErrNotFound)
			}
			return "", err
		}
		return "", nil
	}
	if metric == nil {
		return "Nomad has not scheduled it yet", nil
	}
	job, _, err := c.calls.Jobs().Info(childID, c.about(ctx, childID))
	if err = c.ofNamespace(c.namespace(childID), classify("read job "+childID, err)); err != nil {
		return "", err
	}
	need, ok := demandOf(job)
	if !ok || deref(job.Stop) {
		return "", nil
	}
	nodes, err := c.nodeStubs(ctx)
	if err != nil {
		return "", err
	}
	allocs, err := c.liveAllocations(ctx)
	if err != nil {
		return "", err
	}
	return why(need, metric, nodes, usage(allocs, childID)), nil
}

// newestFailure returns the newest evaluation's placement failure, or that it is still to be processed. A completed
// evaluation means that all is placed.
func newestFailure(evals []*api.Evaluation, group string) (metric *api.AllocationMetric, waiting bool) {
	slices.SortFunc(evals, func(a, b *api.Evaluation) int { return int(int64(b.ModifyIndex) - int64(a.ModifyIndex)) })
	evals = slices.DeleteFunc(evals, func(e *api.Evaluation) bool {
		return e.WaitUntil.After(time.Now()) // a delayed replacement for a disconnected worker
	})
	for _, e := range evals {
		if e.Status == api.EvalStatusBlocked {
			return e.FailedTGAllocs[group], true
		}
	}
	if len(evals) == 0 {
		return nil, false
	}
	switch evals[0].Status {
	case api.EvalStatusPending:
		return nil, true
	case api.EvalStatusComplete:
		return evals[0].FailedTGAllocs[group], false
	}
	return nil, false
}

// liveAllocations lists allocations that occupy resources, in all namespaces that the token may see.
func (c *Client) liveAllocations(ctx context.Context) ([]*api.AllocationListStub, error) {
	q := query(ctx)
	q.Filter = `ClientStatus != "complete" and ClientStatus != "failed" and ClientStatus != "lost"`
	q.Params["resources"], q.Params["task_states"] = "true", "false"
	q.Namespace = api.AllNamespacesNamespace
	stubs, _, err := list[api.AllocationListStub](c, "list allocations", "/v1/allocations", q)
	if errors.Is(err, ErrDenied) {
		return c.allocations(ctx, query(ctx), q.Filter)
	}
	return stubs, err
}

// demand is what a job requires.
type demand struct {
	workers     int
	cpu, memory int64
	gpus        int
	device      *api.RequestedDevice // nil without GPUs
	driver      string
	datacenters []string
	pool        string
	avoid       []string // IDs of nodes
}

func demandOf(job *api.Job) (demand, bool) {
	for _, g := range job.TaskGroups {
		if g == nil || deref(g.Name) != groupName {
			continue
		}
		for _, t := range g.Tasks {
			if t == nil || t.Name != TaskName {
				continue
			}
			d := demand{
				workers: deref(g.Count), driver: t.Driver, datacenters: job.Datacenters,
				pool: orDefault(deref(job.NodePool), "default"), avoid: avoided(job),
			}
			if r := t.Resources; r != nil {
				d.cpu, d.memory = int64(deref(r.CPU)), int64(deref(r.MemoryMB))
				if len(r.Devices) > 0 && r.Devices[0] != nil {
					d.device, d.gpus = r.Devices[0], int(deref(r.Devices[0].Count))
				}
			}
			return d, true
		}
	}
	return demand{}, false
}

// avoided are the nodes that the job's constraints rule out by ID.
func avoided(job *api.Job) []string {
	var out []string
	for _, c := range job.Constraints {
		if c != nil && c.LTarget == nodeIDAttr && c.Operand == "!=" {
			out = append(out, c.RTarget)
		}
	}
	return out
}

// used is what allocations occupy on a node.
type used struct {
	cpu, memory int64
	devices     map[string]bool // "vendor/type/name/ID"
}

// usage sums up what runs on each node, except one job.
func usage(allocs []*api.AllocationListStub, without string) map[string]used {
	out := map[string]used{}
	for _, a := range allocs {
		if a.JobID == without || a.AllocatedResources == nil {
			continue
		}
		u, ok := out[a.NodeID]
		if !ok {
			u.devices = map[string]bool{}
		}
		for _, t := range a.AllocatedResources.Tasks {
			if t == nil {
				continue
			}
			u.cpu += t.Cpu.CpuShares
			u.memory += t.Memory.MemoryMB
			for _, d := range t.Devices {
				if d == nil {
					continue
				}
				for _, id := range d.DeviceIDs {
					u.devices[deviceName(d.Vendor, d.Type, d.Name)+"/"+id] = true
				}
			}
		}
		out[a.NodeID] = u
	}
	return out
}

// suitable reports whether the job may run on the node, regardless of room.
func (d demand) suitable(n *api.NodeListStub) bool {
	if n.Status != api.NodeStatusReady || n.SchedulingEligibility != api.NodeSchedulingEligible || n.Drain {
		return false
	}
	if slices.Contains(d.avoid, n.ID) || d.pool != api.NodePoolAll && orDefault(n.NodePool, "default") != d.pool {
		return false
	}
	return inDatacenters(d.datacenters, n.Datacenter)
}

func (d demand) hasDriver(n *api.NodeListStub) bool {
	info := n.Drivers[d.driver]
	return info != nil && info.Detected && info.Healthy
}

// why writes the sentence, with the nodes that are out of the question.
func why(d demand, m *api.AllocationMetric, nodes []*api.NodeListStub, use map[string]used) string {
	text := short(d, m, nodes, use)
	var names []string
	for _, n := range nodes {
		if slices.Contains(d.avoid, n.ID) {
			names = append(names, n.Name)
		}
	}
	if len(names) == 0 {
		return text
	}
	slices.Sort(names)
	return clean(text + "; it avoids " + strings.Join(names, ", "))
}

// short says what is short, the most exclusive reason first.
func short(d demand, m *api.AllocationMetric, nodes []*api.NodeListStub, use map[string]used) string {
	var suitable, withDriver []*api.NodeListStub
	for _, n := range nodes {
		if !d.suitable(n) {
			continue
		}
		suitable = append(suitable, n)
		if d.hasDriver(n) {
			withDriver = append(withDriver, n)
		}
	}
	switch {
	case len(suitable) == 0:
		return noNodes(d, nodes)
	case len(withDriver) == 0 && m.ConstraintFiltered["missing drivers"] > 0:
		return fmt.Sprintf("the driver %s works on none of the %s: install or start it there, or choose another driver",
			d.driver, plural(len(suitable), "node"))
	case len(withDriver) == 0:
		withDriver = suitable // the list has no drivers
	}
	if text := withoutVault(m, len(withDriver)); text != "" {
		return text
	}
	if text := shortage(d, withDriver, use); text != "" {
		return text
	}
	return otherReason(d, m)
}

func noNodes(d demand, nodes []*api.NodeListStub) string {
	if len(nodes) == 0 {
		return "the cluster has no nodes: start a Nomad client"
	}
	where := map[string]bool{}
	ready := 0
	for _, n := range nodes {
		if n.Status != api.NodeStatusReady || n.SchedulingEligibility != api.NodeSchedulingEligible {
			continue
		}
		ready++
		where[n.Datacenter+" (pool "+orDefault(n.NodePool, "default")+")"] = true
	}
	if ready == 0 {
		return fmt.Sprintf("none of the %s is ready and takes new work: start them, or make them eligible", plural(len(nodes), "node"))
	}
	return clean(fmt.Sprintf("no node is in datacenter %s and node pool %s; there are nodes in %s: change the settings or add nodes",
		strings.Join(d.datacenters, " or "), d.pool, strings.Join(slices.Sorted(maps.Keys(where)), ", ")))
}

// enableVault is what helps where Nomad does not log in to Vault for its tasks.
const enableVault = "Configure the vault block of Nomad's servers and clients, as docs/cluster.md shows."

// withoutVault reports why none of n nodes can log in to Vault, or "".
func withoutVault(m *api.AllocationMetric, n int) string {
	for text, filtered := range m.ConstraintFiltered {
		if strings.HasPrefix(text, "${attr.vault.") && filtered >= n {
			return fmt.Sprintf("secrets of the run are in Vault, and none of the %s reaches it through Nomad: configure the vault block of the nodes, and of Nomad's servers", plural(n, "node"))
		}
	}
	return ""
}

// otherReason quotes Nomad for what the numbers do not explain.
func otherReason(d demand, m *api.AllocationMetric) string {
	var said []string
	for _, k := range slices.Sorted(maps.Keys(m.ConstraintFiltered)) {
		said = append(said, fmt.Sprintf("%s on %s", k, plural(m.ConstraintFiltered[k], "node")))
	}
	for _, k := range slices.Sorted(maps.Keys(m.DimensionExhausted)) {
		said = append(said, fmt.Sprintf("%s exhausted on %s", k, plural(m.DimensionExhausted[k], "node")))
	}
	for _, q := range m.QuotaExhausted {
		said = append(said, "quota exhausted: "+q)
	}
	if len(said) == 0 {
		return fmt.Sprintf("needs %s; resources were just freed, and Nomad tries again by itself", plural(d.workers, "node"))
	}
	return clean(fmt.Sprintf("needs %s and Nomad says: %s; change that on the nodes or in the job file",
		plural(d.workers, "node"), strings.Join(said, ", ")))
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
