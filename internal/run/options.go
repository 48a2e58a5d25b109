package run

// DefaultPriority is Nomad's own default, on its scale of 1 to 100.
const DefaultPriority = 50

// Options are a run's settings beside its configuration and shape. The zero value is the default of each.
type Options struct {
	Description string   `json:"description,omitempty"` // free text, shown with the run
	Tags        []string `json:"tags,omitempty"`        // for search; sorted, no duplicates; see [Edit]

	Priority    int   `json:"priority,omitempty"`             // 1 to 100, higher goes first; 0 is [DefaultPriority]
	MaxDuration int64 `json:"max_duration_seconds,omitempty"` // seconds after the first start until the run is stopped; 0 for no limit
	Retries     int   `json:"retries,omitempty"`              // further attempts after failures without progress between them; see [Run.Retry]
	// Retry is how many of them there are for a category of causes, where that is not what its rule says; see [RetryRule].
	Retry RetryPolicy `json:"retry,omitempty"`

	// What is done about a hang and about a loss that is not finite, diverges or falls no more; see [Options.Policy]. A rollback multiplies
	// the learning rate by RollbackLR, 0 for 1.
	OnHang       string  `json:"on_hang,omitempty"`
	OnNaN        string  `json:"on_nan,omitempty"`
	OnDivergence string  `json:"on_divergence,omitempty"`
	OnPlateau    string  `json:"on_plateau,omitempty"`
	RollbackLR   float64 `json:"rollback_lr,omitempty"`

	// Env and Args are added to the trainer's environment and arguments. Not for secrets: both are stored and shown.
	Env  map[string]string `json:"env,omitempty"`
	Args []string          `json:"args,omitempty"`
	// Secrets are names of registered secrets, whose values join the trainer's environment on the node; see [Secret].
	Secrets SecretNames `json:"secrets,omitempty"`

	// MirrorLogs is whether the log is also written into shared storage: [MirrorOn], [MirrorOff], or "" for what the console does.
	MirrorLogs string `json:"mirror_logs,omitempty"`

	// Assigned names what was not asked for: "priority" and "max_duration", where they are the limits of the project.
	Assigned []string `json:"assigned,omitempty"`
}

// What [Options.MirrorLogs] may be.
const (
	MirrorDefault = "default" // the same as ""
	MirrorOn      = "on"
	MirrorOff     = "off"
)

// Mirrors lists what mirror_logs may be, the default first.
func Mirrors() []string { return []string{MirrorDefault, MirrorOn, MirrorOff} }

// MirrorsLog reports whether the log is also written into shared storage, on a console that does so or not where nothing is said.
func (o Options) MirrorsLog(usual bool) bool {
	return o.MirrorLogs == MirrorOn || usual && o.MirrorLogs != MirrorOff
}

// Unassigned is the options as they were asked for, without what the project set.
func (o Options) Unassigned() Options {
	for _, field := range o.Assigned {
		switch field {
		case "priority":
			o.Priority = 0
		case "max_duration":
			o.MaxDuration = 0
		}
	}
	o.Assigned = nil
	return o
}

// Origin is what a run was made from; it may be gone by now.
type Origin struct {
	Template string            `json:"template,omitempty"` // "name@version", or the name of a preset
	Clone    ID                `json:"clone,omitempty"`    // the cloned run
	Sweep    SweepID           `json:"sweep,omitempty"`    // the sweep it is part of
	Point    map[string]string `json:"point,omitempty"`    // the sweep's values by field
}
