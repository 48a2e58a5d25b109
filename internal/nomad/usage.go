package nomad

import (
	"context"
	"math"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/run"
)

// Bounds of what a machine can be: what a broken driver or plugin says beyond them is not known.
const (
	maxBytes    = 1 << 50 // of memory or disk
	maxWatts    = 10_000
	maxDegrees  = 200
	maxCores    = 10_000
	maxMegabyte = maxBytes >> 20
)

// NodeUsage asks a node what its machine uses, GPUs under the names of Nomad's NVIDIA plugin and without those that report nothing.
func (c *Client) NodeUsage(ctx context.Context, nodeID string) (run.NodeUsage, error) {
	q := query(ctx)
	q.Params["node_id"] = nodeID
	var host struct {
		api.HostStats
		Timestamp int64
	}
	if _, err := c.calls.Raw().Query("/v1/client/stats", &host, q); err != nil {
		return run.NodeUsage{}, classify("measure node "+nodeID, err)
	}
	u := run.NodeUsage{At: measuredAt(host.Timestamp), CPU: busy(host.CPU)}
	if m := host.Memory; m != nil && m.Total > 0 {
		u.MemoryUsed, u.MemoryTotal = size(m.Used), size(m.Total)
	}
	if d := host.AllocDirStats; d != nil && d.Size > 0 {
		u.DiskUsed, u.DiskTotal = size(d.Used), size(d.Size)
	}
	u.GPUs = gpuStats(host.DeviceStats)
	return u, nil
}

// TaskUsage asks a worker's node what its processes use. That is nothing where the client has no publish_allocation_metrics in its
// telemetry: it does not look then.
func (c *Client) TaskUsage(ctx context.Context, jobID, allocID string) (run.TaskUsage, error) {
	q := query(ctx)
	q.Namespace = c.namespace(jobID)
	var all api.AllocResourceUsage
	if _, err := c.calls.Raw().Query("/v1/client/allocation/"+url.PathEscape(allocID)+"/stats", &all, q); err != nil {
		return run.TaskUsage{}, classify("measure allocation "+allocID, err)
	}
	if all.ResourceUsage == nil || len(all.Tasks) == 0 {
		return run.TaskUsage{}, nil
	}
	u := run.TaskUsage{At: measuredAt(all.Timestamp)}
	for _, t := range all.Tasks {
		if t != nil && u.At.IsZero() { // Nomad has it with the tasks
			u.At = measuredAt(t.Timestamp)
		}
	}
	if cpu := all.ResourceUsage.CpuStats; cpu != nil {
		u.CPU = between(cpu.Percent, 0, 100*maxCores)
	}
	if m := all.ResourceUsage.MemoryStats; m != nil {
		u.Memory = size(m.RSS)
		if m.RSS == 0 { // which of them is measured depends on the driver
			u.Memory = size(m.Usage - min(m.Usage, m.Cache))
		}
		if m.MaxUsage > 0 {
			u.MemoryPeak = size(m.MaxUsage)
		}
	}
	return u, nil
}

// measuredAt is the time of a measurement, which Nomad gives in nanoseconds; zero if it does not.
func measuredAt(ns int64) time.Time {
	if ns <= 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}

// busy is the share of time that cores are not idle, in percent.
func busy(cores []*api.HostCPUStats) *float64 {
	sum, n := 0.0, 0
	for _, core := range cores {
		if core == nil {
			continue
		}
		if idle := between(core.Idle, 0, 100); idle != nil {
			sum += 100 - *idle
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return new(sum / float64(n))
}

func between(v, least, most float64) *float64 {
	if !(v >= least && v <= most) { // also a NaN
		return nil
	}
	return &v
}

func size(bytes uint64) *int64 {
	if bytes > maxBytes {
		return nil
	}
	return new(int64(bytes)) //nolint:gosec // bounded
}

func gpuStats(groups []*api.DeviceGroupStats) (out []run.GPUStats) {
	for _, group := range groups {
		if group == nil {
			continue
		}
		for id, device := range group.InstanceStats {
			if device == nil || device.Stats == nil {
				continue
			}
			if st := gpuStat(id, device.Stats.Attributes); st != (run.GPUStats{ID: id}) {
				out = append(out, st)
			}
		}
	}
	slices.SortFunc(out, func(a, b run.GPUStats) int { return strings.Compare(a.ID, b.ID) })
	return out
}

// gpuStat reads the statistics of a device. Plugins of other vendors have their own names and units: what is under a name that is not
// known here is left out, and a unit that is not known is no number.
func gpuStat(id string, values map[string]*api.StatValue) run.GPUStats {
	st := run.GPUStats{ID: id}
	for name, v := range values {
		if v == nil {
			continue
		}
		switch strings.ToLower(strings.NewReplacer("_", " ", "-", " ").Replace(name)) {
		case "gpu utilization":
			st.Utilization = inUnit(v, 100, map[string]float64{"": 1, "%": 1, "percent": 1})
		case "memory state":
			st.MemoryUsed, st.MemoryTotal = inUnit(v, maxMegabyte, mebibytes), inUnit(denominator(v), maxMegabyte, mebibytes)
		case "power usage":
			st.Power, st.PowerLimit = inUnit(v, maxWatts, watts), inUnit(denominator(v), maxWatts, watts)
		case "temperature":
			st.Temperature = inUnit(v, maxDegrees, map[string]float64{"": 1, "c": 1, "°c": 1, "celsius": 1})
		case "ecc memory errors":
			st.ECCErrors = inUnit(v, math.MaxInt32, nil)
		}
	}
	return st
}

// What a unit is in those of [run.GPUStats].
var (
	mebibytes = map[string]float64{"": 1, "mib": 1, "mb": 1e6 / (1 << 20), "gib": 1 << 10, "gb": 1e9 / (1 << 20), "kib": 1.0 / (1 << 10), "b": 1.0 / (1 << 20), "bytes": 1.0 / (1 << 20)}
	watts     = map[string]float64{"": 1, "w": 1, "watt": 1, "watts": 1, "mw": 1e-3, "uw": 1e-6}
)

func denominator(v *api.StatValue) *api.StatValue {
	return &api.StatValue{IntNumeratorVal: v.IntDenominatorVal, FloatNumeratorVal: v.FloatDenominatorVal, Unit: v.Unit}
}

// inUnit returns a statistic's number, or nil if it has none from 0 to most; units is nil for a count.
func inUnit(v *api.StatValue, most float64, units map[string]float64) *int64 {
	var n float64
	switch {
	case v.IntNumeratorVal != nil:
		n = float64(*v.IntNumeratorVal)
	case v.FloatNumeratorVal != nil:
		n = *v.FloatNumeratorVal
	default:
		return nil
	}
	if units != nil {
		factor, known := units[strings.ToLower(v.Unit)]
		if !known {
			return nil
		}
		n *= factor
	}
	if !(n >= 0 && n <= most) {
		return nil
	}
	return new(int64(math.Round(n)))
}
