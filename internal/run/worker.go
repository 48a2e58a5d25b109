package run

import (
	"strings"
	"time"
)

// WorkerState is the client status of the worker's allocation.
type WorkerState string

// The states, as in Nomad.
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

// Worker is an allocation of an attempt: one DiLoCo worker on one node.
type Worker struct {
	AllocID  string      `json:"alloc_id"`
	RunID    ID          `json:"run_id"`
	Attempt  int         `json:"attempt"`
	Rank     int         `json:"rank"` // allocation index, NOMAD_ALLOC_INDEX
	NodeID   string      `json:"node_id"`
	NodeName string      `json:"node_name"`
	GPUs     []GPU       `json:"gpus"`
	State    WorkerState `json:"state"`
	// Stopping is true once Nomad wants the allocation stopped.
	Stopping bool `json:"stopping,omitempty"`
	// Started is true once the task has started.
	Started  bool `json:"started,omitempty"`
	ExitCode int  `json:"exit_code"` // valid if Exited
	Signal   int  `json:"signal"`    // 0 if none
	Exited   bool `json:"exited"`
	OOM      bool `json:"oom,omitempty"`
	// Detail is Nomad's newest task event or client description.
	Detail    string    `json:"detail,omitempty"`
	StartedAt time.Time `json:"started_at,omitzero"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
	// UnknownSince is when its node disconnected, zero while connected.
	UnknownSince time.Time `json:"unknown_since,omitzero"`
	// Unwritten is log output that the node could not write; known at the end.
	Unwritten Unwritten `json:"-"`
	// Report is what its log says about its end.
	Report ExitReport `json:"told,omitzero"`
	// Cause is why it ended while others of its attempt went on, nil for workers that did well and before its log has been read.
	Cause *Cause `json:"cause,omitempty"`
}

// Unwritten counts the bytes of each stream that a node could not write.
type Unwritten struct{ Stdout, Stderr int64 }

// Of returns the count for stdout or stderr.
func (u Unwritten) Of(stream string) int64 {
	if stream == "stderr" {
		return u.Stderr
	}
	return u.Stdout
}

// OK reports whether the worker completed with exit code 0, not stopped by Nomad.
func (w Worker) OK() bool {
	return w.State == WorkerComplete && !w.Stopping && w.Exited && w.ExitCode == 0
}

// Stopped reports whether Nomad was told to end the worker, and it has ended, whatever its exit code.
func (w Worker) Stopped() bool { return w.State == WorkerComplete && w.Stopping }

// GPU is a device given to a worker.
type GPU struct {
	ID    string `json:"id"`    // device instance ID
	Model string `json:"model"` // vendor/type/name, such as nvidia/gpu/A100
}

// Simulated reports whether the GPU is the embedded agent's, vendor "sim".
func (g GPU) Simulated() bool { return strings.HasPrefix(g.Model, "sim/") }
