package feed

import (
	"context"
	"slices"
	"sync"
)

// Subscription is a viewer's positions in its topics. It holds no messages: Next reads the rings.
type Subscription struct {
	hub    *Hub
	places []place // guarded by the hub
	wake   chan struct{}
	done   chan struct{}
	once   sync.Once
}

// place is how far a viewer has read a topic.
type place struct {
	name  string
	topic *topic // never evicted while followed
	seq   int64
}

// Subscribe follows topics, each after the given sequence, or from now if negative. Where the ring does not reach back
// far enough the next message is a [Gap].
func (h *Hub) Subscribe(since map[string]int64) *Subscription {
	s := &Subscription{hub: h, wake: make(chan struct{}, 1), done: make(chan struct{})}
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, from := range since {
		t := h.topic(name)
		t.viewers++
		if from < 0 {
			from = t.seq
		}
		s.places = append(s.places, place{name, t, from})
	}
	return s
}

// Close ends the subscription; a waiting Next returns.
func (s *Subscription) Close() {
	s.once.Do(func() {
		close(s.done)
		s.hub.mu.Lock()
		defer s.hub.mu.Unlock()
		for _, p := range s.places {
			p.topic.viewers--
			p.topic.used = s.hub.now()
			delete(p.topic.waiting, s)
		}
	})
}

// Next blocks until there are messages and returns all, in order per topic. It returns ctx's error, or context.Canceled
// once closed.
func (s *Subscription) Next(ctx context.Context) ([]Message, error) {
	for {
		if ms := s.take(); len(ms) > 0 {
			return ms, nil
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

// take advances to the newest messages and returns those in between, or else registers for a wake-up.
func (s *Subscription) take() []Message {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	var out []Message
	for i := range s.places {
		p := &s.places[i]
		out = append(out, p.topic.since(p.name, p.seq)...)
		p.seq = p.topic.seq
	}
	if len(out) > 0 || s.closed() {
		return out
	}
	for _, p := range s.places {
		p.topic.waiting[s] = struct{}{}
	}
	return nil
}

func (s *Subscription) closed() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

func (s *Subscription) wakeUp() {
	select {
	case s.wake <- struct{}{}:
	default: // already awake
	}
}

// Coalesce drops states and workers that a later message of the batch replaces.
func Coalesce(batch []Message) []Message {
	type subject struct {
		topic, typ, run string
	}
	seen := map[subject]bool{}
	out := make([]Message, 0, len(batch))
	for _, m := range slices.Backward(batch) {
		if m.Type == State || m.Type == Workers {
			key := subject{m.Topic, m.Type, string(m.Run)}
			if seen[key] {
				continue
			}
			seen[key] = true
		}
		out = append(out, m)
	}
	slices.Reverse(out)
	return out
}
