package localnomad

import (
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/nomad/api"
)

// clockTicks is Linux's USER_HZ, which is 100 on every architecture Go knows.
const clockTicks = 100

// usageSample is a task's processor time when it was last asked for.
type usageSample struct {
	at           time.Time
	user, system float64 // seconds
}

// processUse is what a process group uses.
type processUse struct {
	user, system float64 // seconds
	rss          uint64  // bytes
	pids         int
}

// groupUse adds up the processes of a group from /proc.
func groupUse(pgid int) processUse {
	var u processUse
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return u
	}
	for _, p := range paths {
		text, err := os.ReadFile(p)
		if err != nil {
			continue // ended meanwhile
		}
		// The name, in parentheses, may hold anything: fields are counted after its end.
		i := strings.LastIndexByte(string(text), ')')
		if i < 0 {
			continue
		}
		f := strings.Fields(string(text[i+1:]))
		if len(f) < 22 || f[2] != strconv.Itoa(pgid) {
			continue
		}
		num := func(n int) float64 {
			v, err := strconv.ParseFloat(f[n], 64)
			if err != nil {
				return 0
			}
			return v
		}
		u.user += num(11) / clockTicks
		u.system += num(12) / clockTicks
		u.rss += uint64(num(21)) * uint64(os.Getpagesize())
		u.pids++
	}
	return u
}

// sample measures a running task.
func (t *taskRunner) sample() *api.ResourceUsage {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.proc == nil {
		return nil
	}
	now := time.Now()
	u := groupUse(t.proc.Pid)
	use := &api.ResourceUsage{
		MemoryStats: &api.MemoryStats{RSS: u.rss, Usage: u.rss, Measured: []string{"RSS", "Usage"}},
		CpuStats:    &api.CpuStats{Measured: []string{"System Mode", "User Mode", "Percent", "Total Ticks"}},
	}
	if last := t.usage; !last.at.IsZero() {
		if dt := now.Sub(last.at).Seconds(); dt > 0 {
			use.CpuStats.UserMode = max(u.user-last.user, 0) / dt * 100
			use.CpuStats.SystemMode = max(u.system-last.system, 0) / dt * 100
			use.CpuStats.Percent = use.CpuStats.UserMode + use.CpuStats.SystemMode
			use.CpuStats.TotalTicks = use.CpuStats.Percent / 100 * float64(cpuMHz())
		}
	}
	t.usage = usageSample{now, u.user, u.system}
	return use
}

func (s *Server) allocStats(id, task string) (any, error) {
	_, run, err := s.runnerOf(id)
	if err != nil {
		return nil, err
	}
	now := s.now().UnixNano()
	total := &api.ResourceUsage{MemoryStats: &api.MemoryStats{}, CpuStats: &api.CpuStats{}, DeviceStats: []*api.DeviceGroupStats{}}
	out := &api.AllocResourceUsage{ResourceUsage: total, Tasks: map[string]*api.TaskResourceUsage{}, Timestamp: now}
	devices := s.gpuStats()
	for _, t := range run.pick(task) {
		u := t.sample()
		if u == nil {
			continue
		}
		u.DeviceStats = ownDevices(devices, run.alloc.AllocatedResources.Tasks[t.task.Name])
		out.Tasks[t.task.Name] = &api.TaskResourceUsage{ResourceUsage: u, Timestamp: now}
		total.MemoryStats.RSS += u.MemoryStats.RSS
		total.MemoryStats.Usage += u.MemoryStats.Usage
		total.MemoryStats.Measured = u.MemoryStats.Measured
		total.CpuStats.UserMode += u.CpuStats.UserMode
		total.CpuStats.SystemMode += u.CpuStats.SystemMode
		total.CpuStats.Percent += u.CpuStats.Percent
		total.CpuStats.TotalTicks += u.CpuStats.TotalTicks
		total.CpuStats.Measured = u.CpuStats.Measured
		total.DeviceStats = append(total.DeviceStats, u.DeviceStats...)
	}
	return out, nil
}

func (s *Server) handleClientStats(_ http.ResponseWriter, r *http.Request) (any, error) {
	if r.Method != http.MethodGet {
		return nil, methodNotAllowed()
	}
	if id := r.URL.Query().Get("node_id"); id != "" {
		var n *api.Node
		s.st.view(func() { n = s.st.nodes[id] })
		if n == nil {
			return nil, codedError{http.StatusNotFound, "Unknown node " + id}
		}
		if gone(n) {
			return nil, codedError{http.StatusNotFound, "No path to node"}
		}
	}
	total, available := memoryInfo()
	stats := &api.HostStats{
		Memory:    &api.HostMemoryStats{Total: total, Available: available, Used: total - min(available, total), Free: available},
		DiskStats: []*api.HostDiskStats{}, DeviceStats: s.gpuStats(),
		Uptime: uint64(s.uptime().Seconds()),
	}
	stats.CPU = s.cpus.sample()
	for _, c := range stats.CPU {
		stats.CPUTicksConsumed += (c.User + c.System) / 100 * float64(cpuMHz())
	}
	var fs syscall.Statfs_t
	if syscall.Statfs(s.opts.DataDir, &fs) == nil {
		size, free := uint64(fs.Bsize)*fs.Blocks, uint64(fs.Bsize)*fs.Bavail
		disk := &api.HostDiskStats{Device: s.opts.DataDir, Mountpoint: s.opts.DataDir, Size: size, Used: size - min(free, size), Available: free}
		if size > 0 {
			disk.UsedPercent = float64(disk.Used) / float64(size) * 100
		}
		stats.DiskStats = append(stats.DiskStats, disk)
		stats.AllocDirStats = disk
	}
	return stats, nil
}

// memoryInfo reads the machine's total and available memory in bytes.
func memoryInfo() (total, available uint64) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		kib, err := strconv.ParseUint(f[1], 10, 64)
		if err != nil {
			continue
		}
		switch f[0] {
		case "MemTotal:":
			total = kib << 10
		case "MemAvailable:":
			available = kib << 10
		}
	}
	return total, available
}
