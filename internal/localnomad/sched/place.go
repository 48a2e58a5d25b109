package sched

import (
	"math"
	"path"
	"slices"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/localnomad/state"
)

// placer places one job's allocations. It sees what this plan has placed already.
type placer struct {
	s     *Scheduler
	t     *state.Tables
	p     *Plan
	job   *api.Job
	nodes []*api.Node
	byDC  map[string]int
	ports map[int]bool // in use on the machine: all local nodes share its ports
}

// place finds a node for each ask, or records why there is none.
func (s *Scheduler) place(t *state.Tables, p *Plan, job *api.Job, asks []ask) {
	if len(asks) == 0 {
		return
	}
	pl := &placer{s: s, t: t, p: p, job: job, byDC: map[string]int{}}
	for _, id := range state.Keys(t.Nodes, "") {
		n := t.Nodes[id]
		in := func(pattern string) bool { ok, _ := path.Match(pattern, n.Datacenter); return ok } // what is no pattern matches nothing
		if !s.cordoned.Load() && n.Status == api.NodeStatusReady && slices.ContainsFunc(job.Datacenters, in) {
			pl.nodes = append(pl.nodes, n)
			pl.byDC[n.Datacenter]++
		}
	}
	for _, k := range asks {
		name := *k.group.Name
		if m := p.Failed[name]; m != nil {
			m.CoalescedFailures++
			p.Queued[name]++
			continue
		}
		a, m := pl.one(k)
		if a != nil {
			p.Placed = append(p.Placed, a)
			continue
		}
		if p.Failed == nil {
			p.Failed = map[string]*api.AllocationMetric{}
		}
		p.Failed[name] = m
		p.Queued[name]++
	}
}

// candidate is a node that can hold the ask, and what it would give.
type candidate struct {
	node      *api.Node
	resources *api.AllocatedResources
	score     float64
}

// one places one allocation, or returns why not.
func (pl *placer) one(k ask) (*api.Allocation, *api.AllocationMetric) {
	start := time.Now()
	m := &api.AllocationMetric{NodesAvailable: pl.byDC, NodesInPool: len(pl.nodes), NodePool: *pl.job.NodePool}
	var best *candidate
	for _, n := range pl.nodes {
		m.NodesEvaluated++
		if why := pl.infeasible(k.group, n); why != "" {
			m.NodesFiltered++
			count(&m.ConstraintFiltered, why)
			continue
		}
		c, dimension := pl.fit(k, n)
		if c == nil {
			m.NodesExhausted++
			count(&m.DimensionExhausted, dimension)
			continue
		}
		if best == nil || c.score > best.score {
			best = c
		}
	}
	m.AllocationTime = time.Since(start)
	if best == nil {
		return nil, m
	}
	a := &api.Allocation{
		ID: state.NewID(), Namespace: *pl.job.Namespace, EvalID: pl.p.eval.ID, Name: k.name, NodeID: best.node.ID,
		NodeName: best.node.Name, JobID: *pl.job.ID, Job: pl.job, TaskGroup: *k.group.Name, AllocatedResources: best.resources,
		Metrics: m, DesiredStatus: api.AllocDesiredStatusRun, ClientStatus: api.AllocClientStatusPending,
	}
	if k.prev != nil {
		a.PreviousAllocation, k.prev.NextAllocation = k.prev.ID, a.ID
	}
	return a, m
}

func count(m *map[string]int, key string) {
	if *m == nil {
		*m = map[string]int{}
	}
	(*m)[key]++
}

// onNode lists what a node holds: its own allocations until their last process is dead, whatever their status says, and
// what this plan placed there.
func (pl *placer) onNode(n *api.Node) []*api.Allocation {
	var out []*api.Allocation
	for _, a := range pl.t.NodeAllocs(n.ID) {
		if i := slices.IndexFunc(pl.p.Updated, func(u *api.Allocation) bool { return u.ID == a.ID }); i >= 0 {
			a = pl.p.Updated[i]
		}
		if !state.ClientTerminal(a) || pl.s.runners.Holds(a.ID) {
			out = append(out, a)
		}
	}
	for _, a := range pl.p.Placed {
		if a.NodeID == n.ID {
			out = append(out, a)
		}
	}
	return out
}

// usage is what allocations use of a node.
type usage struct{ cpu, memory, disk int64 }

func (u *usage) add(r *api.AllocatedResources) {
	if r == nil {
		return
	}
	u.disk += r.Shared.DiskMB
	for _, t := range r.Tasks {
		u.cpu += t.Cpu.CpuShares
		u.memory += t.Memory.MemoryMB
	}
}

// fit returns what a node would give, or the dimension that is exhausted.
func (pl *placer) fit(k ask, n *api.Node) (*candidate, string) {
	held := pl.onNode(n)
	res := &api.AllocatedResources{
		Tasks:  map[string]*api.AllocatedTaskResources{},
		Shared: api.AllocatedSharedResources{DiskMB: int64(state.Deref(k.group.EphemeralDisk.SizeMB))},
	}
	if len(k.group.Networks) > 0 {
		network, ports, why := pl.assignPorts(k.group.Networks[0])
		if why != "" {
			return nil, "network: " + why
		}
		res.Shared.Networks, res.Shared.Ports = []*api.NetworkResource{network}, ports
	}
	devices := newDeviceUse(n, held)
	for _, t := range k.group.Tasks {
		tr := &api.AllocatedTaskResources{
			Cpu:    api.AllocatedCpuResources{CpuShares: int64(state.Deref(t.Resources.CPU))},
			Memory: api.AllocatedMemoryResources{MemoryMB: int64(state.Deref(t.Resources.MemoryMB))},
		}
		for _, req := range t.Resources.Devices {
			d, why := devices.offer(req)
			if d == nil {
				return nil, "devices: " + why
			}
			devices.take(d)
			tr.Devices = append(tr.Devices, d)
		}
		res.Tasks[t.Name] = tr
	}
	var total usage
	for _, a := range held {
		total.add(a.AllocatedResources)
	}
	total.add(res)
	switch r := n.NodeResources; {
	case total.cpu > r.Cpu.CpuShares:
		return nil, "cpu"
	case total.memory > r.Memory.MemoryMB:
		return nil, "memory"
	case total.disk > r.Disk.DiskMB:
		return nil, "disk"
	}
	return &candidate{node: n, resources: res, score: pl.score(k, n, held, total)}, ""
}

// score ranks a node: a sticky disk first, since its data is there; then the node with the fewest allocations of the group,
// then the fullest one. The local nodes are one machine, so that affinities and spreads mean nothing.
func (pl *placer) score(k ask, n *api.Node, held []*api.Allocation, total usage) float64 {
	if k.prev != nil && k.prev.NodeID == n.ID && state.Deref(k.group.EphemeralDisk.Sticky) {
		return math.Inf(1)
	}
	score := float64(total.memory) / float64(n.NodeResources.Memory.MemoryMB+1)
	for _, a := range held {
		if a.JobID == *pl.job.ID && a.TaskGroup == *k.group.Name && !state.ServerTerminal(a) {
			score--
		}
	}
	return score
}
