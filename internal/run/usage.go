package run

import (
	"fmt"
	"strings"
	"time"
)

// TaskUsage is what a worker's processes use, all together, as its node measures it; nil where that does not say.
type TaskUsage struct {
	At time.Time
	// CPU is in percent of one core: 800 is eight cores.
	CPU *float64
	// Memory is what is resident, in bytes, and MemoryPeak the most so far.
	Memory, MemoryPeak *int64
}

// NodeUsage is what a machine's processes use, whoever's they are; nil where it does not say.
type NodeUsage struct {
	At time.Time
	// CPU is in percent of all cores.
	CPU *float64
	// In bytes.
	MemoryUsed, MemoryTotal *int64
	// Of the disk of allocations, in bytes.
	DiskUsed, DiskTotal *int64
	GPUs                []GPUStats
}

// SystemPrefix begins the names of metrics that have times instead of steps: what machines use.
const SystemPrefix = "system/"

// Metrics of a worker that its node measures. Those that its own shim samples, such as its network's, have other names.
const (
	TaskCPU        = SystemPrefix + "task_cpu_percent"
	TaskMemory     = SystemPrefix + "task_memory_bytes"
	TaskMemoryPeak = SystemPrefix + "task_memory_peak_bytes"
)

// What is measured of a GPU.
const (
	GPUUtilization = "utilization_percent"
	GPUMemory      = "memory_used_bytes"
	GPUMemoryTotal = "memory_total_bytes"
	GPUPower       = "power_watts"
	GPUPowerLimit  = "power_limit_watts"
	GPUTemperature = "temperature_celsius"
	GPUECC         = "ecc_errors"
	GPUClock       = "clock_sm_mhz"
	GPUMemoryClock = "clock_memory_mhz"
	GPUThrottled   = "throttled" // 1 while its clocks are held down by heat or power, 0 otherwise
)

// GPUMetric is the name of a metric of a worker's i-th GPU, in the order of its devices.
func GPUMetric(i int, what string) string { return fmt.Sprintf("%sgpu%d/%s", SystemPrefix, i, what) }

// UsedFor is how old a measurement may be to stand for now: three times as old as they become.
const UsedFor = 30 * time.Second

// Used is what the workers of a run use now: the newest value of each metric by rank, and by name without [SystemPrefix].
type Used map[int]map[string]float64

// GPU returns what was measured of a worker's i-th GPU.
func (u Used) GPU(rank, i int, what string) (v float64, ok bool) {
	v, ok = u[rank][strings.TrimPrefix(GPUMetric(i, what), SystemPrefix)]
	return v, ok
}
