package localnomad

import (
	"bytes"
	"context"
	"encoding/csv"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/nomad/api"
)

// gpuStatsAge is how old a measurement may be before nvidia-smi is asked again.
const gpuStatsAge = 2 * time.Second

// gpuCache keeps the last measurement: asking takes long, and many ask.
type gpuCache struct {
	mu sync.Mutex
	at time.Time
	v  []*api.DeviceGroupStats
}

// gpuStats measures the real GPUs. Simulated ones have nothing to measure.
func (s *Server) gpuStats() []*api.DeviceGroupStats {
	if !s.opts.DetectGPUs {
		return nil
	}
	s.gpus.mu.Lock()
	defer s.gpus.mu.Unlock()
	if time.Since(s.gpus.at) < gpuStatsAge {
		return s.gpus.v
	}
	ctx, cancel := context.WithTimeout(context.Background(), detectTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, "nvidia-smi",
		"--query-gpu=uuid,name,utilization.gpu,memory.used,memory.total,power.draw,temperature.gpu,ecc.errors.uncorrected.volatile.total",
		"--format=csv,noheader,nounits").Output()
	if err != nil {
		s.log.Warn("measure GPUs with nvidia-smi", "error", err)
	}
	s.gpus.at, s.gpus.v = time.Now(), parseGPUStats(out, s.now().UTC())
	return s.gpus.v
}

// parseGPUStats reads nvidia-smi's table into the names that Nomad's NVIDIA
// plugin uses. What is not measured is the text "N/A", as there.
func parseGPUStats(out []byte, now time.Time) []*api.DeviceGroupStats {
	r := csv.NewReader(bytes.NewReader(out))
	r.TrimLeadingSpace = true
	r.FieldsPerRecord = 8
	rows, err := r.ReadAll()
	if err != nil {
		return nil
	}
	var groups []*api.DeviceGroupStats
	byName := map[string]*api.DeviceGroupStats{}
	for _, row := range rows {
		g := byName[row[1]]
		if g == nil {
			g = &api.DeviceGroupStats{Vendor: "nvidia", Type: "gpu", Name: row[1], InstanceStats: map[string]*api.DeviceStats{}}
			byName[row[1]] = g
			groups = append(groups, g)
		}
		memory := fraction(row[3], row[4], "MiB", "UsedMemory / TotalMemory")
		g.InstanceStats[row[0]] = &api.DeviceStats{
			Summary: memory, Timestamp: now,
			Stats: &api.StatObject{Attributes: map[string]*api.StatValue{
				"GPU utilization":   number(row[2], "%", "Percent of time over the past sample period during which one or more kernels was executing on the GPU."),
				"Memory state":      memory,
				"Power usage":       number(row[5], "W", "Power usage for this GPU in watts and its associated circuitry (e.g. memory)"),
				"Temperature":       number(row[6], "C", "Temperature of the Unit"),
				"ECC memory errors": number(row[7], "#", "Requested memory error counter for the device"),
			}},
		}
	}
	return groups
}

func number(text, unit, desc string) *api.StatValue {
	v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil {
		return &api.StatValue{StringVal: new("N/A"), Unit: unit, Desc: desc}
	}
	return &api.StatValue{IntNumeratorVal: new(int64(v)), Unit: unit, Desc: desc}
}

func fraction(used, total, unit, desc string) *api.StatValue {
	a, err1 := strconv.ParseInt(strings.TrimSpace(used), 10, 64)
	b, err2 := strconv.ParseInt(strings.TrimSpace(total), 10, 64)
	if err1 != nil || err2 != nil {
		return &api.StatValue{StringVal: new("N/A"), Unit: unit, Desc: desc}
	}
	return &api.StatValue{IntNumeratorVal: &a, IntDenominatorVal: &b, Unit: unit, Desc: desc}
}

// ownDevices keeps the devices that a task was given.
func ownDevices(all []*api.DeviceGroupStats, given *api.AllocatedTaskResources) []*api.DeviceGroupStats {
	var out []*api.DeviceGroupStats
	if given == nil {
		return nil
	}
	for _, g := range all {
		own := map[string]*api.DeviceStats{}
		for _, d := range given.Devices {
			for id, st := range g.InstanceStats {
				if slices.Contains(d.DeviceIDs, id) {
					own[id] = st
				}
			}
		}
		if len(own) > 0 {
			out = append(out, &api.DeviceGroupStats{Vendor: g.Vendor, Type: g.Type, Name: g.Name, InstanceStats: own})
		}
	}
	return out
}
