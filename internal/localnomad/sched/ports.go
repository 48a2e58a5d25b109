package sched

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/localnomad/state"
)

// The range that dynamic ports are taken from, as on a Nomad client.
const (
	MinDynamicPort = 20000
	MaxDynamicPort = 32000
)

// assignPorts reserves a group's ports. All local nodes are one machine: a port that is taken on one is taken on all, and a
// port that another process of the machine holds is not given out either.
func (pl *placer) assignPorts(want *api.NetworkResource) (*api.NetworkResource, []api.PortMapping, string) {
	taken := pl.portsInUse()
	got := &api.NetworkResource{Mode: "host", Device: "lo", IP: state.Loopback}
	var ports []api.PortMapping
	take := func(p api.Port) api.Port {
		if p.HostNetwork == "" {
			p.HostNetwork = "default"
		}
		taken[p.Value] = true
		ports = append(ports, api.PortMapping{Label: p.Label, Value: p.Value, To: p.To, HostIP: state.Loopback})
		return p
	}
	for _, p := range want.ReservedPorts {
		if taken[p.Value] || !portFree(p.Value) {
			return nil, nil, fmt.Sprintf("reserved port collision %s=%d", p.Label, p.Value)
		}
		got.ReservedPorts = append(got.ReservedPorts, take(p))
	}
	for _, p := range want.DynamicPorts {
		if p.Value = dynamicPort(taken); p.Value == 0 {
			return nil, nil, "dynamic port selection failed"
		}
		if p.To == -1 {
			p.To = p.Value
		}
		got.DynamicPorts = append(got.DynamicPorts, take(p))
	}
	return got, ports, ""
}

// dynamicPort finds a free port: random first, so that a port that was just given back is not given out at once, then in
// order.
func dynamicPort(taken map[int]bool) int {
	const span = MaxDynamicPort - MinDynamicPort + 1
	start := rand.IntN(span)
	for i := range span {
		port := MinDynamicPort + (start+i)%span
		if !taken[port] && portFree(port) {
			return port
		}
	}
	return 0
}

// portsInUse lists the ports of all allocations that hold theirs, and those that this plan has given out.
func (pl *placer) portsInUse() map[int]bool {
	used := map[int]bool{}
	add := func(a *api.Allocation) {
		if a.AllocatedResources != nil {
			for _, p := range a.AllocatedResources.Shared.Ports {
				used[p.Value] = true
			}
		}
	}
	if pl.ports == nil {
		for _, a := range pl.t.Allocs {
			if !state.ClientTerminal(a) || pl.s.runners.Holds(a.ID) {
				add(a)
			}
		}
		pl.ports = used
		used = map[int]bool{}
	}
	for port := range pl.ports {
		used[port] = true
	}
	for _, a := range pl.p.Placed {
		add(a)
	}
	return used
}

// portFree reports whether nobody on the machine listens on a port.
func portFree(port int) bool {
	l, err := net.Listen("tcp4", net.JoinHostPort(state.Loopback, strconv.Itoa(port))) //nolint:noctx // does not wait
	if err != nil {
		return false
	}
	return l.Close() == nil
}
