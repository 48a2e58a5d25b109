package nomad

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/hashicorp/nomad/api"
)

// dimension is a resource that may be short, with the workers that fit by it alone.
type dimension struct {
	what        string // "2 x A100"
	total, free int
	more        string // what to add
}

// shortage names the limiting resource, "" if all workers fit by the numbers.
func shortage(d demand, nodes []*api.NodeListStub, use map[string]used) string {
	dims := []dimension{
		{what: d.gpuText(), more: "that GPU"},
		{what: fmt.Sprintf("%d MiB of memory", d.memory), more: "that memory"},
		{what: fmt.Sprintf("%d MHz of CPU", d.cpu), more: "that CPU"},
	}
	all := dimension{}
	for _, n := range nodes {
		empty, now := places(d, n, used{}), places(d, n, use[n.ID])
		for i := range dims {
			dims[i].total += empty[i]
			dims[i].free += now[i]
		}
		all.total += min(empty[0], empty[1], empty[2])
		all.free += min(now[0], now[1], now[2])
	}
	for _, dim := range dims {
		if dim.total < d.workers {
			return fmt.Sprintf("needs %s with %s, the cluster has room for %d: add nodes with %s, or ask for less",
				plural(d.workers, "node"), dim.what, dim.total, dim.more)
		}
	}
	for _, dim := range dims {
		if dim.free < d.workers {
			return fmt.Sprintf("needs %s with %s; %d of %d places are free now: it starts when other work ends",
				plural(d.workers, "node"), dim.what, dim.free, dim.total)
		}
	}
	together := fmt.Sprintf("%s, %s and %s at once", dims[0].what, dims[1].what, dims[2].what)
	if d.gpus == 0 {
		together = fmt.Sprintf("%s and %s at once", dims[1].what, dims[2].what)
	}
	switch {
	case all.total < d.workers:
		return fmt.Sprintf("needs %s with %s, the cluster has room for %d: add nodes, or ask for less", plural(d.workers, "node"), together, all.total)
	case all.free < d.workers:
		return fmt.Sprintf("needs %s with %s; %d of %d places are free now: it starts when other work ends",
			plural(d.workers, "node"), together, all.free, all.total)
	}
	return ""
}

// gpuText formats "2 x A100 (at least 40960 MiB)".
func (d demand) gpuText() string {
	if d.device == nil {
		return "no GPU"
	}
	model := d.device.Name
	if model == DefaultGPUDevice {
		model = "any GPU"
	}
	least := ""
	for _, c := range d.device.Constraints {
		switch {
		case c == nil:
		case c.LTarget == "${device.model}" && isEqual(c.Operand):
			model = c.RTarget
		case c.LTarget == "${device.attr.memory}" && c.Operand == ">=":
			least = " (at least " + c.RTarget + ")"
		}
	}
	return fmt.Sprintf("%d x %s", d.gpus, clean(model+least))
}

// places is how many workers fit on a node by GPUs, memory and CPU.
func places(d demand, n *api.NodeListStub, u used) [3]int {
	if n.NodeResources == nil {
		return [3]int{}
	}
	cpu, memory := unused(n, u)
	return [3]int{gpuPlaces(d, n, u), fit(memory, d.memory), fit(cpu, d.cpu)}
}

func unused(n *api.NodeListStub, u used) (cpu, memory int64) {
	if n.NodeResources == nil {
		return 0, 0
	}
	cpu, memory = n.NodeResources.Cpu.CpuShares-u.cpu, n.NodeResources.Memory.MemoryMB-u.memory
	if r := n.ReservedResources; r != nil {
		cpu -= int64(r.Cpu.CpuShares)      //nolint:gosec // MHz of a node
		memory -= int64(r.Memory.MemoryMB) //nolint:gosec // MiB of a node
	}
	return cpu, memory
}

func fit(have, need int64) int {
	if need <= 0 {
		return math.MaxInt16 // unlimited; small enough to sum
	}
	return int(max(0, have) / need)
}

// gpuPlaces counts within groups of equal devices, since Nomad never mixes them.
func gpuPlaces(d demand, n *api.NodeListStub, u used) int {
	if d.device == nil || d.gpus == 0 {
		return math.MaxInt16
	}
	sum := 0
	for _, g := range n.NodeResources.Devices {
		if g == nil || !matches(d.device, g) {
			continue
		}
		free := 0
		for _, inst := range g.Instances {
			if inst != nil && inst.Healthy && !u.devices[deviceName(g.Vendor, g.Type, g.Name)+"/"+inst.ID] {
				free++
			}
		}
		sum += free / d.gpus
	}
	return sum
}

// matches applies the name and our job file's two constraints to a group of devices.
func matches(want *api.RequestedDevice, g *api.NodeDeviceResource) bool {
	switch parts := strings.SplitN(want.Name, "/", 3); len(parts) {
	case 1:
		if parts[0] != g.Type {
			return false
		}
	case 2:
		if parts[0] != g.Vendor || parts[1] != g.Type {
			return false
		}
	default:
		if parts[0] != g.Vendor || parts[1] != g.Type || parts[2] != g.Name {
			return false
		}
	}
	for _, c := range want.Constraints {
		switch {
		case c == nil:
		case c.LTarget == "${device.model}" && isEqual(c.Operand):
			if c.RTarget != g.Name {
				return false
			}
		case c.LTarget == "${device.attr.memory}" && c.Operand == ">=":
			have, ok := attributeMiB(g.Attributes["memory"])
			need, err := mib(c.RTarget)
			if !ok || err != nil || have < need {
				return false
			}
		}
	}
	return true
}

func isEqual(op string) bool { return op == "" || op == "=" || op == "==" || op == "is" }

// units of device attributes, in MiB.
var units = map[string]float64{
	"kiB": 1.0 / 1024, "KiB": 1.0 / 1024, "MiB": 1, "GiB": 1 << 10, "TiB": 1 << 20, "B": 1.0 / (1 << 20),
	"kB": 1e3 / (1 << 20), "MB": 1e6 / (1 << 20), "GB": 1e9 / (1 << 20), "TB": 1e12 / (1 << 20),
}

func attributeMiB(a *api.Attribute) (float64, bool) {
	if a == nil {
		return 0, false
	}
	factor, ok := units[a.Unit]
	if !ok {
		return 0, false
	}
	switch {
	case a.IntVal != nil:
		return float64(*a.IntVal) * factor, true
	case a.FloatVal != nil:
		return *a.FloatVal * factor, true
	}
	return 0, false
}

// mib parses "40960 MiB".
func mib(s string) (float64, error) {
	number, unit, _ := strings.Cut(strings.TrimSpace(s), " ")
	v, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0, fmt.Errorf("amount %q: %w", clean(s), err)
	}
	factor, ok := units[unit]
	if !ok {
		return 0, fmt.Errorf("unit of %q is not known", clean(s))
	}
	return v * factor, nil
}
