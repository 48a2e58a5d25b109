package feed

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
)

// Subscription is a viewer's positions in its topics. It holds no messages: Next reads the rings.
type Subscription struct {
	hub     *Hub
	places  []place     // of who takes
	waiting atomic.Bool // for wake, having taken everything
	wake    chan struct{}
	done    chan struct{}
	once    sync.Once
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
		t.waking.Lock()
		t.viewers[s] = struct{}{}
		t.waking.Unlock()
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
			p.topic.used = s.hub.now()
			p.topic.waking.Lock()
			delete(p.topic.viewers, s)
			p.topic.waking.Unlock()
		}
	})
}

// Next blocks until there are messages and returns all, in order per topic. It returns ctx's error, or context.Canceled
// once closed.
func (s *Subscription) Next(ctx context.Context) ([]Message, error) {
	for {
		if ms := s.Take(); len(ms) > 0 {
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

// Wake receives once there are messages after a [Subscription.Take] that returned none.
func (s *Subscription) Wake() <-chan struct{} { return s.wake }

// Take advances to the newest messages and returns those in between, which nobody may change; if there are none, [Subscription.Wake] tells of the next. One
// goroutine takes. It takes no lock: many that are woken together do not wait for each other.
func (s *Subscription) Take() []Message {
	if out := s.take(); len(out) > 0 {
		return out
	}
	s.waiting.Store(true)
	return s.take() // what came before that, of which nobody tells; to be woken once too often does no harm
}

func (s *Subscription) take() (out []Message) {
	for i := range s.places {
		p := &s.places[i]
		now := p.topic.now.Load()
		if now.seq == p.seq {
			continue
		}
		ms := now.since(p.name, p.seq)
		if len(ms) == 1 && ms[0].encoded == nil { // of no publisher
			s.hub.gaps.Add(1)
		}
		if out == nil {
			out = slices.Clip(ms) // of one topic, as nearly always: not copied
		} else {
			out = append(out, ms...)
		}
		p.seq = now.seq
	}
	return out
}

// Positions is how far each topic is taken by [Subscription.Take].
func (s *Subscription) Positions() map[string]int64 {
	out := make(map[string]int64, len(s.places))
	for _, p := range s.places {
		out[p.name] = p.seq
	}
	return out
}

func (s *Subscription) wakeUp() {
	if !s.waiting.CompareAndSwap(true, false) {
		return // it takes what there is before it waits
	}
	select {
	case s.wake <- struct{}{}:
	default: // already told
	}
}

// Replaces reports whether a message of the type replaces earlier ones of its run.
func Replaces(typ string) bool { return typ == State || typ == Workers || typ == TrainingProgress }

// Coalesce drops messages that a later one of the batch replaces.
func Coalesce(batch []Message) []Message {
	if len(batch) < 2 {
		return batch
	}
	type subject struct {
		topic, typ, run string
	}
	seen := map[subject]bool{}
	out := make([]Message, 0, len(batch))
	for _, m := range slices.Backward(batch) {
		if Replaces(m.Type) {
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
