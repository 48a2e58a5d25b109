package nomad

import (
	"context"
	"sync/atomic"
	"time"
)

// turn is how long a log stream keeps its slot while others wait.
const turn = 5 * time.Second

// slots bounds the log streams, since a Nomad agent answers 429 to the 101st connection from one address. Beyond that
// streams take turns and resume from their cursors.
type slots struct {
	free    chan struct{}
	turn    time.Duration
	waiting atomic.Int64
}

func newSlots(n int, turn time.Duration) *slots {
	return &slots{free: make(chan struct{}, n), turn: turn}
}

// acquire waits for a slot, first come first served.
func (s *slots) acquire(ctx context.Context) error {
	select {
	case s.free <- struct{}{}:
		return nil
	default:
	}
	s.waiting.Add(1)
	defer s.waiting.Add(-1)
	select {
	case s.free <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *slots) release() { <-s.free }

// shouldYield reports whether a holder should make room.
func (s *slots) shouldYield(since time.Time) bool {
	return s.waiting.Load() > 0 && time.Since(since) > s.turn
}
