package localnomad

import (
	"slices"
	"strings"

	"github.com/hashicorp/nomad/api"
)

// deviceNameMatches reports whether a request's name (type, vendor/type or
// vendor/type/model) names a device group. The model may hold slashes.
func deviceNameMatches(request string, d *api.NodeDeviceResource) bool {
	parts := strings.SplitN(request, "/", 3)
	switch len(parts) {
	case 1:
		return parts[0] == d.Type
	case 2:
		return parts[0] == d.Vendor && parts[1] == d.Type
	}
	return parts[0] == d.Vendor && parts[1] == d.Type && parts[2] == d.Name
}

// deviceMatches reports whether a device group meets a request's name and
// constraints. It does not look at the count.
func deviceMatches(req *api.RequestedDevice, d *api.NodeDeviceResource) bool {
	if !deviceNameMatches(req.Name, d) {
		return false
	}
	for _, c := range req.Constraints {
		l, lok := resolveDeviceTarget(c.LTarget, d)
		r, rok := resolveDeviceTarget(c.RTarget, d)
		if !checkDeviceOperator(c.Operand, l, r, lok, rok) {
			return false
		}
	}
	return true
}

func resolveDeviceTarget(target string, d *api.NodeDeviceResource) (attribute, bool) {
	inner, ok := strings.CutPrefix(target, "${")
	if !ok {
		return parseAttribute(target), true
	}
	inner = strings.TrimSuffix(inner, "}")
	switch inner {
	case "device.model":
		return attribute{text: &d.Name}, true
	case "device.vendor":
		return attribute{text: &d.Vendor}, true
	case "device.type":
		return attribute{text: &d.Type}, true
	case "device.ids":
		ids := make([]string, 0, len(d.Instances))
		for _, i := range d.Instances {
			ids = append(ids, i.ID)
		}
		joined := strings.Join(ids, ",")
		return attribute{text: &joined}, true
	}
	if name, ok := strings.CutPrefix(inner, "device.attr."); ok {
		if a := d.Attributes[name]; a != nil {
			return wireAttribute(a), true
		}
	}
	return attribute{}, false
}

func checkDeviceOperator(op string, l, r attribute, lok, rok bool) bool {
	both := lok && rok
	switch op {
	case api.ConstraintDistinctHosts, api.ConstraintDistinctProperty:
		return true
	case "!=", "not":
		if !both {
			return lok != rok
		}
		order, ok := l.compare(r)
		return ok && order != 0
	case "=", "==", "is":
		order, ok := l.compare(r)
		return both && ok && order == 0
	case "<", "<=", ">", ">=":
		order, ok := l.compare(r)
		return both && ok && ordered(op, order)
	case api.ConstraintAttributeIsSet:
		return lok
	case api.ConstraintAttributeIsNotSet:
		return !lok
	case api.ConstraintVersion, api.ConstraintSemver:
		text, ok := l.versionText()
		return both && ok && r.text != nil && checkOperator(op, text, *r.text, true, true)
	case api.ConstraintRegex, api.ConstraintSetContains, api.ConstraintSetContainsAll, api.ConstraintSetContainsAny:
		return both && l.text != nil && r.text != nil && checkOperator(op, *l.text, *r.text, true, true)
	}
	return false
}

// nodeHasDevices reports whether a node has, free or not, what the requests
// need together.
func nodeHasDevices(n *api.Node, reqs []*api.RequestedDevice) bool {
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
			if need > 0 && left[i] > 0 && deviceMatches(req, d) {
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

// deviceUse tracks a node's free device instances while placing.
type deviceUse struct {
	node *api.Node
	used map[string]bool // vendor/type/name/id
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
		u.used[deviceKey(d.Vendor, d.Type, d.Name, id)] = true
	}
}

func deviceKey(vendor, kind, name, id string) string {
	return vendor + "/" + kind + "/" + name + "/" + id
}

// offer picks instances for a request. An offer never spans device groups.
// The text says why there is none, as Nomad's DimensionExhausted does.
func (u *deviceUse) offer(req *api.RequestedDevice) (*api.AllocatedDeviceResource, string) {
	if len(u.node.NodeResources.Devices) == 0 {
		return nil, "no devices available"
	}
	if *req.Count == 0 {
		return nil, "invalid request of zero devices"
	}
	var (
		best      *api.AllocatedDeviceResource
		bestScore float64
	)
	for _, d := range u.node.NodeResources.Devices {
		if !deviceMatches(req, d) {
			continue
		}
		ids := u.free(d, int(*req.Count))
		if len(ids) < int(*req.Count) {
			continue
		}
		score := deviceAffinity(req, d)
		if best == nil || score > bestScore {
			best = &api.AllocatedDeviceResource{Vendor: d.Vendor, Type: d.Type, Name: d.Name, DeviceIDs: ids}
			bestScore = score
		}
	}
	if best == nil {
		return nil, "no devices match request"
	}
	return best, ""
}

func (u *deviceUse) free(d *api.NodeDeviceResource, count int) []string {
	var ids []string
	for _, inst := range d.Instances {
		if len(ids) == count {
			break
		}
		if inst.Healthy && !u.used[deviceKey(d.Vendor, d.Type, d.Name, inst.ID)] {
			ids = append(ids, inst.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

func deviceAffinity(req *api.RequestedDevice, d *api.NodeDeviceResource) float64 {
	var score, total float64
	for _, a := range req.Affinities {
		weight := float64(deref(a.Weight))
		total += max(weight, -weight)
		l, lok := resolveDeviceTarget(a.LTarget, d)
		r, rok := resolveDeviceTarget(a.RTarget, d)
		if checkDeviceOperator(a.Operand, l, r, lok, rok) {
			score += weight
		}
	}
	if total == 0 {
		return 0
	}
	return score / total
}
