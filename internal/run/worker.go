package run

import (
	"strings"
	"time"
)

// WorkerState is Nomad's client status of the worker's allocation.
type WorkerState string

// The states of a worker, as Nomad names them.
const (
	WorkerPending  WorkerState = "pending"
	WorkerRunning  WorkerState = "running"
	WorkerComplete WorkerState = "complete"
	WorkerFailed   WorkerState = "failed"
	WorkerLost     WorkerState = "lost"
	WorkerUnknown  WorkerState = "unknown" // its node is disconnected and may come back
)

// Terminal reports whether the worker's processes have ended for good.
func (s WorkerState) Terminal() bool {
	return s == WorkerComplete || s == WorkerFailed || s == WorkerLost
}

// Worker is one allocation of an attempt: one DiLoCo worker on one node.
type Worker struct {
	AllocID  string      `json:"alloc_id"`
	RunID    ID          `json:"run_id"`
	Attempt  int         `json:"attempt"`
	Rank     int         `json:"rank"` // the allocation index, NOMAD_ALLOC_INDEX
	NodeID   string      `json:"node_id"`
	NodeName string      `json:"node_name"`
	GPUs     []GPU       `json:"gpus"`
	State    WorkerState `json:"state"`
	// Stopping is true once Nomad wants the allocation stopped (DesiredStatus "stop").
	Stopping bool `json:"stopping,omitempty"`
	// Started is true once the task's process has started at least once.
	Started  bool `json:"started,omitempty"`
	ExitCode int  `json:"exit_code"` // meaningful when Exited
	Signal   int  `json:"signal"`    // the signal that ended it, 0 if none
	Exited   bool `json:"exited"`
	OOM      bool `json:"oom,omitempty"`
	// Detail is what Nomad says about it, one sentence: the newest task event or the client description.
	Detail    string    `json:"detail,omitempty"`
	StartedAt time.Time `json:"started_at,omitzero"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
	// UnknownSince is when its node was first seen to be disconnected, while it is.
	UnknownSince time.Time `json:"unknown_since,omitzero"`
	// Unwritten is what its node could not write to its log; known once it has ended.
	Unwritten Unwritten `json:"-"`
	// Report is what its log says about its end; read once it has ended.
	Report ExitReport `json:"told,omitzero"`
}

// Unwritten is how many bytes of each stream of a worker could not be written by its node.
type Unwritten struct{ Stdout, Stderr int64 }

// Of returns the bytes of one stream, stdout or stderr.
func (u Unwritten) Of(stream string) int64 {
	if stream == "stderr" {
		return u.Stderr
	}
	return u.Stdout
}

// OK reports whether the worker ended by itself and well: complete, not stopped by Nomad, exit code 0.
func (w Worker) OK() bool {
	return w.State == WorkerComplete && !w.Stopping && w.Exited && w.ExitCode == 0
}

// GPU is one device given to a worker.
type GPU struct {
	ID    string `json:"id"`    // the plugin's device instance ID
	Model string `json:"model"` // vendor/type/name, such as nvidia/gpu/A100
}

// Simulated reports whether the device stands for one that does not exist: the embedded agent's have the vendor "sim".
func (g GPU) Simulated() bool { return strings.HasPrefix(g.Model, "sim/") }
