package nomad

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/nomad/api"
	"golang.org/x/sync/errgroup"

	"github.com/cotrain/cotrain/internal/run"
)

// Nodes returns every node of the region, by name.
func (c *Client) Nodes(ctx context.Context) ([]run.Node, error) {
	stubs, err := c.nodeStubs(ctx)
	if err != nil {
		return nil, err
	}
	nodes := make([]run.Node, 0, len(stubs))
	for _, s := range stubs {
		nodes = append(nodes, node(s))
	}
	if c.cfg.ConsulNames {
		c.setConsulNames(ctx, stubs, nodes)
	}
	slices.SortFunc(nodes, func(a, b run.Node) int { return strings.Compare(a.Name+a.ID, b.Name+b.ID) })
	return nodes, nil
}

// GPUUses returns the GPUs of live allocations by node, and the workers without GPUs, in all namespaces that the token may see. The
// caller fills in the runs.
func (c *Client) GPUUses(ctx context.Context) (map[string][]run.GPUUse, error) {
	stubs, err := c.liveAllocations(ctx)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(stubs, func(a, b *api.AllocationListStub) int {
		return cmp.Or(strings.Compare(a.JobID, b.JobID), rankOf(a.Name)-rankOf(b.Name), strings.Compare(a.ID, b.ID))
	})
	out := map[string][]run.GPUUse{}
	for _, s := range stubs {
		u := run.GPUUse{Job: s.JobID, Rank: -1}
		if s.AllocatedResources != nil {
			for _, task := range slices.Sorted(maps.Keys(s.AllocatedResources.Tasks)) {
				u.GPUs = append(u.GPUs, gpusOf(s.AllocatedResources.Tasks[task])...)
			}
		}
		if s.TaskGroup == groupName && strings.HasPrefix(s.JobID, parentPrefix) {
			u.Rank = rankOf(s.Name)
		}
		if len(u.GPUs) > 0 || u.Rank >= 0 {
			out[s.NodeID] = append(out[s.NodeID], u)
		}
	}
	return out, nil
}

func (c *Client) nodeStubs(ctx context.Context) ([]*api.NodeListStub, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	q := query(ctx)
	q.Params["resources"] = "true"
	stubs, _, err := list[api.NodeListStub](c, "list nodes", "/v1/nodes", q)
	return stubs, err
}

// namedAt is a node's name in Consul, as of an index of its entry.
type namedAt struct {
	name  run.ConsulName
	index uint64
}

// setConsulNames sets the nodes' names in Consul. A list of nodes does not have them: each node is read once for as long as its entry
// stays as it is. Of one that cannot be read the address alone is known.
func (c *Client) setConsulNames(ctx context.Context, stubs []*api.NodeListStub, nodes []run.Node) {
	c.mu.Lock()
	before := c.consulNames
	c.mu.Unlock()
	now := make([]namedAt, len(stubs))
	var reading errgroup.Group
	reading.SetLimit(inspectAtOnce)
	for i, s := range stubs {
		now[i] = namedAt{run.ConsulName{Address: s.Address}, s.ModifyIndex}
		if was, ok := before[s.ID]; ok && was.index == s.ModifyIndex {
			now[i] = was
			continue
		}
		reading.Go(func() error {
			n, err := c.inspect(ctx, s.ID)
			if err != nil {
				now[i].index = 0 // next time again
				c.log.Debug("no name in Consul", "node", s.Name, "err", err)
				return nil
			}
			now[i].name = n.ConsulName
			return nil
		})
	}
	_ = reading.Wait() // never fails
	names := make(map[string]namedAt, len(stubs))
	for i, s := range stubs {
		nodes[i].ConsulName, names[s.ID] = now[i].name, now[i]
	}
	c.mu.Lock()
	c.consulNames = names
	c.mu.Unlock()
}

// simulatedKey is the embedded agent's device attribute of simulated GPUs.
const simulatedKey = "simulated"

func node(s *api.NodeListStub) run.Node {
	n := run.Node{
		ID: s.ID, Name: s.Name, Datacenter: s.Datacenter, Status: s.Status,
		Eligible: s.SchedulingEligibility == api.NodeSchedulingEligible && !s.Drain,
	}
	if s.NodeResources == nil {
		return n
	}
	n.CPU, n.Memory = int(s.NodeResources.Cpu.CpuShares), int(s.NodeResources.Memory.MemoryMB)
	for _, d := range s.NodeResources.Devices {
		if d == nil {
			continue
		}
		for _, inst := range d.Instances {
			if inst != nil && inst.Healthy {
				n.GPUs = append(n.GPUs, run.GPU{ID: inst.ID, Model: deviceName(d.Vendor, d.Type, d.Name)})
			}
		}
		if a := d.Attributes[simulatedKey]; a != nil && deref(a.BoolVal) {
			n.Simulated = true
		}
	}
	return n
}
