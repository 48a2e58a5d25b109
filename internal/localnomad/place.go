package localnomad

import (
	"slices"
	"time"

	"github.com/hashicorp/nomad/api"
)

// placer places one job's allocations. It sees what this plan has placed
// already.
type placer struct {
	s     *Server
	p     *plan
	job   *api.Job
	nodes []*api.Node
	byDC  map[string]int
	ports map[int]bool // in use on the machine: all local nodes share its ports
	bad   map[string]bool
	class map[*api.Node]string
}

// classOf is computedClass, computed once.
func (pl *placer) classOf(n *api.Node) string {
	if pl.class[n] == "" {
		pl.class[n] = computedClass(n)
	}
	return pl.class[n]
}

// place finds a node for each ask, or records why there is none.
func (s *Server) place(p *plan, job *api.Job, asks []ask) {
	if len(asks) == 0 {
		return
	}
	pl := &placer{s: s, p: p, job: job, byDC: map[string]int{}, bad: map[string]bool{}, class: map[*api.Node]string{}}
	for _, id := range sortedKeys(s.st.nodes, "") {
		n := s.st.nodes[id]
		if s.cordoned.Load() || n.Status != nodeReady || n.SchedulingEligibility != api.NodeSchedulingEligible || !inPool(job, n) {
			continue
		}
		if inDatacenter(job, n) {
			pl.nodes = append(pl.nodes, n)
			pl.byDC[n.Datacenter]++
		}
	}
	for _, k := range asks {
		name := *k.group.Name
		p.queued[name]++
		if m := p.failed[name]; m != nil {
			m.CoalescedFailures++
			exhaustResources(m, k.group)
			continue
		}
		a, m := pl.one(k)
		if a == nil {
			if p.failed == nil {
				p.failed = map[string]*api.AllocationMetric{}
			}
			exhaustResources(m, k.group)
			p.failed[name] = m
			continue
		}
		p.queued[name]--
		p.placed = append(p.placed, a)
	}
	p.classes = pl.eligible()
}

// candidate is a node that can hold the ask, and what it would give.
type candidate struct {
	node      *api.Node
	resources *api.AllocatedResources
	score     float64
	scores    map[string]float64
}

// one places one allocation, or returns why not.
func (pl *placer) one(k ask) (*api.Allocation, *api.AllocationMetric) {
	start := time.Now()
	m := &api.AllocationMetric{NodesAvailable: pl.byDC, NodesInPool: len(pl.nodes), NodePool: *pl.job.NodePool}
	var best *candidate
	var all []*candidate
	for _, n := range pl.nodes {
		m.NodesEvaluated++
		if why := pl.infeasible(k.group, n); why != "" {
			m.NodesFiltered++
			count(&m.ConstraintFiltered, why)
			if n.NodeClass != "" {
				count(&m.ClassFiltered, n.NodeClass)
			}
			continue
		}
		c, dimension := pl.fit(k, n)
		if c == nil {
			m.NodesExhausted++
			count(&m.DimensionExhausted, dimension)
			if n.NodeClass != "" {
				count(&m.ClassExhausted, n.NodeClass)
			}
			continue
		}
		all = append(all, c)
		if best == nil || c.score > best.score {
			best = c
		}
	}
	if deref(k.group.EphemeralDisk.Sticky) && k.prev != nil {
		for _, c := range all {
			if c.node.ID == k.prev.NodeID { // where its data is
				best = c
			}
		}
	}
	m.AllocationTime = time.Since(start)
	if best == nil {
		return nil, m
	}
	scoreMeta(m, all)
	return pl.alloc(k, best, m), m
}

func count(m *map[string]int, key string) {
	if *m == nil {
		*m = map[string]int{}
	}
	(*m)[key]++
}

func (pl *placer) alloc(k ask, c *candidate, m *api.AllocationMetric) *api.Allocation {
	a := &api.Allocation{
		ID: newUUID(), Namespace: *pl.job.Namespace, EvalID: pl.p.eval.ID, Name: k.name, NodeID: c.node.ID,
		NodeName: c.node.Name, JobID: *pl.job.ID, Job: pl.job, TaskGroup: *k.group.Name,
		AllocatedResources: c.resources, Metrics: m, DesiredStatus: desiredRun, ClientStatus: clientPending,
	}
	if k.prev == nil {
		return a
	}
	a.PreviousAllocation = k.prev.ID
	k.prev.NextAllocation = a.ID
	if t := k.prev.RescheduleTracker; t != nil {
		a.RescheduleTracker = &api.RescheduleTracker{Events: slices.Clone(t.Events), LastReschedule: t.LastReschedule}
	}
	if k.reschedule {
		if a.RescheduleTracker == nil {
			a.RescheduleTracker = &api.RescheduleTracker{}
		}
		a.RescheduleTracker.LastReschedule = "ok"
		a.RescheduleTracker.Events = append(a.RescheduleTracker.Events, &api.RescheduleEvent{
			RescheduleTime: pl.s.now().UnixNano(), PrevAllocID: k.prev.ID, PrevNodeID: k.prev.NodeID,
		})
	}
	return a
}

// holds reports whether an allocation still holds its resources: until its
// last process is dead, whatever its status says.
func (s *Server) holds(a *api.Allocation) bool {
	return !clientTerminal(a) || s.runners.get(a.ID) != nil
}

// onNode lists what a node holds: its own allocations that have not ended,
// and what this plan placed there.
func (pl *placer) onNode(n *api.Node) []*api.Allocation {
	var out []*api.Allocation
	for id := range pl.s.st.allocsByNode[n.ID] {
		a := pl.s.st.allocs[id]
		for _, u := range pl.p.updates {
			if u.ID == id {
				a = u
			}
		}
		if pl.s.holds(a) {
			out = append(out, a)
		}
	}
	for _, a := range pl.p.placed {
		if a.NodeID == n.ID {
			out = append(out, a)
		}
	}
	return out
}

// usage is what allocations use of a node.
type usage struct {
	cpu, memory, disk int64
	cores             map[uint16]bool
}

func usageOf(allocs []*api.Allocation) usage {
	u := usage{cores: map[uint16]bool{}}
	for _, a := range allocs {
		if a.AllocatedResources == nil {
			continue
		}
		u.disk += a.AllocatedResources.Shared.DiskMB
		for _, t := range a.AllocatedResources.Tasks {
			u.cpu += t.Cpu.CpuShares
			u.memory += t.Memory.MemoryMB
			for _, c := range t.Cpu.ReservedCores {
				u.cores[c] = true
			}
		}
	}
	return u
}

// fit returns what a node would give, or the dimension that is exhausted.
func (pl *placer) fit(k ask, n *api.Node) (*candidate, string) {
	held := pl.onNode(n)
	used := usageOf(held)
	res := &api.AllocatedResources{
		Tasks:  map[string]*api.AllocatedTaskResources{},
		Shared: api.AllocatedSharedResources{DiskMB: int64(deref(k.group.EphemeralDisk.SizeMB))},
	}
	if len(k.group.Networks) > 0 {
		net, ports, why := pl.assignPorts(k.group.Networks[0])
		if why != "" {
			return nil, "network: " + why
		}
		res.Shared.Networks, res.Shared.Ports = []*api.NetworkResource{net}, ports
	}
	devices := newDeviceUse(n, held)
	for _, t := range k.group.Tasks {
		tr := &api.AllocatedTaskResources{
			Cpu: api.AllocatedCpuResources{CpuShares: int64(deref(t.Resources.CPU))},
			Memory: api.AllocatedMemoryResources{
				MemoryMB: int64(deref(t.Resources.MemoryMB)) + int64(deref(t.Resources.SecretsMB)),
			},
		}
		for _, req := range t.Resources.Devices {
			d, why := devices.offer(req)
			if d == nil {
				return nil, "devices: " + why
			}
			devices.take(d)
			tr.Devices = append(tr.Devices, d)
		}
		if !pl.reserveCores(n, t, tr, used) {
			return nil, "cores"
		}
		res.Tasks[t.Name] = tr
	}
	if dim := exceeds(n, used, usageOf([]*api.Allocation{{AllocatedResources: res}})); dim != "" {
		return nil, dim
	}
	c := &candidate{node: n, resources: res}
	pl.score(c, k, held, used)
	return c, ""
}

func (pl *placer) reserveCores(n *api.Node, t *api.Task, tr *api.AllocatedTaskResources, used usage) bool {
	want := deref(t.Resources.Cores)
	if want == 0 {
		return true
	}
	per := n.NodeResources.Cpu.CpuShares / max(int64(n.NodeResources.Cpu.TotalCpuCores), 1)
	for _, id := range n.NodeResources.Cpu.ReservableCpuCores {
		if len(tr.Cpu.ReservedCores) < want && !used.cores[id] {
			used.cores[id] = true
			tr.Cpu.ReservedCores = append(tr.Cpu.ReservedCores, id)
		}
	}
	tr.Cpu.CpuShares = per * int64(want)
	return len(tr.Cpu.ReservedCores) == want
}

// exceeds names the first resource the node has too little of.
func exceeds(n *api.Node, used, more usage) string {
	switch r := n.NodeResources; {
	case used.cpu+more.cpu > r.Cpu.CpuShares:
		return "cpu"
	case used.memory+more.memory > r.Memory.MemoryMB:
		return "memory"
	case used.disk+more.disk > r.Disk.DiskMB:
		return "disk"
	}
	return ""
}
