package localnomad

import (
	"maps"
	"math"
	"slices"
	"sort"

	"github.com/hashicorp/nomad/api"
)

func scoreMeta(m *api.AllocationMetric, all []*candidate) {
	sort.SliceStable(all, func(i, j int) bool { return all[i].score > all[j].score })
	for _, c := range all[:min(len(all), 5)] {
		m.ScoreMetaData = append(m.ScoreMetaData, &api.NodeScoreMeta{NodeID: c.node.ID, Scores: c.scores, NormScore: c.score})
	}
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
