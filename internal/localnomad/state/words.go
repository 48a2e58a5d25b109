package state

import (
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"
)

// Statuses of jobs and tasks, which package api does not name.
const (
	Pending = "pending"
	Running = "running"
	Dead    = "dead"
)

// What an evaluation was triggered by, as Nomad names it.
const (
	TriggerRegister   = "job-register"
	TriggerDeregister = "job-deregister"
	TriggerAllocStop  = "alloc-stop"
	TriggerNode       = "node-update"
	TriggerQueued     = "queued-allocs"
	TriggerDisconnect = "max-disconnect-timeout"
)

// Loopback is the address of every local node and of what runs on it.
const Loopback = "127.0.0.1"

// DescLost is Nomad's description of an allocation whose node failed.
const DescLost = "alloc is lost since its node is down"

// ClientTerminal reports whether the allocation's processes have ended for good.
func ClientTerminal(a *api.Allocation) bool {
	switch a.ClientStatus {
	case api.AllocClientStatusComplete, api.AllocClientStatusFailed, api.AllocClientStatusLost:
		return true
	}
	return false
}

// ServerTerminal reports whether the scheduler no longer wants the allocation.
func ServerTerminal(a *api.Allocation) bool { return a.DesiredStatus == api.AllocDesiredStatusStop }

// Terminal reports whether the allocation has ended or is no longer wanted.
func Terminal(a *api.Allocation) bool { return ServerTerminal(a) || ClientTerminal(a) }

// EvalTerminal reports whether the evaluation is done.
func EvalTerminal(e *api.Evaluation) bool {
	switch e.Status {
	case api.EvalStatusComplete, api.EvalStatusFailed, api.EvalStatusCancelled:
		return true
	}
	return false
}

// Foreign reports whether an allocation belongs to an earlier job that had the same ID and was purged.
func Foreign(a *api.Allocation, job *api.Job) bool {
	return job != nil && Deref(a.Job.CreateIndex) != Deref(job.CreateIndex)
}

// Parameterized reports whether a job is a parent that is dispatched, and runs nothing itself.
func Parameterized(j *api.Job) bool { return j.ParameterizedJob != nil && !j.Dispatched }

// Gone reports whether a node has failed or left.
func Gone(n *api.Node) bool {
	return n == nil || n.Status == api.NodeStatusDown || n.Status == api.NodeStatusDisconnected
}

// NodeVars is what ${...} stands for on a node: node.*, attr.*, meta.*.
func NodeVars(n *api.Node) map[string]string {
	m := map[string]string{
		"node.unique.id": n.ID, "node.unique.name": n.Name, "node.class": n.NodeClass, "node.datacenter": n.Datacenter, "node.pool": n.NodePool,
	}
	for k, v := range n.Attributes {
		m["attr."+k] = v
	}
	for k, v := range n.Meta {
		m["meta."+k] = v
	}
	return m
}

// Group returns an allocation's task group.
func Group(a *api.Allocation) *api.TaskGroup {
	i := slices.IndexFunc(a.Job.TaskGroups, func(tg *api.TaskGroup) bool { return *tg.Name == a.TaskGroup })
	if i < 0 {
		return nil
	}
	return a.Job.TaskGroups[i]
}

// Replaceable reports whether a lost allocation may be replaced: its group says disconnect { replace } otherwise.
func Replaceable(a *api.Allocation) bool {
	d := Group(a).Disconnect
	return d == nil || d.Replace == nil || *d.Replace
}

// LostAfter is how long an allocation that may not be replaced stays unknown; 0 is for ever. One that may be is lost at once:
// its processes died with their machine, which is this one.
func LostAfter(a *api.Allocation) time.Duration {
	if d := Group(a).Disconnect; d != nil && !Replaceable(a) {
		return Deref(d.LostAfter)
	}
	return 0
}

// AllocIndex is the index in an allocation's name, job.group[index], or -1.
func AllocIndex(name string) int {
	n, err := strconv.Atoi(strings.TrimSuffix(name[strings.LastIndexByte(name, '[')+1:], "]"))
	if err != nil {
		return -1
	}
	return n
}

// CopyAlloc returns a copy to change and store.
func CopyAlloc(a *api.Allocation) *api.Allocation {
	c := *a
	c.TaskStates = maps.Clone(a.TaskStates)
	return &c
}

// NewEval makes a pending evaluation of a job.
func NewEval(job *api.Job, trigger string) *api.Evaluation {
	return &api.Evaluation{
		ID: NewID(), Namespace: *job.Namespace, Priority: *job.Priority, Type: *job.Type,
		TriggeredBy: trigger, JobID: *job.ID, Status: api.EvalStatusPending,
	}
}

// NewID returns a random UUID, version 4.
func NewID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// NewTaskEvent makes an event of a task with the message that Nomad shows for it.
func NewTaskEvent(now time.Time, kind, message string, details map[string]string) *api.TaskEvent {
	if details == nil {
		details = map[string]string{}
	}
	return &api.TaskEvent{Type: kind, Time: now.UnixNano(), DisplayMessage: message, Details: details}
}

// Deref returns the value that a pointer of the wire types holds, or the zero value.
func Deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// Keys returns the keys with the prefix, in order.
func Keys[V any](m map[string]V, prefix string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		if strings.HasPrefix(k, prefix) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}
