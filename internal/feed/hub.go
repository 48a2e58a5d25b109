package feed

import (
	"encoding/json"
	"sync"
	"time"

	"github.com/cotrain/cotrain/internal/run"
)

// The types of messages. Data holds, as JSON: a run.Run for State, []run.Worker for Workers, [Samples], [Log],
// a run.Event for Event, [System]; {} for Gap and Deleted.
const (
	State       = "state"
	Workers     = "workers"
	SamplesType = "samples"
	LogType     = "log"
	EventType   = "event"
	SystemType  = "system"
	Gap         = "gap"
	Deleted     = "deleted"
)

// Topics that are not a run's.
const (
	RunsTopic   = "runs"
	SystemTopic = "system"
)

// RunTopic is the topic of one run.
func RunTopic(id run.ID) string { return "run:" + string(id) }

// SweepTopic is the topic of one sweep: the state of each of its runs when that changes, and [Gap] when many do at once.
func SweepTopic(id run.SweepID) string { return "sweep:" + string(id) }

// Message is one thing that viewers of a topic should know.
type Message struct {
	Topic string          `json:"topic"`
	Seq   int64           `json:"seq"`
	Type  string          `json:"type"`
	Data  json.RawMessage `json:"data"`

	// Run is whose state this is: topics of lists and sweeps carry those of many runs. "" for other messages.
	Run run.ID `json:"-"`
}

// Samples is a columnar update of a run's curves: series[metric][statistic][i] belongs to steps[i]; null where absent.
type Samples struct {
	Steps  []int64                          `json:"steps"`
	Series map[string]map[string][]*float64 `json:"series"`
}

// Log is a piece of a run's log.
type Log struct {
	Lines   []run.LogLine `json:"lines"`
	Skipped int           `json:"skipped"` // lines left out before these because there were too many at once
	// Open are lines that have not ended and are rewritten, as progress bars are, each in the place of what was told of that
	// worker and stream before; one without text has ended. They have no place in the log yet.
	Open []run.LogLine `json:"open,omitempty"`
}

// System is the state of what the console depends on.
type System struct {
	Nomad   string `json:"nomad"`   // ok or unreachable
	Store   string `json:"store"`   // ok or failing
	Message string `json:"message"` // one sentence for a person, "" when all is well
}

const (
	// ringSize is how many messages a topic keeps: at 20 messages a second, half a minute of absence. Whoever is
	// further behind reads the snapshot.
	ringSize = 600
	// ringBytes bounds the memory of one topic's ring.
	ringBytes = 512 << 10
	// idleTopics is how many topics without subscribers keep their ring.
	idleTopics = 64
)

type topic struct {
	seq     int64
	ring    []Message // oldest first, without holes: the last one has sequence seq
	bytes   int
	used    time.Time
	viewers int
	waiting map[*Subscription]struct{} // those in Next who have read everything
}

// since returns what was published after the sequence from: a [Gap] when the ring does not reach back that far, or from
// is of another process.
func (t *topic) since(name string, from int64) []Message {
	if from > t.seq || from < t.seq-int64(len(t.ring)) {
		return []Message{{Topic: name, Seq: t.seq, Type: Gap, Data: json.RawMessage(`{}`)}}
	}
	return t.ring[len(t.ring)-int(t.seq-from):]
}

// Hub is the set of topics. The zero value is not usable; see [NewHub].
type Hub struct {
	mu     sync.Mutex
	base   int64
	topics map[string]*topic
	now    func() time.Time
	newest newest
}

// NewHub returns an empty hub. Sequences start at the clock, so they never repeat across restarts.
func NewHub(now func() time.Time) *Hub {
	return &Hub{base: now().UnixMilli() * 1000, topics: map[string]*topic{}, now: now}
}

func (h *Hub) topic(name string) *topic {
	t := h.topics[name]
	if t == nil {
		h.evictIdle()
		t = &topic{seq: h.base, waiting: map[*Subscription]struct{}{}}
		h.topics[name] = t
	}
	t.used = h.now()
	return t
}

// evictIdle forgets the topics that have been unused the longest while there are too many. A later topic of the same
// name starts beyond every sequence used so far, so its viewers see a gap, not a repeat.
func (h *Hub) evictIdle() {
	for len(h.topics) >= idleTopics {
		oldest := ""
		for name, t := range h.topics {
			if t.viewers == 0 && (oldest == "" || t.used.Before(h.topics[oldest].used)) {
				oldest = name
			}
		}
		if oldest == "" {
			return // all are looked at
		}
		h.base = max(h.base, h.topics[oldest].seq+1)
		delete(h.topics, oldest)
	}
}

// Seq is the sequence of the newest message of a topic. Read it before the store: what the page then shows
// includes at least everything up to it.
func (h *Hub) Seq(name string) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t := h.topics[name]; t != nil {
		return t.seq
	}
	return h.base
}

// HasViewers reports whether anyone follows the topic.
func (h *Hub) HasViewers(name string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.topics[name]
	return t != nil && t.viewers > 0
}

// PublishRun tells viewers of the run what happened to it, and those of its sweep and of the list too what it is now. A state
// older than one that they were told is dropped. Configuration, environment and arguments do not change, so they do not
// travel with every step.
func (h *Hub) PublishRun(r run.Run, evs ...run.Event) {
	for _, ev := range evs {
		h.Publish(RunTopic(r.ID), EventType, ev)
	}
	h.newest.publish(r, func() { h.publishRun(r) })
}

func (h *Hub) publishRun(r run.Run) {
	r.Config, r.Options.Env, r.Options.Args = "", nil, nil
	m := encode(State, r)
	m.Run = r.ID
	h.publish(RunTopic(r.ID), m)
	if r.Origin.Sweep != "" {
		h.publish(SweepTopic(r.Origin.Sweep), m)
	}
	h.publish(RunsTopic, m)
}

// PublishMany tells viewers of a sweep and of the list that many runs have changed at once: they read the snapshot.
func (h *Hub) PublishMany(sweep run.SweepID) {
	if sweep != "" {
		h.Publish(SweepTopic(sweep), Gap, struct{}{})
	}
	h.Publish(RunsTopic, Gap, struct{}{})
}

// Publish sends data, as JSON, to everyone who follows the topic. It costs the same however many they are and however
// slowly they read. Data that JSON cannot hold becomes a [Gap]: viewers then read the snapshot.
func (h *Hub) Publish(name, typ string, data any) { h.publish(name, encode(typ, data)) }

func encode(typ string, data any) Message {
	raw, err := json.Marshal(data)
	if err != nil {
		return Message{Type: Gap, Data: json.RawMessage(`{}`)}
	}
	return Message{Type: typ, Data: raw}
}

func (h *Hub) publish(name string, m Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.topic(name)
	t.seq++
	m.Topic, m.Seq = name, t.seq
	t.ring = append(t.ring, m)
	t.bytes += len(m.Data)
	for len(t.ring) > ringSize || (t.bytes > ringBytes && len(t.ring) > 1) {
		t.bytes -= len(t.ring[0].Data)
		t.ring[0] = Message{} // lets go of the data; append moves the rest when it next grows
		t.ring = t.ring[1:]
	}
	for s := range t.waiting {
		s.wakeUp()
	}
	clear(t.waiting)
}
