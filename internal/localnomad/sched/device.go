package sched

import (
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/localnomad/state"
)

// deviceMatches reports whether a group of devices meets a request's name (type, vendor/type or vendor/type/model; the model
// may hold slashes) and constraints. It does not look at the count.
func deviceMatches(req *api.RequestedDevice, d *api.NodeDeviceResource) bool {
	parts := strings.SplitN(req.Name, "/", 3)
	have := [][]string{{d.Type}, {d.Vendor, d.Type}, {d.Vendor, d.Type, d.Name}}[len(parts)-1]
	if !slices.Equal(parts, have) {
		return false
	}
	for _, c := range req.Constraints {
		if !meets(c.LTarget, c.Operand, c.RTarget, func(target string) (string, bool) { return resolveDevice(target, d) }) {
			return false
		}
	}
	return true
}

func resolveDevice(target string, d *api.NodeDeviceResource) (string, bool) {
	inner, ok := strings.CutPrefix(target, "${device.")
	if !ok {
		return target, !strings.HasPrefix(target, "${")
	}
	switch inner = strings.TrimSuffix(inner, "}"); inner {
	case "model":
		return d.Name, true
	case "vendor":
		return d.Vendor, true
	case "type":
		return d.Type, true
	}
	name, _ := strings.CutPrefix(inner, "attr.")
	a := d.Attributes[name]
	switch {
	case a == nil:
		return "", false
	case a.IntVal != nil:
		return strconv.FormatInt(*a.IntVal, 10) + a.Unit, true
	case a.FloatVal != nil:
		return strconv.FormatFloat(*a.FloatVal, 'g', -1, 64) + a.Unit, true
	case a.BoolVal != nil:
		return strconv.FormatBool(*a.BoolVal), true
	}
	return state.Deref(a.StringVal), a.StringVal != nil
}

// hasDevices reports whether a node has, free or not, what the requests need together.
func hasDevices(n *api.Node, reqs []*api.RequestedDevice) bool {
	left := make([]uint64, len(n.NodeResources.Devices))
	for i, d := range n.NodeResources.Devices {
		for _, inst := range d.Instances {
			if inst.Healthy {
				left[i]++
			}
		}
	}
	for _, req := range reqs {
		need := *req.Count
		for i, d := range n.NodeResources.Devices {
			if deviceMatches(req, d) {
				take := min(need, left[i])
				left[i] -= take
				need -= take
			}
		}
		if need > 0 {
			return false
		}
	}
	return true
}

// deviceUse tracks a node's free devices while placing.
type deviceUse struct {
	node *api.Node
	used map[string]bool // by ID
}

func newDeviceUse(n *api.Node, allocs []*api.Allocation) *deviceUse {
	u := &deviceUse{node: n, used: map[string]bool{}}
	for _, a := range allocs {
		if a.AllocatedResources == nil {
			continue
		}
		for _, t := range a.AllocatedResources.Tasks {
			for _, d := range t.Devices {
				u.take(d)
			}
		}
	}
	return u
}

func (u *deviceUse) take(d *api.AllocatedDeviceResource) {
	for _, id := range d.DeviceIDs {
		u.used[id] = true
	}
}

// offer picks devices for a request, all of one group. The text says why there is none, as Nomad's DimensionExhausted does.
func (u *deviceUse) offer(req *api.RequestedDevice) (*api.AllocatedDeviceResource, string) {
	if *req.Count == 0 {
		return nil, "invalid request of zero devices"
	}
	for _, d := range u.node.NodeResources.Devices {
		if !deviceMatches(req, d) {
			continue
		}
		var ids []string
		for _, inst := range d.Instances {
			if uint64(len(ids)) < *req.Count && inst.Healthy && !u.used[inst.ID] {
				ids = append(ids, inst.ID)
			}
		}
		if uint64(len(ids)) == *req.Count {
			return &api.AllocatedDeviceResource{Vendor: d.Vendor, Type: d.Type, Name: d.Name, DeviceIDs: ids}, ""
		}
	}
	return nil, "no devices match request"
}
