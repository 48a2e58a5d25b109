package run

// StepClock is when a worker reported a step by its own clock, in Unix seconds.
type StepClock struct {
	Step int64
	At   float64
}

// MaxClocks bounds the clocks of a pulse.
const MaxClocks = 512

// Pulse is what a piece of a worker's log tells of how it goes on, for those who watch; it is not stored.
type Pulse struct {
	Step  int64 // the newest step that it reports, 0 for none
	Began bool  // the trainer began again: its steps went back

	Clocks   []StepClock // when it reported steps by its own clock, where it says, in the order of the log
	OfDay    int         // seconds since midnight of the newest line that tells, by its own clock
	HasOfDay bool

	Synced    bool // finished an outer step
	Joined    bool // averaged with the others in it
	Saved     bool // saved a checkpoint
	Evaluated bool
	// SyncFailed is true after all attempts of an all-reduce failed: it trains on without the others.
	SyncFailed bool
	Peers      int // workers in its mesh, itself among them; 0 where it does not say
}
