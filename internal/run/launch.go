package run

import "encoding/json"

// EnvVar is one variable of a worker's environment, as a page shows it.
type EnvVar struct {
	Name  string `json:"name"`
	Value string `json:"value"` // a placeholder in <> where only the node knows it
	// From is who sets it: "job", "run", "launch script" or "secret" (then Value is the reference).
	From string `json:"from"`
}

// Launch is exactly what starts, or started, a run's workers.
type Launch struct {
	ParentJob string            `json:"parent_job"`
	Job       json.RawMessage   `json:"job"`    // the job file as parsed by Nomad
	Meta      map[string]string `json:"meta"`   // of the dispatch
	Config    string            `json:"config"` // the payload
	Script    string            `json:"script"` // jobs/launch.sh or the site's own
	Env       []EnvVar          `json:"env"`
	Command   string            `json:"command"` // what the script runs on worker 0, as a shell line with placeholders
}

// DryRun is what would happen to a submission now.
type DryRun struct {
	// Fits is true when Nomad would place every worker now.
	Fits bool `json:"fits"`
	// Reason says why not; "" when it fits.
	Reason    string      `json:"reason,omitempty"`
	Places    []Place     `json:"places"`     // nodes with room for at least one worker, most room first
	ParentJob string      `json:"parent_job"` // the parameterized job
	Parent    ParentState `json:"parent"`
	Warnings  FieldErrors `json:"warnings,omitempty"` // about the configuration
	Launch    Launch      `json:"launch"`
	// Secrets tells of each that the run asks for whether it is there.
	Secrets []SecretLook `json:"secrets,omitempty"`
}

// ParentState is what a submission would do to its shape's parent job.
type ParentState string

// The parent states.
const (
	ParentNew     ParentState = "new"     // would be registered
	ParentCurrent ParentState = "current" // is there and up to date
	ParentUpdate  ParentState = "update"  // is there with another job file or settings and would get a new version
)

// Place is a node with room.
type Place struct {
	Node       string `json:"node"`
	NodeID     string `json:"node_id"`
	Datacenter string `json:"datacenter"`
	Workers    int    `json:"workers"` // how many of the run's workers fit now
}
