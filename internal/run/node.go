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
	// Simulated is true when the GPUs stand for devices that do not exist (the embedded agent only).
	Simulated bool `json:"simulated,omitempty"`
}
