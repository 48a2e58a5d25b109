package gpu

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/nvidia"
)

const (
	// fresh is how old a measurement may be before nvidia-smi is asked again: it takes long, and many ask.
	fresh = 2 * time.Second
	// kept is how old a measurement may be to stand for one that is not there yet, or failed.
	kept = 30 * time.Second
)

// Meter measures the real GPUs while somebody asks.
type Meter struct {
	nvidia.Tool
	log  *slog.Logger
	now  func() time.Time
	ctx  context.Context //nolint:containedctx // ends what is under way
	stop context.CancelFunc
	work sync.WaitGroup

	mu      sync.Mutex
	asked   time.Time // when nvidia-smi last ended
	pending chan struct{}
	failing bool
	at      time.Time           // when rows were measured
	rows    map[string][]string // by ID
}

// NewMeter returns a meter, which must be closed.
func NewMeter(tool nvidia.Tool, now func() time.Time, log *slog.Logger) *Meter {
	m := &Meter{Tool: tool, now: now, log: log}
	m.ctx, m.stop = context.WithCancel(context.Background())
	return m
}

// Close ends a measurement that is under way; there are no more of them.
func (m *Meter) Close() {
	m.mu.Lock()
	m.stop()
	m.mu.Unlock()
	m.work.Wait()
}

// Stats measures a node's NVIDIA devices. Simulated ones have nothing to measure. What the driver does not say, of a MIG
// slice for one, is the text "N/A".
func (m *Meter) Stats(ctx context.Context, n *api.Node) []*api.DeviceGroupStats {
	out := []*api.DeviceGroupStats{}
	measure := sync.OnceValues(func() (map[string][]string, time.Time) { return m.measure(ctx) })
	for _, d := range n.NodeResources.Devices {
		if d.Vendor != "nvidia" {
			continue
		}
		rows, at := measure()
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

// measure returns the last measurement, and has the next one made when it is not fresh. Where there is none to return it waits
// for the next, unless the last ones failed.
func (m *Meter) measure(ctx context.Context) (map[string][]string, time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pending == nil && m.now().Sub(m.asked) >= fresh && m.ctx.Err() == nil {
		m.pending = make(chan struct{})
		m.work.Go(m.ask)
	}
	if pending := m.pending; pending != nil && !m.failing && m.now().Sub(m.at) >= kept {
		m.mu.Unlock()
		select {
		case <-pending:
		case <-ctx.Done(): // who asks next has what it says
		}
		m.mu.Lock()
	}
	if now := m.now(); now.Sub(m.at) >= kept {
		return nil, now
	}
	return m.rows, m.at
}

// ask has nvidia-smi measure, and keeps what it says.
func (m *Meter) ask() {
	rows, err := m.Query(m.ctx, statFields[:]...)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = m.now()
	close(m.pending)
	m.pending = nil
	if m.ctx.Err() != nil {
		return
	}
	if failed := err != nil; failed != m.failing {
		if m.failing = failed; failed {
			m.log.Warn("GPUs cannot be measured", "error", err)
		} else {
			m.log.Warn("GPUs can be measured again")
		}
	}
	if err == nil {
		m.at, m.rows = m.asked, map[string][]string{}
		for _, row := range rows {
			m.rows[row[0]] = row
		}
	}
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
