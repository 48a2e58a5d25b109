package logparse

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cotrain/cotrain/internal/run"
)

// Level is how much an event matters to a person. It follows from what the event means, not from the level that the
// line was logged at: CotrainCore logs its fatal error at INFO and survivable ones at ERROR.
type Level uint8

// The levels.
const (
	Info    Level = iota
	Warning       // something went wrong and training goes on
	Error         // something is lost
)

// String returns info, warning or error.
func (l Level) String() string {
	switch l {
	case Warning:
		return "warning"
	case Error:
		return "error"
	default:
		return "info"
	}
}

// Names of the events that text lines give. Machine lines may bring any other name of the form [a-z0-9_]{1,64}. In
// parentheses: the numbers in [Event.Metrics]; those that a line lacks are absent.
const (
	OuterStep        = "outer_step"        // an outer step begins (outer_step)
	OuterStepDone    = "outer_step_done"   // and ends (mfu, percent, over the whole outer step)
	SyncDone         = "sync_done"         // pseudo-gradient synchronised (seconds)
	AllReduceDone    = "all_reduce_done"   // the same with its overhead (seconds)
	SyncError        = "sync_error"        // one try failed (retry, retries)
	SyncFailed       = "sync_failed"       // all tries failed; this outer step stays local (retries)
	MeshReady        = "mesh_ready"        // this worker is in the mesh (peers, seconds)
	MeshSize         = "mesh_size"         // sizes of the groups (peers, local_peers)
	WaitingToJoin    = "waiting_to_join"   // waits for the next outer step
	RecoveryStarted  = "recovery_started"  // live recovery (to_rank or from_rank)
	RecoveryDone     = "recovery_done"     // on the receiving side (seconds)
	Evicted          = "evicted"           // workers dropped from the mesh (count); who is in the message
	GroupDestroyed   = "group_destroyed"   // process group torn down, to be made again
	HeartbeatLost    = "heartbeat_lost"    // a worker went silent; who is in the message
	BarrierFailed    = "barrier_failed"    // not all workers came to the barrier
	CheckpointSaved  = "checkpoint_saved"  // complete on this rank (seconds); has a path, and a step if the path has
	CheckpointLoaded = "checkpoint_loaded" // resumed (seconds); has a path, and a step if the path has
	PushStarted      = "push_started"      // copy to remote storage begins; the path is the local one
	PushFinished     = "push_finished"     // and ends well (seconds)
	PushFailed       = "push_failed"       // or not; the core prints "finish" after this, which gives no event
	Parameters       = "parameters"        // size of the model (parameters)
	PeakFLOPS        = "peak_flops"        // of one GPU, as used for MFU (flops)
	Fatal            = "fatal"             // an exception ends the process
	FatalError       = "fatal_error"       // first line of that exception, in the message
	Finished         = "finished"          // training is complete
	RootCause        = "root_cause"        // the process that failed first, as torchrun says (rank, and one of the two below)
)

// Numbers of an event that say how the worker's process ended. Machine lines of the launch script have the first too.
const (
	ExitCode   = "exit_code"
	ExitSignal = "signal"
)

// levelOf is the level of an event by name.
func levelOf(name string) Level {
	switch name {
	case Fatal, FatalError, SyncFailed, PushFailed, RootCause:
		return Error
	case SyncError, Evicted, HeartbeatLost, BarrierFailed:
		return Warning
	}
	return Info
}

// Event is something that happened, as one line tells it.
type Event struct {
	Name  string // [a-z0-9_]{1,64}
	Level Level
	// Step is the training step that the event belongs to; meaningless unless HasStep. An outer step is never here.
	Step    int64
	HasStep bool
	// Metrics are the event's numbers under their own names; valid until the next line.
	Metrics []run.Metric

	path []byte
	text []byte
}

// Value returns one of the event's numbers.
func (e Event) Value(name string) (float64, bool) {
	for _, m := range e.Metrics {
		if m.Name == name {
			return m.Value, true
		}
	}
	return 0, false
}

// Path returns the path that the event is about, exactly as printed, or "" if it has none or one that is longer than
// MaxPath or holds control characters. Call it before the next line is parsed. A path is what a log says: never open
// it without checking that it lies where it should.
func (e Event) Path() string {
	if len(e.path) > MaxPath || !utf8.Valid(e.path) || hasControl(e.path) {
		return ""
	}
	return string(e.path)
}

// Message returns the event in words for a person: the message that was logged, or what the machine line holds. It is
// valid UTF-8 without control characters, of at most MaxMessage bytes. Call it before the next line is parsed.
func (e Event) Message() string {
	if len(e.text) > 0 {
		return printable(e.text, MaxMessage)
	}
	var b strings.Builder
	b.WriteString(strings.ReplaceAll(e.Name, "_", " "))
	if e.HasStep {
		b.WriteString(", step " + strconv.FormatInt(e.Step, 10))
	}
	if path := e.Path(); path != "" {
		b.WriteString(", " + path)
	}
	for _, m := range e.Metrics {
		if b.Len() > MaxMessage {
			break
		}
		b.WriteString(", " + m.Name + " " + strconv.FormatFloat(m.Value, 'g', 6, 64))
	}
	return printable([]byte(b.String()), MaxMessage)
}

// printable copies b as valid UTF-8, each control character a space, cut at limit bytes.
func printable(b []byte, limit int) string {
	var out strings.Builder
	out.Grow(min(len(b), limit))
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		b = b[n:]
		if r < 0x20 || r >= 0x7f && r < 0xa0 {
			r = ' '
		}
		if out.Len()+utf8.RuneLen(r) > limit {
			break
		}
		out.WriteRune(r)
	}
	return out.String()
}
