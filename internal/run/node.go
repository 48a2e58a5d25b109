package run

import "time"

// Node is a Nomad client, as far as placement needs it.
type Node struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	Datacenter string `json:"datacenter"`
	Status     string `json:"status"`   // ready, down, disconnected, initializing
	Eligible   bool   `json:"eligible"` // accepts new work
	CPU        int    `json:"cpu"`      // MHz
	Memory     int    `json:"memory"`   // MiB
	GPUs       []GPU  `json:"gpus"`
	// Uses lists GPUs in use, of which the others are free, and workers without GPUs.
	Uses []GPUUse `json:"uses"`
	// Stats has current GPU statistics where requested and available.
	Stats []GPUStats `json:"gpu_stats,omitempty"`
	// Simulated is true for the embedded agent's simulated GPUs.
	Simulated bool `json:"simulated,omitempty"`

	// Failures counts what failed there of late, of the runs that one may see; nil for nothing.
	Failures *NodeFailures `json:"failures,omitempty"`

	ConsulName ConsulName `json:"-"`
	// Consul is what its catalog has of the node, where requested and known; Disagreement is with Nomad, "" for none.
	Consul       *ConsulNode `json:"consul,omitempty"`
	Disagreement string      `json:"disagreement,omitempty"`
}

// GPUStats is the activity of one GPU; nil where the driver does not report it.
type GPUStats struct {
	ID          string `json:"id"`
	Utilization *int64 `json:"utilization,omitempty"`  // % of the time with a kernel running
	MemoryUsed  *int64 `json:"memory_used,omitempty"`  // MiB
	MemoryTotal *int64 `json:"memory_total,omitempty"` // MiB
	Power       *int64 `json:"power,omitempty"`        // W
	PowerLimit  *int64 `json:"power_limit,omitempty"`  // W
	Temperature *int64 `json:"temperature,omitempty"`  // °C
	ECCErrors   *int64 `json:"ecc_errors,omitempty"`   // that memory could not correct
}

// GPUUse is an allocation's share of a node's GPUs: none of a worker that trains on the CPU.
type GPUUse struct {
	GPUs []GPU  `json:"gpus"`
	Job  string `json:"job"`           // Nomad job ID
	Run  ID     `json:"run,omitempty"` // "" for a job that is not the console's
	Rank int    `json:"rank"`          // -1 for a job that is not a worker
}

// FreeGPUs is the number of unused GPUs.
func (n Node) FreeGPUs() int {
	taken := map[GPU]bool{}
	for _, u := range n.Uses {
		for _, g := range u.GPUs {
			taken[g] = true
		}
	}
	free := 0
	for _, g := range n.GPUs {
		if !taken[g] {
			free++
		}
	}
	return free
}

// Server is a server of Nomad that takes the console's calls, or could.
type Server struct {
	Address    string
	Datacenter string    // "" if unknown
	InUse      bool      // calls go there
	Problem    string    // why none would, "" for nothing known
	Since      time.Time // of the problem
}

// Distances are estimates of the round trip between sites.
type Distances struct {
	Sites      []string
	RoundTrips [][]time.Duration // from each to each, negative where unknown; within a site it is that between its nodes
	At         time.Time         // of the estimate, zero for none yet
	Problem    string            // why it is old or not whole, "" for nothing
}
