package state

import (
	"encoding/json"
	"sync"

	"github.com/hashicorp/nomad/api"
)

// Kind is what kind of change an event is part of, as Nomad names it.
type Kind string

// The kinds of change.
const (
	JobRegistered       Kind = "JobRegistered"
	JobDeregistered     Kind = "JobDeregistered"
	EvalUpdated         Kind = "EvaluationUpdated"
	PlanResult          Kind = "PlanResult"
	AllocUpdated        Kind = "AllocationUpdated"
	AllocTransition     Kind = "AllocationUpdateDesiredStatus"
	NodeRegistered      Kind = "NodeRegistration"
	NodeStatus          Kind = "NodeStreamEvent"
	NodeDeregistered    Kind = "NodeDeregistration"
	ServiceRegistered   Kind = "ServiceRegistration"
	ServiceDeregistered Kind = "ServiceDeregistration"
	VarUpdated          Kind = "VariableUpdated"
	Collected           Kind = "" // removing old objects publishes nothing
)

// keptBatches is how many changes are kept for subscribers who come late, as a Nomad server's event_buffer_size.
const keptBatches = 100

// Event is one object's change.
type Event struct {
	Topic      api.Topic
	Key        string
	FilterKeys []string
	Index      uint64
	Kind       Kind

	payload func() any
	text    func() []byte
}

// JSON is the event as the stream shows it. It is made when the first subscriber wants it, outside the lock.
func (e *Event) JSON() []byte { return e.text() }

func (e *Event) encode() []byte {
	ns := api.DefaultNamespace
	if e.Topic == api.TopicNode {
		ns = ""
	}
	text, err := json.Marshal(struct {
		Topic      api.Topic
		Type       Kind
		Key        string
		Namespace  string
		FilterKeys []string
		Index      uint64
		Payload    any
	}{e.Topic, e.Kind, e.Key, ns, e.FilterKeys, e.Index, e.payload()})
	if err != nil {
		return []byte("{}") // the wire types always encode; an empty object is the harmless answer
	}
	return text
}

// jobEvent shows a job without its payload, which may be large.
func jobEvent(job *api.Job) Event {
	return Event{Topic: api.TopicJob, Key: *job.ID, payload: func() any {
		j := *job
		j.Payload = nil
		return map[string]any{"Job": &j}
	}}
}

// allocEvent shows an allocation without its job.
func allocEvent(a *api.Allocation) Event {
	return Event{Topic: api.TopicAllocation, Key: a.ID, FilterKeys: []string{a.JobID, ""}, payload: func() any {
		c := *a
		c.Job = nil
		return map[string]any{"Allocation": &c}
	}}
}

func nodeEvent(n *api.Node) Event {
	return Event{Topic: api.TopicNode, Key: n.ID, payload: func() any { return map[string]any{"Node": n} }}
}

// Batch is the events of one change, in a list of the newest ones.
type Batch struct {
	Index  uint64
	Events []*Event

	next  *Batch
	ready chan struct{} // closed when next is set
}

// Ready is closed once there is a next batch.
func (b *Batch) Ready() <-chan struct{} { return b.ready }

// Next returns the next batch, once it is ready.
func (b *Batch) Next() *Batch { return b.next }

// eventList is a linked list of the newest batches. Publishing appends and wakes; a subscriber walks at its own pace and
// never holds anything up.
type eventList struct {
	mu         sync.Mutex
	head, tail *Batch
	size       int
}

func newEventList() *eventList {
	first := &Batch{ready: make(chan struct{})}
	return &eventList{head: first, tail: first}
}

func (l *eventList) publish(index uint64, events []*Event) {
	if len(events) == 0 {
		return
	}
	for _, e := range events {
		e.text = sync.OnceValue(e.encode)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.tail
	old.next = &Batch{Index: index, Events: events, ready: make(chan struct{})}
	l.tail = old.next
	close(old.ready)
	if l.size++; l.size > keptBatches {
		l.head = l.head.next
		l.size--
	}
}

// EventsFrom returns a batch whose successors are what a subscriber of the index gets: the first kept batch whose index is
// at least index, or the newest one when index is newer than all, as a Nomad server does. Index 0 gets all.
func (s *Store) EventsFrom(index uint64) *Batch { return s.events.from(index) }

func (l *eventList) from(index uint64) *Batch {
	l.mu.Lock()
	defer l.mu.Unlock()
	start := l.head
	for index > 0 && start.Index < index && start.next != nil {
		start = start.next
	}
	entry := &Batch{next: start, ready: make(chan struct{})}
	close(entry.ready)
	return entry
}
