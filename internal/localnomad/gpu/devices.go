package gpu

import (
	"fmt"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/nvidia"
)

// Groups makes device groups of GPUs that are alike, as Nomad's NVIDIA plugin does.
func Groups(gpus []nvidia.GPU) []*api.NodeDeviceResource {
	groups := []*api.NodeDeviceResource{}
	byModel := map[string]*api.NodeDeviceResource{}
	for _, g := range gpus {
		d := byModel[g.Model]
		if d == nil {
			d = &api.NodeDeviceResource{Vendor: "nvidia", Type: "gpu", Name: g.Model, Attributes: map[string]*api.Attribute{
				"driver_version": {StringVal: &g.Driver},
			}}
			if g.MemoryMiB > 0 {
				d.Attributes["memory"] = &api.Attribute{IntVal: new(int64(g.MemoryMiB)), Unit: "MiB"}
			}
			byModel[g.Model] = d
			groups = append(groups, d)
		}
		d.Instances = append(d.Instances, &api.NodeDevice{ID: g.ID, Healthy: true, Locality: &api.NodeDeviceLocality{PciBusID: g.BusID}})
	}
	return groups
}

// Simulated is a group of n GPUs that do not exist, for a node. Vendor, attribute and IDs say so.
func Simulated(node, model string, n, memoryMiB int) *api.NodeDeviceResource {
	d := &api.NodeDeviceResource{Vendor: "sim", Type: "gpu", Name: model, Attributes: map[string]*api.Attribute{
		"memory":    {IntVal: new(int64(memoryMiB)), Unit: "MiB"},
		"simulated": {BoolVal: new(true)},
	}}
	for i := range n {
		d.Instances = append(d.Instances, &api.NodeDevice{ID: fmt.Sprintf("SIM-%s-%d", node, i), Healthy: true})
	}
	return d
}
