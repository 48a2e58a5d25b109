package localnomad

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"

	"github.com/hashicorp/nomad/api"
)

// loopback is the address of every local node and of what runs on it.
const loopback = "127.0.0.1"

// assignPorts reserves a group's ports. All local nodes are one machine, so
// that a port taken on one is taken on all; a port that another process of
// the machine holds is not given out either.
func (pl *placer) assignPorts(want *api.NetworkResource) (*api.NetworkResource, []api.PortMapping, string) {
	if want.Mode == "none" {
		return &api.NetworkResource{Mode: "none"}, nil, ""
	}
	if pl.ports == nil {
		pl.ports = pl.s.portsInUse()
	}
	taken := map[int]bool{}
	got := &api.NetworkResource{Mode: "host", Device: "lo", IP: loopback, Hostname: want.Hostname, DNS: want.DNS}
	var ports []api.PortMapping
	add := func(p api.Port) {
		taken[p.Value] = true
		ports = append(ports, api.PortMapping{Label: p.Label, Value: p.Value, To: p.To, HostIP: loopback})
	}
	for _, p := range want.ReservedPorts {
		if !p.IgnoreCollision && (pl.ports[p.Value] || taken[p.Value] || pl.held(p.Value) || !portFree(p.Value)) {
			return nil, nil, fmt.Sprintf("reserved port collision %s=%d", p.Label, p.Value)
		}
		setDefault(&p.HostNetwork, "default")
		got.ReservedPorts = append(got.ReservedPorts, p)
		add(p)
	}
	for _, p := range want.DynamicPorts {
		value := pl.dynamicPort(taken)
		if value == 0 {
			return nil, nil, "dynamic port selection failed"
		}
		p.Value = value
		if p.To == -1 {
			p.To = value
		}
		setDefault(&p.HostNetwork, "default")
		got.DynamicPorts = append(got.DynamicPorts, p)
		add(p)
	}
	return got, ports, ""
}

// dynamicPort finds a free port: random first, so that a port that was just
// given back is not given out at once, then in order.
func (pl *placer) dynamicPort(taken map[int]bool) int {
	const span = maxDynamicPort - minDynamicPort + 1
	start := rand.IntN(span)
	for i := range span {
		port := minDynamicPort + (start+i)%span
		if !pl.ports[port] && !taken[port] && !pl.held(port) && portFree(port) {
			return port
		}
	}
	return 0
}

// held reports whether this plan has given the port out.
func (pl *placer) held(port int) bool {
	for _, a := range pl.p.placed {
		for _, m := range a.AllocatedResources.Shared.Ports {
			if m.Value == port {
				return true
			}
		}
	}
	return false
}

// portsInUse lists the ports of all allocations that have not ended. The lock
// is held.
func (s *Server) portsInUse() map[int]bool {
	used := map[int]bool{}
	for _, a := range s.st.allocs {
		if !s.holds(a) || a.AllocatedResources == nil {
			continue
		}
		for _, p := range a.AllocatedResources.Shared.Ports {
			used[p.Value] = true
		}
	}
	return used
}

// portFree reports whether nobody on the machine listens on a port.
func portFree(port int) bool {
	l, err := net.Listen("tcp4", net.JoinHostPort(loopback, strconv.Itoa(port))) //nolint:noctx // does not wait
	if err != nil {
		return false
	}
	return l.Close() == nil
}

// propertyTaken checks a distinct_property constraint: how many allocations
// of the job (or group) already have the node's value of the property.
func (pl *placer) propertyTaken(c *api.Constraint, n *api.Node, group string) string {
	if c.Operand != api.ConstraintDistinctProperty {
		return ""
	}
	value, ok := resolveTarget(c.LTarget, n)
	if !ok {
		return fmt.Sprintf("missing property %q", c.LTarget)
	}
	allowed := 1
	if c.RTarget != "" {
		v, err := strconv.ParseUint(c.RTarget, 10, 31)
		if err != nil {
			return fmt.Sprintf("failed to convert RTarget %q to uint64: %v", c.RTarget, err)
		}
		allowed = int(v)
	}
	used := 0
	for _, other := range pl.s.st.nodes {
		if v, ok := resolveTarget(c.LTarget, other); !ok || v != value {
			continue
		}
		for _, a := range pl.onNode(other) {
			if a.JobID == *pl.job.ID && !serverTerminal(a) && (group == "" || a.TaskGroup == group) {
				used++
			}
		}
	}
	if used >= allowed {
		return fmt.Sprintf("distinct_property: %s=%s used by %d allocs", c.LTarget, value, used)
	}
	return ""
}
