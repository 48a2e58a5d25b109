// Package live keeps pages current, over a socket with the feed's states, rows and fragments.
package live

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
)

// Runs reads what messages lack.
type Runs interface {
	Run(ctx context.Context, id run.ID) (run.Run, error)
	// SetQueuePlaces fills in the queue places of waiting runs.
	SetQueuePlaces(ctx context.Context, runs []run.Run) error
}

// Feed is the hub that sockets follow.
type Feed interface {
	Subscribe(since map[string]int64) *feed.Subscription
}

// Server holds the open sockets.
type Server struct {
	runs      Runs
	feed      Feed
	base      string
	now       func() time.Time
	log       *slog.Logger
	fragments *fragmentCache
	slots     chan struct{} // one per open socket

	closing sync.Mutex      // held while counting a socket or closing
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	sockets sync.WaitGroup
}

// New returns a Server whose fragments have their links below base; see [Server.Close].
func New(runs Runs, hub Feed, base string, now func() time.Time, log *slog.Logger) *Server {
	s := &Server{runs: runs, feed: hub, base: base, now: now, log: log, fragments: newFragmentCache(), slots: make(chan struct{}, maxSockets)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Close closes all sockets and waits for their end, or ctx's.
func (s *Server) Close(ctx context.Context) error {
	s.closing.Lock()
	s.cancel()
	s.closing.Unlock()
	done := make(chan struct{})
	go func() { // ends after the cancel above
		s.sockets.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return errors.Join(errors.New("sockets are still open"), ctx.Err())
	}
}

// enter counts a new socket, unless closed.
func (s *Server) enter() bool {
	s.closing.Lock()
	defer s.closing.Unlock()
	if s.ctx.Err() != nil {
		return false
	}
	s.sockets.Add(1)
	return true
}
