package gpu

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/nomad/api"
)

// statsAge is how old a measurement may be before nvidia-smi is asked again: it takes long, and many ask.
const statsAge = 2 * time.Second

// Meter measures the real GPUs.
type Meter struct {
	Tool
	Log *slog.Logger

	mu   sync.Mutex
	at   time.Time
	rows map[string][]string // by ID
}

// Stats measures a node's NVIDIA devices. Simulated ones have nothing to measure. What the driver does not say, of a MIG
// slice for one, is the text "N/A".
func (m *Meter) Stats(ctx context.Context, n *api.Node) []*api.DeviceGroupStats {
	out := []*api.DeviceGroupStats{}
	for _, d := range n.NodeResources.Devices {
		if d.Vendor != "nvidia" {
			continue
		}
		rows, at := m.measure(ctx)
		g := &api.DeviceGroupStats{Vendor: d.Vendor, Type: d.Type, Name: d.Name, InstanceStats: map[string]*api.DeviceStats{}}
		for _, inst := range d.Instances {
			row := rows[inst.ID]
			if row == nil {
				row = make([]string, len(statFields))
			}
			memory := &api.StatValue{Unit: "MiB", Desc: "UsedMemory / TotalMemory", IntNumeratorVal: integer(row[2]), IntDenominatorVal: integer(row[3])}
			if memory.IntNumeratorVal == nil || memory.IntDenominatorVal == nil {
				memory = &api.StatValue{StringVal: new("N/A"), Unit: memory.Unit, Desc: memory.Desc}
			}
			g.InstanceStats[inst.ID] = &api.DeviceStats{
				Summary: memory, Timestamp: at,
				Stats: &api.StatObject{Attributes: map[string]*api.StatValue{
					"GPU utilization": number(row[1], "%", "Percent of time over the past sample period during which one or more kernels was executing on the GPU."),
					"Memory state":    memory,
					"Power usage":     number(row[4], "W", "Power usage for this GPU in watts and its associated circuitry (e.g. memory)"),
					"Temperature":     number(row[5], "C", "Temperature of the Unit"),
				}},
			}
		}
		out = append(out, g)
	}
	return out
}

var statFields = [...]string{"uuid", "utilization.gpu", "memory.used", "memory.total", "power.draw", "temperature.gpu"}

// measure asks nvidia-smi, unless it was asked a moment ago.
func (m *Meter) measure(ctx context.Context) (map[string][]string, time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if time.Since(m.at) < statsAge {
		return m.rows, m.at
	}
	rows, err := m.query(context.WithoutCancel(ctx), statFields[:]...) // it is for those who ask next, too
	if err != nil {
		m.Log.Warn("GPUs cannot be measured", "error", err)
	}
	m.at, m.rows = time.Now(), map[string][]string{}
	for _, row := range rows {
		m.rows[row[0]] = row
	}
	return m.rows, m.at
}

func integer(text string) *int64 {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil
	}
	return new(int64(v))
}

func number(text, unit, desc string) *api.StatValue {
	v := &api.StatValue{IntNumeratorVal: integer(text), Unit: unit, Desc: desc}
	if v.IntNumeratorVal == nil {
		v.StringVal = new("N/A")
	}
	return v
}
