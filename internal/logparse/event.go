package logparse

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cotrain/cotrain/internal/run"
)

// Level is how much an event matters to a person, judged by its meaning: CotrainCore logs its fatal error at INFO and
// survivable ones at ERROR.
type Level uint8

// The levels.
const (
	Info    Level = iota
	Warning       // training goes on
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

// Events of text lines, with the numbers that [Event.Metrics] may hold. Machine lines may have other names,
// [a-z0-9_]{1,64}.
const (
	OuterStep        = "outer_step"        // (outer_step)
	OuterStepDone    = "outer_step_done"   // (mfu in percent over the outer step)
	SyncDone         = "sync_done"         // pseudo-gradient synchronised (seconds)
	AllReduceDone    = "all_reduce_done"   // the same with overhead (seconds)
	SyncError        = "sync_error"        // one try failed (retry, retries)
	SyncFailed       = "sync_failed"       // all failed; the outer step stays local (retries)
	MeshReady        = "mesh_ready"        // joined the mesh (peers, seconds)
	MeshSize         = "mesh_size"         // group sizes (peers, local_peers)
	WaitingToJoin    = "waiting_to_join"   // until the next outer step
	RecoveryStarted  = "recovery_started"  // live recovery (to_rank or from_rank)
	RecoveryDone     = "recovery_done"     // on the receiver (seconds)
	Evicted          = "evicted"           // workers dropped from the mesh (count); the message has who
	GroupDestroyed   = "group_destroyed"   // process group torn down, to be made again
	HeartbeatLost    = "heartbeat_lost"    // a worker went silent; the message has who
	BarrierFailed    = "barrier_failed"    // not all workers came
	CheckpointSaved  = "checkpoint_saved"  // on this rank (seconds); has a path, and a step if the path has
	CheckpointLoaded = "checkpoint_loaded" // resumed (seconds); likewise
	PushStarted      = "push_started"      // copy to remote storage started; the path is local
	PushFinished     = "push_finished"     // succeeded (seconds)
	PushFailed       = "push_failed"       // failed; the core's "finish" that follows gives no event
	Parameters       = "parameters"        // model size (parameters)
	PeakFLOPS        = "peak_flops"        // per GPU, as used for MFU (flops)
	Fatal            = "fatal"             // an exception ends the process
	FatalError       = "fatal_error"       // its first line, in the message
	Finished         = "finished"          // training is complete
	RootCause        = "root_cause"        // torchrun's first failed process (rank, and one of the two below)
)

// Numbers about how the process ended, also in the launch script's machine lines.
const (
	ExitCode   = "exit_code"
	ExitSignal = "signal"
)

func levelOf(name string) Level {
	switch name {
	case Fatal, FatalError, SyncFailed, PushFailed, RootCause:
		return Error
	case SyncError, Evicted, HeartbeatLost, BarrierFailed:
		return Warning
	}
	return Info
}

// Event is something that happened, read from one line.
type Event struct {
	Name  string // [a-z0-9_]{1,64}
	Level Level
	// Step is the training step, never an outer step; meaningless unless HasStep.
	Step    int64
	HasStep bool
	// Metrics are the event's numbers; valid until the next line.
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

// Path returns the event's path as printed, or "" if there is none, or it exceeds MaxPath or has control characters.
// Call it before the next line. Never open it without checking where it lies.
func (e Event) Path() string {
	if len(e.path) > MaxPath || !utf8.Valid(e.path) || hasControl(e.path) {
		return ""
	}
	return string(e.path)
}

// Message returns the logged message, or the machine line's content, as at most MaxMessage bytes of UTF-8 without
// control characters. Call it before the next line.
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

// printable copies b as valid UTF-8 with control characters as spaces, cut at limit bytes.
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
