package run

// Node is one Nomad client, as far as placing runs needs it.
type Node struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	Datacenter string `json:"datacenter"`
	Status     string `json:"status"`   // ready, down, disconnected, initializing
	Eligible   bool   `json:"eligible"` // takes new work
	CPU        int    `json:"cpu"`      // MHz
	Memory     int    `json:"memory"`   // MiB
	GPUs       []GPU  `json:"gpus"`
	// Uses says who has which of the GPUs; the others are free.
	Uses []GPUUse `json:"uses"`
	// Stats says what the GPUs are doing, where that is asked for and measured.
	Stats []GPUStats `json:"gpu_stats,omitempty"`
	// Simulated is true when the GPUs stand for devices that do not exist (the embedded agent only).
	Simulated bool `json:"simulated,omitempty"`
}

// GPUStats is what one GPU is doing; nil is what its driver does not say.
type GPUStats struct {
	ID          string `json:"id"`
	Utilization *int64 `json:"utilization,omitempty"`  // % of the time in which a kernel ran
	MemoryUsed  *int64 `json:"memory_used,omitempty"`  // MiB
	MemoryTotal *int64 `json:"memory_total,omitempty"` // MiB
	Power       *int64 `json:"power,omitempty"`        // W
	Temperature *int64 `json:"temperature,omitempty"`  // °C
}

// GPUUse is what one allocation has of a node's GPUs.
type GPUUse struct {
	GPUs []GPU  `json:"gpus"`
	Job  string `json:"job"`           // Nomad's ID of the job
	Run  ID     `json:"run,omitempty"` // the run that the job is an attempt of; "" for what is not the console's
	Rank int    `json:"rank"`          // of the worker; -1 for what is no worker
}

// FreeGPUs is how many GPUs nobody has.
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
