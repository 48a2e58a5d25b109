package localnomad

import (
	"encoding/json"
	"sync"

	"github.com/hashicorp/nomad/api"
	"github.com/klauspost/compress/snappy"
)

// The topics and types of events that this agent publishes, as Nomad names
// them. The type says what kind of change it was, for every object in it.
const (
	topicJob        = "Job"
	topicEvaluation = "Evaluation"
	topicAllocation = "Allocation"
	topicNode       = "Node"
	topicService    = "Service"
	topicAll        = "*"

	kindOfRegister    = "JobRegistered"
	kindOfDeregister  = "JobDeregistered"
	kindOfEval        = "EvaluationUpdated"
	kindOfPlan        = "PlanResult"
	kindOfClient      = "AllocationUpdated"
	kindOfTransition  = "AllocationUpdateDesiredStatus"
	kindOfNode        = "NodeRegistration"
	kindOfNodeStatus  = "NodeStreamEvent"
	kindOfNodeGone    = "NodeDeregistration"
	kindOfService     = "ServiceRegistration"
	kindOfServiceGone = "ServiceDeregistration"
	kindOfVar         = "VariableUpdated"
	kindOfGC          = "" // collecting old objects publishes nothing
)

// eventBufferSize is the number of changes that are kept for subscribers who
// come late, as a Nomad server's event_buffer_size.
const eventBufferSize = 100

// event is one object's change. Its JSON is made when the first subscriber
// wants it, outside the store's lock.
type event struct {
	topic, key string
	filterKeys []string
	index      uint64
	kind       string
	payload    func() any

	once sync.Once
	text []byte
}

func (tx *txn) event(topic, key string, filterKeys []string, payload func() any) {
	if tx.kind == kindOfGC {
		return
	}
	tx.events = append(tx.events, &event{
		topic: topic, key: key, filterKeys: filterKeys, index: tx.index, kind: tx.kind, payload: payload,
	})
}

func (e *event) json() []byte {
	e.once.Do(func() {
		ns := api.DefaultNamespace
		if e.topic == topicNode {
			ns = ""
		}
		text, err := json.Marshal(struct {
			Topic, Type, Key, Namespace string
			FilterKeys                  []string
			Index                       uint64
			Payload                     any
		}{e.topic, e.kind, e.key, ns, e.filterKeys, e.index, e.payload()})
		if err != nil {
			text = []byte("{}") // the wire types always encode; an empty object is the harmless answer
		}
		e.text, e.payload = text, nil
	})
	return e.text
}

// jobEventPayload is a job as the event stream shows it: with the payload
// compressed, which real agents do not undo for events.
func jobEventPayload(job *api.Job, deleted bool) any {
	j := *job
	if len(j.Payload) > 0 {
		j.Payload = snappy.Encode(nil, j.Payload)
	}
	return struct {
		Job     *api.Job
		Deleted bool `json:",omitempty"`
	}{&j, deleted}
}

// allocEventPayload is an allocation as the event stream shows it: without its job.
func allocEventPayload(a *api.Allocation) any {
	c := *a
	c.Job = nil
	p := struct {
		Allocation    *api.Allocation
		Timeout       bool   `json:",omitempty"`
		TimeoutReason string `json:",omitempty"`
	}{Allocation: &c}
	if a.ClientStatus == clientComplete && a.ClientDescription == reasonMaxRunDuration {
		p.Timeout, p.TimeoutReason = true, a.ClientDescription
	}
	return p
}

// batch is the events of one change.
type batch struct {
	index  uint64
	events []*event
	next   *batch
	ready  chan struct{} // closed when next is set
}

// eventHub is a linked list of the newest batches. Publishing appends and
// wakes; a subscriber walks at its own pace and never holds anything up.
type eventHub struct {
	mu         sync.Mutex
	head, tail *batch
	size       int
}

func newEventHub() *eventHub {
	first := &batch{ready: make(chan struct{})}
	return &eventHub{head: first, tail: first}
}

func (h *eventHub) publish(index uint64, events []*event) {
	if len(events) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	b := &batch{index: index, events: events, ready: make(chan struct{})}
	old := h.tail
	old.next = b
	h.tail = b
	close(old.ready)
	if h.size++; h.size > eventBufferSize {
		h.head = h.head.next
		h.size--
	}
}

// from returns a batch whose successors are what a subscriber of the index
// gets: the first kept batch whose index is at least index, or the newest one
// when index is newer than all, as a Nomad server does. Index 0 gets all.
func (h *eventHub) from(index uint64) *batch {
	h.mu.Lock()
	defer h.mu.Unlock()
	start := h.head
	for index > 0 && start.index < index && start.next != nil {
		start = start.next
	}
	entry := &batch{next: start, ready: make(chan struct{})}
	close(entry.ready)
	return entry
}

// eventFilter is what one subscriber wants: keys by topic.
type eventFilter map[string][]string

// match returns how often an event is delivered: once for every key that
// matches, as on a real agent.
func (f eventFilter) match(e *event) int {
	all := f[topicAll]
	if len(all) == 1 && all[0] == topicAll {
		return 1
	}
	keys := append(append([]string{}, all...), f[e.topic]...)
	if len(keys) == 1 && keys[0] == topicAll {
		return 1
	}
	n := 0
	for _, k := range keys {
		if k == e.key {
			n++
			continue
		}
		for _, fk := range e.filterKeys {
			if fk == k {
				n++
				break
			}
		}
	}
	return n
}
