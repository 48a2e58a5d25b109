package localnomad

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
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

// Options configures a Server. The zero value of every field but DataDir has a usable meaning.
type Options struct {
	// DataDir holds the state and the allocation directories. Required.
	DataDir string
	// Nodes is the number of local nodes (default DefaultNodes; one where the machine's own GPUs are offered).
	Nodes int
	// SimulatedGPUs is how many simulated GPUs each node has. With nil the nodes share the machine's own NVIDIA GPUs; where
	// there are none, each has DefaultGPUsPerNode simulated ones, and where their driver is broken it has none.
	SimulatedGPUs *int
	// NodeCPUMHz and NodeMemoryMiB are what one node offers. By default each node offers the whole machine's CPU and an equal
	// share of its memory.
	NodeCPUMHz    int
	NodeMemoryMiB int
	// VariablesKey encrypts variables on disk, 32 characters or more. "" is a key that the agent makes when it needs one, in the file
	// variables.key of DataDir. Variables of another key are kept, and are missing until the agent starts with it.
	VariablesKey string
	// MaxAllocDirs bounds the directories of ended allocations that are kept (default 50, as a Nomad client's gc_max_allocs).
	MaxAllocDirs int
	// JobGCAfter is how long a dead job is kept (default 4 h, as a Nomad server's job_gc_threshold).
	JobGCAfter time.Duration
	// Logger receives the agent's own log (default: discarded).
	Logger *slog.Logger
	// Clocks is by how much nodes' clocks are ahead in what the nodes say of themselves, by node name: a fault for tests.
	Clocks map[string]time.Duration
	// Now is the clock (default time.Now).
	Now func() time.Time
}

// withDefaults returns the options with every unset field filled, or an error that names the field that cannot be used.
func (o Options) withDefaults() (Options, error) {
	o.MaxAllocDirs = cmp.Or(o.MaxAllocDirs, 50)
	o.JobGCAfter = cmp.Or(o.JobGCAfter, 4*time.Hour)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	switch n := o.SimulatedGPUs; {
	case o.DataDir == "":
		return o, errors.New("localnomad: DataDir is required")
	case o.Nodes < 0 || o.Nodes > maxNodes:
		return o, fmt.Errorf("localnomad: Nodes is %d, must be from 0 to %d", o.Nodes, maxNodes)
	case n != nil && (*n < 0 || *n > maxGPUsPerNode):
		return o, fmt.Errorf("localnomad: SimulatedGPUs is %d, must be from 0 to %d", *n, maxGPUsPerNode)
	case o.NodeCPUMHz < 0 || o.NodeMemoryMiB < 0:
		return o, errors.New("localnomad: NodeCPUMHz and NodeMemoryMiB must not be negative")
	}
	return o, nil
}
