package localnomad

import (
	"maps"
	"math"
	"slices"
	"sort"
	"strings"
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
}

// place finds a node for each ask, or records why there is none.
func (s *Server) place(p *plan, job *api.Job, asks []ask) {
	if len(asks) == 0 {
		return
	}
	pl := &placer{s: s, p: p, job: job, byDC: map[string]int{}, bad: map[string]bool{}}
	for _, id := range sortedKeys(s.st.nodes, "") {
		n := s.st.nodes[id]
		if n.Status != nodeReady || n.SchedulingEligibility != api.NodeSchedulingEligible || !inPool(job, n) {
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

func inPool(job *api.Job, n *api.Node) bool {
	pool := deref(job.NodePool)
	return pool == "" && n.NodePool == "default" || pool == n.NodePool || pool == "all"
}

func inDatacenter(job *api.Job, n *api.Node) bool {
	for _, pattern := range job.Datacenters {
		if glob(pattern, n.Datacenter) {
			return true
		}
	}
	return false
}

// glob matches "*" with any text, also none. Datacenter patterns know nothing else.
func glob(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == text
	}
	rest, ok := strings.CutPrefix(text, parts[0])
	if !ok {
		return false
	}
	last := len(parts) - 1
	for _, part := range parts[1:last] {
		i := strings.Index(rest, part)
		if i < 0 {
			return false
		}
		rest = rest[i+len(part):]
	}
	return strings.HasSuffix(rest, parts[last])
}

// eligible says of each class of nodes whether it could ever hold the job.
func (pl *placer) eligible() map[string]bool {
	if len(pl.p.failed) == 0 {
		return nil
	}
	out := map[string]bool{}
	for _, n := range pl.nodes {
		class := computedClass(n)
		out[class] = !pl.bad[class]
	}
	return out
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

func scoreMeta(m *api.AllocationMetric, all []*candidate) {
	sort.SliceStable(all, func(i, j int) bool { return all[i].score > all[j].score })
	for _, c := range all[:min(len(all), 5)] {
		m.ScoreMetaData = append(m.ScoreMetaData, &api.NodeScoreMeta{NodeID: c.node.ID, Scores: c.scores, NormScore: c.score})
	}
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

// infeasible returns why a node can never hold the group, or "". The order of
// the checks and the texts are Nomad's; so is naming only the first node of a
// class that fails.
func (pl *placer) infeasible(tg *api.TaskGroup, n *api.Node) string {
	class := ""
	if !escapes(pl.job, tg) {
		class = computedClass(n)
		if pl.bad[class+"/"+*tg.Name] {
			return "computed class ineligible"
		}
	}
	if why := pl.staticallyInfeasible(tg, n); why != "" {
		if class != "" {
			pl.bad[class], pl.bad[class+"/"+*tg.Name] = true, true
		}
		return why
	}
	return pl.notDistinct(tg, n)
}

func (pl *placer) staticallyInfeasible(tg *api.TaskGroup, n *api.Node) string {
	for _, c := range pl.job.Constraints {
		if !meets(c, n) {
			return constraintText(c)
		}
	}
	for _, t := range tg.Tasks {
		if d := n.Drivers[t.Driver]; d == nil || !d.Detected || !d.Healthy {
			return "missing drivers"
		}
	}
	for _, c := range groupConstraints(tg) {
		if !meets(c, n) {
			return constraintText(c)
		}
	}
	var devices []*api.RequestedDevice
	for _, t := range tg.Tasks {
		devices = append(devices, t.Resources.Devices...)
	}
	if len(devices) > 0 && !nodeHasDevices(n, devices) {
		return "missing devices"
	}
	if len(tg.Networks) > 0 {
		switch tg.Networks[0].Mode {
		case "", "host", "none":
		default:
			return "missing network"
		}
	}
	for _, v := range tg.Volumes {
		if v.Type == "csi" {
			return "missing CSI volume(s) " + v.Source
		}
		return "missing compatible host volumes"
	}
	return ""
}

func groupConstraints(tg *api.TaskGroup) []*api.Constraint {
	out := slices.Clone(tg.Constraints)
	for _, t := range tg.Tasks {
		out = append(out, t.Constraints...)
	}
	return out
}

// escapes reports whether a constraint looks at what is unique to a node, so
// that one node's failure says nothing about others of its class.
func escapes(job *api.Job, tg *api.TaskGroup) bool {
	for _, c := range slices.Concat(job.Constraints, groupConstraints(tg)) {
		for _, t := range []string{c.LTarget, c.RTarget} {
			if strings.HasPrefix(t, "${node.unique.") || strings.HasPrefix(t, "${attr.unique.") || strings.HasPrefix(t, "${meta.unique.") {
				return true
			}
		}
	}
	return false
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

func (pl *placer) notDistinct(tg *api.TaskGroup, n *api.Node) string {
	jobWide, groupWide := distinctHosts(pl.job.Constraints), distinctHosts(tg.Constraints)
	if jobWide || groupWide {
		for _, a := range pl.onNode(n) {
			if !serverTerminal(a) && a.JobID == *pl.job.ID && (jobWide || a.TaskGroup == *tg.Name) {
				return api.ConstraintDistinctHosts
			}
		}
	}
	for _, c := range pl.job.Constraints {
		if why := pl.propertyTaken(c, n, ""); why != "" {
			return why
		}
	}
	for _, c := range tg.Constraints {
		if why := pl.propertyTaken(c, n, *tg.Name); why != "" {
			return why
		}
	}
	return ""
}

// memory is what a group's tasks need together, in MiB.
func groupNeeds(tg *api.TaskGroup) (cpu, memory, disk int64) {
	for _, t := range tg.Tasks {
		if deref(t.Resources.Cores) == 0 {
			cpu += int64(deref(t.Resources.CPU))
		}
		memory += int64(deref(t.Resources.MemoryMB)) + int64(deref(t.Resources.SecretsMB))
	}
	return cpu, memory, int64(deref(tg.EphemeralDisk.SizeMB))
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

// score ranks a node as Nomad does: the mean of bin packing, keeping a job's
// allocations apart, and affinities.
func (pl *placer) score(c *candidate, k ask, held []*api.Allocation, used usage) {
	r := c.node.NodeResources
	total := usageOf([]*api.Allocation{{AllocatedResources: c.resources}})
	free := func(used, all int64) float64 {
		if all <= 0 {
			return 0
		}
		return 1 - float64(used)/float64(all)
	}
	pack := 20 - math.Pow(10, free(used.cpu+total.cpu, r.Cpu.CpuShares)) - math.Pow(10, free(used.memory+total.memory, r.Memory.MemoryMB))
	c.scores = map[string]float64{"binpack": min(max(pack, 0), 18) / 18}
	same := 0
	for _, a := range held {
		if a.JobID == *pl.job.ID && a.TaskGroup == *k.group.Name && !serverTerminal(a) {
			same++
		}
	}
	if same > 0 {
		c.scores["job-anti-affinity"] = -float64(same+1) / float64(max(*k.group.Count, 1))
	}
	if k.reschedule && k.prev.NodeID == c.node.ID {
		c.scores["node-reschedule-penalty"] = -1
	}
	if a := affinityScore(pl.job, k.group, c.node); a != 0 {
		c.scores["node-affinity"] = a
	}
	for _, v := range c.scores {
		c.score += v
	}
	c.score /= float64(len(c.scores))
}

func affinityScore(job *api.Job, tg *api.TaskGroup, n *api.Node) float64 {
	affinities := slices.Concat(job.Affinities, tg.Affinities)
	for _, t := range tg.Tasks {
		affinities = append(affinities, t.Affinities...)
	}
	var score, total float64
	for _, a := range affinities {
		w := float64(deref(a.Weight))
		total += math.Abs(w)
		l, lok := resolveTarget(a.LTarget, n)
		r, rok := resolveTarget(a.RTarget, n)
		if checkOperator(a.Operand, l, r, lok, rok) {
			score += w
		}
	}
	if total == 0 {
		return 0
	}
	return score / total
}

// exhaustResources adds what the group asks of the resources that ran out.
func exhaustResources(m *api.AllocationMetric, tg *api.TaskGroup) {
	if m.DimensionExhausted == nil {
		return
	}
	if m.ResourcesExhausted == nil {
		m.ResourcesExhausted = map[string]*api.Resources{}
	} else {
		m.ResourcesExhausted = maps.Clone(m.ResourcesExhausted)
	}
	for _, t := range tg.Tasks {
		r := &api.Resources{CPU: new(0), MemoryMB: new(0)}
		if old := m.ResourcesExhausted[t.Name]; old != nil {
			r = &api.Resources{CPU: new(*old.CPU), MemoryMB: new(*old.MemoryMB)}
		}
		if m.DimensionExhausted["memory"] > 0 {
			*r.MemoryMB += deref(t.Resources.MemoryMB)
		}
		if m.DimensionExhausted["cpu"] > 0 {
			*r.CPU += deref(t.Resources.CPU)
		}
		m.ResourcesExhausted[t.Name] = r
	}
}
