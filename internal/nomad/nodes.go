package nomad

import (
	"context"
	"slices"
	"strings"

	"github.com/hashicorp/nomad/api"

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
	slices.SortFunc(nodes, func(a, b run.Node) int { return strings.Compare(a.Name+a.ID, b.Name+b.ID) })
	return nodes, nil
}

func (c *Client) nodeStubs(ctx context.Context) ([]*api.NodeListStub, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	q := query(ctx)
	q.Params["resources"] = "true"
	stubs, _, err := list[api.NodeListStub](c, "list nodes", "/v1/nodes", q)
	return stubs, err
}

// simulatedKey is the device attribute by which the embedded agent says that a GPU stands for one that does not exist.
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
