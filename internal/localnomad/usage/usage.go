// Package usage measures what this machine, and each allocation's processes, use: an answer is since the one before.
package usage

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/nomad/api"
	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/mem"
	"github.com/shirou/gopsutil/v4/process"
)

const (
	// fresh is how old a measurement may be before another is made: many ask at once, and over less time shares of it say little.
	fresh = time.Second
	// forgotten is after what time without a question an allocation's last measurement is dropped.
	forgotten = 10 * time.Minute
)

// Meter measures. Use [New].
type Meter struct {
	root string
	now  func() time.Time

	mu     sync.Mutex
	host   api.HostStats
	hostAt time.Time
	tasks  map[string]measured
	procs  map[int32][]*process.Process // children of processes
	seen   time.Time                    // of procs
}

// measured is an allocation's last measurement.
type measured struct {
	at      time.Time
	seconds map[int32]float64 // of CPU, by process
	stats   api.ResourceUsage
}

// New returns a meter; root is a folder on the disk of allocations.
func New(root string, now func() time.Time) *Meter {
	return &Meter{root: root, now: now, tasks: map[string]measured{}}
}

// Host measures the machine: CPU, memory and the disk of allocations. What cannot be read is left out.
func (m *Meter) Host(ctx context.Context) api.HostStats {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now := m.now(); now.Sub(m.hostAt) < fresh {
		return m.host
	} else {
		m.hostAt = now
	}
	m.host = api.HostStats{Memory: &api.HostMemoryStats{}, CPU: []*api.HostCPUStats{}, DiskStats: []*api.HostDiskStats{}}
	if busy, err := cpu.PercentWithContext(ctx, 0, true); err == nil {
		for _, percent := range busy {
			m.host.CPU = append(m.host.CPU, &api.HostCPUStats{Idle: 100 - percent})
		}
	}
	if v, err := mem.VirtualMemoryWithContext(ctx); err == nil {
		m.host.Memory = &api.HostMemoryStats{Total: v.Total, Available: v.Available, Used: v.Total - min(v.Available, v.Total), Free: v.Free}
	}
	if d, err := disk.UsageWithContext(ctx, m.root); err == nil {
		m.host.AllocDirStats = &api.HostDiskStats{Mountpoint: d.Path, Size: d.Total, Used: d.Used, Available: d.Free, UsedPercent: d.UsedPercent, InodesUsedPercent: d.InodesUsedPercent}
	}
	return m.host
}

// Task measures processes and all that they have started, as those of an allocation and as if they were all of one task.
func (m *Meter) Task(ctx context.Context, alloc, task string, roots []int) (api.AllocResourceUsage, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	was := m.tasks[alloc]
	if now.Sub(was.at) >= fresh {
		if err := m.list(ctx, now); err != nil {
			return api.AllocResourceUsage{}, err
		}
		is := m.measure(ctx, roots, was)
		is.at = now
		m.tasks[alloc], was = is, is
	}
	stats := was.stats
	all := api.TaskResourceUsage{ResourceUsage: &stats, Timestamp: was.at.UnixNano()}
	return api.AllocResourceUsage{ResourceUsage: &stats, Tasks: map[string]*api.TaskResourceUsage{task: &all}}, nil
}

// list reads which processes there are, and forgets allocations that nobody asks about any more.
func (m *Meter) list(ctx context.Context, now time.Time) error {
	if now.Sub(m.seen) < fresh {
		return nil
	}
	all, err := process.ProcessesWithContext(ctx)
	if err != nil {
		return err
	}
	m.seen, m.procs = now, map[int32][]*process.Process{}
	for _, p := range all {
		if parent, err := p.PpidWithContext(ctx); err == nil { // it may have ended
			m.procs[parent] = append(m.procs[parent], p)
		}
	}
	for alloc, t := range m.tasks {
		if now.Sub(t.at) > forgotten {
			delete(m.tasks, alloc)
		}
	}
	return nil
}

func (m *Meter) measure(ctx context.Context, roots []int, was measured) measured {
	is := measured{seconds: map[int32]float64{}}
	memory := api.MemoryStats{Measured: []string{"RSS", "Max Usage"}}
	todo := make([]*process.Process, 0, len(roots))
	for _, pid := range roots {
		todo = append(todo, &process.Process{Pid: int32(pid)}) //nolint:gosec // the kernel's are smaller
	}
	for len(todo) > 0 {
		p := todo[0]
		todo = append(todo[1:], m.procs[p.Pid]...)
		if t, err := p.TimesWithContext(ctx); err == nil {
			is.seconds[p.Pid] = t.User + t.System
		}
		if info, err := p.MemoryInfoWithContext(ctx); err == nil {
			memory.RSS += info.RSS
		}
	}
	memory.MaxUsage = memory.RSS
	if was.stats.MemoryStats != nil {
		memory.MaxUsage = max(memory.MaxUsage, was.stats.MemoryStats.MaxUsage)
	}
	is.stats = api.ResourceUsage{MemoryStats: &memory}
	if over := m.now().Sub(was.at).Seconds(); was.seconds != nil && over > 0 {
		used := 0.0
		for pid, seconds := range is.seconds {
			used += max(0, seconds-was.seconds[pid]) // a process that was not there had none
		}
		is.stats.CpuStats = &api.CpuStats{Percent: 100 * used / over, Measured: []string{"Percent"}}
	}
	return is
}
