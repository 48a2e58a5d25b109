package localnomad

import (
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// Defaults of Options.
const (
	DefaultNodes        = 4
	DefaultGPUsPerNode  = 2
	DefaultGPUModel     = "SimGPU-24"
	DefaultGPUMemoryMiB = 24576
)

// Limits of Options: more than these is a slip of the finger, not a machine.
const (
	maxNodes       = 256
	maxGPUsPerNode = 64
)

// Options configures a Server. The zero value of every field but DataDir has
// a usable meaning.
type Options struct {
	// DataDir holds the state and the allocation directories. Required.
	DataDir string
	// Nodes is the number of local nodes (default DefaultNodes).
	Nodes int
	// GPUsPerNode is the number of simulated GPUs per node (default
	// DefaultGPUsPerNode; negative means none). Ignored with DetectGPUs.
	GPUsPerNode int
	// GPUModel and GPUMemoryMiB describe the simulated GPUs.
	GPUModel     string
	GPUMemoryMiB int
	// DetectGPUs offers the machine's real NVIDIA GPUs, found with nvidia-smi
	// and divided among the nodes, instead of simulated ones.
	DetectGPUs bool
	// NodeCPUMHz and NodeMemoryMiB are what one node offers. By default each
	// node offers the whole machine's CPU and an equal share of its memory.
	NodeCPUMHz    int
	NodeMemoryMiB int
	// Datacenter and Region name where the nodes are ("dc1", "global").
	Datacenter string
	Region     string
	// Env is extra environment ("KEY=value") given to every task.
	Env []string
	// MaxAllocDirs bounds the directories of ended allocations that are kept
	// (default 50, as a Nomad client's gc_max_allocs).
	MaxAllocDirs int
	// JobGCAfter is how long a dead job is kept (default 4 h, as a Nomad
	// server's job_gc_threshold).
	JobGCAfter time.Duration
	// Logger receives the agent's own log (default: discarded).
	Logger *slog.Logger
	// Now is the clock (default time.Now).
	Now func() time.Time
}

// withDefaults returns the options with every unset field filled, or an error
// that names the field that cannot be used.
func (o Options) withDefaults() (Options, error) {
	if o.DataDir == "" {
		return o, fmt.Errorf("localnomad: DataDir is required")
	}
	setDefault(&o.Nodes, DefaultNodes)
	setDefault(&o.GPUsPerNode, DefaultGPUsPerNode)
	setDefault(&o.GPUMemoryMiB, DefaultGPUMemoryMiB)
	setDefault(&o.MaxAllocDirs, 50)
	setDefault(&o.JobGCAfter, 4*time.Hour)
	setDefault(&o.GPUModel, DefaultGPUModel)
	setDefault(&o.Datacenter, "dc1")
	setDefault(&o.Region, "global")
	if o.GPUsPerNode < 0 {
		o.GPUsPerNode = 0
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	switch {
	case o.Nodes < 1 || o.Nodes > maxNodes:
		return o, fmt.Errorf("localnomad: Nodes is %d, must be from 1 to %d", o.Nodes, maxNodes)
	case o.GPUsPerNode > maxGPUsPerNode:
		return o, fmt.Errorf("localnomad: GPUsPerNode is %d, must be at most %d", o.GPUsPerNode, maxGPUsPerNode)
	case o.GPUMemoryMiB < 1:
		return o, fmt.Errorf("localnomad: GPUMemoryMiB is %d, must be positive", o.GPUMemoryMiB)
	case strings.ContainsAny(o.GPUModel, "/ \t\n"):
		return o, fmt.Errorf("localnomad: GPUModel %q must hold no slash and no space", o.GPUModel)
	case o.NodeCPUMHz < 0 || o.NodeMemoryMiB < 0:
		return o, fmt.Errorf("localnomad: NodeCPUMHz and NodeMemoryMiB must not be negative")
	}
	return o, nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
