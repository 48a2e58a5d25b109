package feed

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"github.com/cotrain/cotrain/internal/run"
)

// A queue longer than these is compacted: see [Subscription.compact].
const (
	maxQueue      = 256
	maxQueueBytes = 1 << 20
	maxLogLines   = 400 // log lines that one waiting viewer can have queued
)

// Subscription is one viewer's queue. Next hands out what is in it.
type Subscription struct {
	hub    *Hub
	topics []string

	mu    sync.Mutex
	queue []Message
	bytes int
	wake  chan struct{}
	done  chan struct{}
	once  sync.Once
}

// Subscribe follows topics, each from just after the given sequence; a negative one means from now. If the ring no
// longer reaches back that far the first message of the topic is a [Gap]: re-read the snapshot.
func (h *Hub) Subscribe(since map[string]int64) *Subscription {
	s := &Subscription{hub: h, wake: make(chan struct{}, 1), done: make(chan struct{})}
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, from := range since {
		s.topics = append(s.topics, name)
		t := h.topic(name)
		t.subs[s] = struct{}{}
		switch {
		case from < 0 || from == t.seq:
		case from > t.seq || from < t.seq-int64(len(t.ring)):
			s.push(Message{Topic: name, Seq: t.seq, Type: Gap, Data: json.RawMessage(`{}`)})
		default:
			for _, m := range t.ring[len(t.ring)-int(t.seq-from):] {
				s.push(m)
			}
		}
	}
	return s
}

// Close ends the subscription; a waiting Next returns.
func (s *Subscription) Close() {
	s.once.Do(func() {
		close(s.done)
		s.hub.mu.Lock()
		defer s.hub.mu.Unlock()
		for _, name := range s.topics {
			if t := s.hub.topics[name]; t != nil {
				delete(t.subs, s)
				t.used = s.hub.now()
			}
		}
	})
}

// push is called with the hub locked.
func (s *Subscription) push(m Message) {
	s.mu.Lock()
	s.queue = append(s.queue, m)
	s.bytes += len(m.Data)
	if len(s.queue) > maxQueue || s.bytes > maxQueueBytes {
		s.compact()
	}
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Next waits for messages and returns all that are queued, in order. It returns ctx's error, or
// context.Canceled once the subscription is closed.
func (s *Subscription) Next(ctx context.Context) ([]Message, error) {
	for {
		s.mu.Lock()
		q := s.queue
		s.queue, s.bytes = nil, 0
		s.mu.Unlock()
		if len(q) > 0 {
			return q, nil
		}
		select {
		case <-s.wake:
		case <-s.done:
			return nil, context.Canceled
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// compact makes a slow viewer's queue small again. Of states, workers and systems only the newest of each topic
// matters; samples are merged into one; of log lines the newest are kept and the others counted; the oldest
// events give way to a gap, after which the viewer reads the snapshot.
func (s *Subscription) compact() {
	byTopic := map[string][]Message{}
	var order []string
	for _, m := range s.queue {
		if byTopic[m.Topic] == nil {
			order = append(order, m.Topic)
		}
		byTopic[m.Topic] = append(byTopic[m.Topic], m)
	}
	s.queue, s.bytes = s.queue[:0:0], 0
	for _, name := range order {
		for _, m := range compactTopic(byTopic[name]) {
			s.queue = append(s.queue, m)
			s.bytes += len(m.Data)
		}
	}
}

func compactTopic(in []Message) []Message {
	newest := map[string]Message{}
	var samples []Samples
	var log Log
	var events []Message
	var lastSample, lastLog Message
	for _, m := range in {
		switch m.Type {
		case SamplesType:
			var v Samples
			if json.Unmarshal(m.Data, &v) == nil {
				samples = append(samples, v)
				lastSample = m
			}
		case LogType:
			var v Log
			if json.Unmarshal(m.Data, &v) == nil {
				log.Skipped += v.Skipped
				log.Lines = append(log.Lines, v.Lines...)
				lastLog = m
			}
		case EventType:
			events = append(events, m)
		default:
			newest[m.Topic+" "+m.Type+stateKey(m)] = m
		}
	}
	out := make([]Message, 0, len(newest)+len(events)+2)
	for _, m := range newest {
		out = append(out, m)
	}
	if len(samples) > 0 {
		lastSample.Data = mustJSON(mergeSamples(samples))
		out = append(out, lastSample)
	}
	if len(log.Lines) > 0 || log.Skipped > 0 {
		if n := len(log.Lines) - maxLogLines; n > 0 {
			log.Skipped += n
			log.Lines = log.Lines[n:]
		}
		lastLog.Data = mustJSON(log)
		out = append(out, lastLog)
	}
	if len(events) > maxQueue/2 {
		out = append(out, Message{Topic: in[0].Topic, Seq: events[len(events)-1].Seq, Type: Gap, Data: json.RawMessage(`{}`)})
	} else {
		out = append(out, events...)
	}
	slices.SortFunc(out, func(a, b Message) int { return int(a.Seq - b.Seq) })
	if len(out) > maxQueue/2 { // a topic of very many runs: their list is one read
		last := out[len(out)-1]
		return []Message{{Topic: last.Topic, Seq: last.Seq, Type: Gap, Data: json.RawMessage(`{}`)}}
	}
	return out
}

// stateKey tells apart states of different runs on one topic, the list's or a sweep's.
func stateKey(m Message) string {
	if m.Topic != RunsTopic && !strings.HasPrefix(m.Topic, sweepPrefix) {
		return ""
	}
	var v struct {
		ID run.ID `json:"id"`
	}
	_ = json.Unmarshal(m.Data, &v) // no ID: one key for all such messages
	return " " + string(v.ID)
}

// mergeSamples joins updates; where they speak of the same step the later one wins.
func mergeSamples(in []Samples) Samples {
	index := map[int64]int{}
	var out Samples
	for _, v := range in {
		for _, step := range v.Steps {
			if _, ok := index[step]; !ok {
				index[step] = 0
				out.Steps = append(out.Steps, step)
			}
		}
	}
	slices.Sort(out.Steps)
	for i, step := range out.Steps {
		index[step] = i
	}
	out.Series = map[string]map[string][]*float64{}
	for _, v := range in {
		for metric, stats := range v.Series {
			if out.Series[metric] == nil {
				out.Series[metric] = map[string][]*float64{}
			}
			for stat, values := range stats {
				col := out.Series[metric][stat]
				if col == nil {
					col = make([]*float64, len(out.Steps))
					out.Series[metric][stat] = col
				}
				for i, x := range values {
					if x != nil && i < len(v.Steps) {
						col[index[v.Steps[i]]] = x
					}
				}
			}
		}
	}
	return out
}

func mustJSON(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil { // only types of this package, which were JSON a moment ago
		return json.RawMessage(`{}`)
	}
	return b
}
