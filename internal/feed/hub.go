package feed

import (
	"encoding/json"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cotrain/cotrain/internal/run"
)

// Message types. Data holds, as JSON: a run.Run for State, []run.Worker for Workers, [Samples], [Log], a run.Event for
// Event, [System], a status.Status for TrainingProgress, the ID of a run or sweep for Deleted, {} for Gap.
const (
	State       = "state"
	Workers     = "workers"
	SamplesType = "samples"
	LogType     = "log"
	EventType   = "event"
	SystemType  = "system"
	Gap         = "gap"
	Deleted     = "deleted"
	// TrainingProgress is for front ends that know no more of runs.
	TrainingProgress = "training.progress"
)

// Topics beside those of runs and sweeps.
const (
	RunsTopic   = "runs"
	SystemTopic = "system"
	// TrainingTopic has the progress of all runs.
	TrainingTopic = "training"
)

// TrainingOf is the topic of one run's progress; [TrainingTopic] has that of all. Those who follow a run itself have its state, and
// are spared the same once more.
func TrainingOf(id run.ID) string { return TrainingTopic + ":" + string(id) }

// RunsOf is the topic of one project's runs; [RunsTopic] has those of all.
func RunsOf(project string) string { return RunsTopic + ":" + project }

// RunTopic is the topic of one run.
func RunTopic(id run.ID) string { return "run:" + string(id) }

// SweepTopic is the topic of one sweep: its runs' states, or [Gap] when many change at once.
func SweepTopic(id run.SweepID) string { return "sweep:" + string(id) }

// Message is one update of a topic.
type Message struct {
	Topic string          `json:"topic"`
	Seq   int64           `json:"seq"`
	Type  string          `json:"type"`
	Data  json.RawMessage `json:"data"`

	// Run is the run of a state, for topics with many runs; "" for other messages.
	Run run.ID `json:"-"`
	// Project is that of the run that it is about; "" for other messages, which tell nothing of any.
	Project string `json:"-"`

	encoded *encodings
}

// Samples updates a run's curves by column: series[metric][statistic][i] belongs to steps[i]; null where absent.
type Samples struct {
	Steps  []int64                          `json:"steps"`
	Series map[string]map[string][]*float64 `json:"series"`
}

// Log is a piece of a run's log.
type Log struct {
	Lines   []run.LogLine `json:"lines"`
	Skipped int           `json:"skipped"` // lines left out before these
	// Open are unfinished lines, such as progress bars. Each replaces the earlier one of its worker and stream; an empty
	// text ends it. They have no position yet.
	Open []run.LogLine `json:"open,omitempty"`
}

// System is the state of the console's dependencies.
type System struct {
	Nomad   string `json:"nomad"`   // ok or unreachable
	Store   string `json:"store"`   // ok or failing
	Message string `json:"message"` // for people, "" when all is well
}

const (
	// ringSize is the messages kept per topic: half a minute at 20 a second.
	ringSize = 600
	// ringBytes bounds the memory of one topic's ring, which may hold twice as much until it is next moved.
	ringBytes = 512 << 10
	// idleTopics is how many topics without viewers keep their ring.
	idleTopics = 64
)

type topic struct {
	window
	now     atomic.Pointer[window] // a copy, for readers without the hub's lock
	bytes   int
	dropped int // messages before the ring that are still in memory
	used    time.Time

	waking  sync.Mutex // of viewers; taken without the hub's lock, so that those who are woken find it free
	viewers map[*Subscription]struct{}
}

// window is what a topic has at a time. Its messages are never changed.
type window struct {
	seq  int64
	ring []Message // oldest first, no gaps; the last has sequence seq
}

// since returns the messages after a sequence, or a [Gap] if the ring does not reach back that far or the sequence is
// another process's.
func (t window) since(name string, from int64) []Message {
	if from > t.seq || from < t.seq-int64(len(t.ring)) {
		return []Message{{Topic: name, Seq: t.seq, Type: Gap, Data: json.RawMessage(`{}`)}}
	}
	return t.ring[len(t.ring)-int(t.seq-from):]
}

// Hub holds the topics. Use [NewHub].
type Hub struct {
	mu     sync.Mutex
	base   int64
	many   int64 // the least sequence of lists, since many runs changed
	topics map[string]*topic
	now    func() time.Time
	newest newest

	published, gaps atomic.Uint64 // since the start
}

// Load is how much there is to do for viewers.
type Load struct {
	Topics    int    // in memory
	Published uint64 // messages, since the start
	Gaps      uint64 // sent in place of what viewers have missed, since the start
}

// Load returns the current one.
func (h *Hub) Load() Load {
	h.mu.Lock()
	defer h.mu.Unlock()
	return Load{Topics: len(h.topics), Published: h.published.Load(), Gaps: h.gaps.Load()}
}

// NewHub returns an empty hub. Sequences start at the clock, so they never repeat across restarts.
func NewHub(now func() time.Time) *Hub {
	return &Hub{base: now().UnixMilli() * 1000, topics: map[string]*topic{}, now: now}
}

func (h *Hub) topic(name string) *topic {
	t := h.topics[name]
	if t == nil {
		h.evictIdle()
		t = &topic{window: window{seq: h.first(name)}, viewers: map[*Subscription]struct{}{}}
		t.now.Store(&window{seq: t.seq})
		h.topics[name] = t
	}
	t.used = h.now()
	return t
}

// evictIdle drops the longest unused topics beyond idleTopics. A later topic of the same name starts beyond every used
// sequence, so viewers see a gap, never a repeat.
func (h *Hub) evictIdle() {
	for len(h.topics) >= idleTopics {
		oldest := ""
		for name, t := range h.topics {
			if !t.followed() && (oldest == "" || t.used.Before(h.topics[oldest].used)) {
				oldest = name
			}
		}
		if oldest == "" {
			return // all were visited
		}
		h.base = max(h.base, h.topics[oldest].seq+1)
		delete(h.topics, oldest)
	}
}

// Seq is the newest sequence of a topic. Read it before the store, so that a page never misses a message.
func (h *Hub) Seq(name string) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t := h.topics[name]; t != nil {
		return t.seq
	}
	return h.first(name)
}

// first is the sequence of a topic that does not exist.
func (h *Hub) first(name string) int64 {
	if isList(name) {
		return max(h.base, h.many)
	}
	return h.base
}

func isList(name string) bool { return name == RunsTopic || strings.HasPrefix(name, RunsOf("")) }

// HasViewers reports whether anyone follows the topic.
func (h *Hub) HasViewers(name string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.topics[name]
	return t != nil && t.followed()
}

// Keeps reports whether anyone follows the topic, or did not long ago and may come back.
func (h *Hub) Keeps(name string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.topics[name] != nil
}

// PublishRun publishes a run and its events to its viewers, and its state to those of its sweep and the lists. States
// older than the last are dropped. Configuration, environment and arguments never change and are left out.
func (h *Hub) PublishRun(r run.Run, evs ...run.Event) {
	for _, ev := range evs {
		h.Publish(RunTopic(r.ID), EventType, ev)
	}
	h.newest.publish(r, func() { h.publishRun(r) })
}

func (h *Hub) publishRun(r run.Run) {
	r.Config, r.Options.Env, r.Options.Args = "", nil, nil
	m := encode(State, r)
	m.Run, m.Project = r.ID, r.Project
	h.publish(RunTopic(r.ID), m)
	if r.Origin.Sweep != "" {
		h.publish(SweepTopic(r.Origin.Sweep), m)
	}
	h.publish(RunsTopic, m)
	h.publish(RunsOf(r.Project), m)
}

// PublishDeleted tells viewers of a run and of the lists that it is deleted.
func (h *Hub) PublishDeleted(r run.Run) {
	m := encode(Deleted, map[string]run.ID{"id": r.ID})
	m.Project = r.Project
	for _, topic := range []string{RunTopic(r.ID), RunsTopic, RunsOf(r.Project)} {
		h.publish(topic, m)
	}
}

// PublishTraining publishes a run's progress to those who follow it.
func (h *Hub) PublishTraining(r run.Run, data any) {
	m := encode(TrainingProgress, data)
	m.Run, m.Project = r.ID, r.Project
	for _, topic := range []string{TrainingOf(r.ID), TrainingTopic} {
		if h.Keeps(topic) {
			h.publish(topic, m)
		}
	}
}

// PublishMany tells viewers of a sweep and the lists to read the snapshot, since many runs changed.
func (h *Hub) PublishMany(sweep run.SweepID) {
	if sweep != "" {
		h.Publish(SweepTopic(sweep), Gap, struct{}{})
	}
	for _, list := range h.lists() {
		h.Publish(list, Gap, struct{}{})
	}
}

// lists returns the topics of lists. Those that do not exist begin behind what pages know of them, which is a gap, too.
func (h *Hub) lists() (names []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.many = max(h.base, h.many) + 1
	for name := range h.topics {
		if isList(name) {
			names = append(names, name)
		}
	}
	return names
}

// Publish sends data as JSON to a topic, at a cost independent of the viewers. Data that JSON cannot hold becomes a
// [Gap].
func (h *Hub) Publish(name, typ string, data any) { h.publish(name, encode(typ, data)) }

func encode(typ string, data any) Message {
	raw, err := json.Marshal(data)
	if err != nil {
		return Message{Type: Gap, Data: json.RawMessage(`{}`)}
	}
	return Message{Type: typ, Data: raw}
}

func (h *Hub) publish(name string, m Message) { h.append(name, m).wake() }

// append gives the topic a message and returns it.
func (h *Hub) append(name string, m Message) *topic {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.topic(name)
	t.seq++
	h.published.Add(1)
	m.Topic, m.Seq, m.encoded = name, t.seq, &encodings{}
	t.ring = append(t.ring, m)
	t.bytes += len(m.Data)
	for len(t.ring) > ringSize || (t.bytes > ringBytes && len(t.ring) > 1) {
		t.bytes -= len(t.ring[0].Data)
		t.ring = t.ring[1:]
		t.dropped++
	}
	if t.dropped > len(t.ring) { // free them
		t.ring, t.dropped = append(make([]Message, 0, 2*len(t.ring)), t.ring...), 0
	}
	t.now.Store(&window{t.seq, t.ring})
	return t
}

// wake tells the viewers who wait that the topic has a message. One that begins to wait afterwards has seen it.
func (t *topic) wake() {
	t.waking.Lock()
	defer t.waking.Unlock()
	for s := range t.viewers {
		s.wakeUp()
	}
}

func (t *topic) followed() bool {
	t.waking.Lock()
	defer t.waking.Unlock()
	return len(t.viewers) > 0
}
