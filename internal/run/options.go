package run

// DefaultPriority is what a run has when it says nothing (zero): Nomad's own default, on its scale of 1 to 100.
const DefaultPriority = 50

// Options is what a run is told beside its configuration and its shape. The zero value asks for nothing.
type Options struct {
	Description string   `json:"description,omitempty"` // free text, shown with the run
	Tags        []string `json:"tags,omitempty"`        // words to find it by, sorted, without repeats

	Priority    int   `json:"priority,omitempty"`             // 1 to 100, more is sooner; 0 is [DefaultPriority]
	MaxDuration int64 `json:"max_duration_seconds,omitempty"` // seconds from the first start after which it is stopped; 0 for none
	Retries     int   `json:"retries,omitempty"`              // attempts after the first, when one fails

	// Env is more environment for the trainer, and Args more arguments after the configuration. Neither is for secrets:
	// both are stored and shown.
	Env  map[string]string `json:"env,omitempty"`
	Args []string          `json:"args,omitempty"`
	// Secrets is the path of a Nomad variable whose items become environment of the trainer, on the node: a reference,
	// never the values.
	Secrets string `json:"secrets,omitempty"`
}

// Origin is where a run came from; it is history, and names what may be gone.
type Origin struct {
	Template string            `json:"template,omitempty"` // "name@version", or the name of a preset
	Clone    ID                `json:"clone,omitempty"`    // the run that it was cloned from
	Sweep    SweepID           `json:"sweep,omitempty"`    // the sweep that it is part of
	Point    map[string]string `json:"point,omitempty"`    // what the sweep set, by field
}
