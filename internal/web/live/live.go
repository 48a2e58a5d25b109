// Package live keeps pages current: a socket that brings what the feed publishes, as states, rows and pieces of HTML.
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

// Runs reads what messages do not hold.
type Runs interface {
	Run(ctx context.Context, id run.ID) (run.Run, error)
	// Lines fills in the queue positions of those that wait.
	Lines(ctx context.Context, runs []run.Run) error
}

// Feed is the hub that sockets follow.
type Feed interface {
	Subscribe(since map[string]int64) *feed.Subscription
}

// Server holds the open sockets.
type Server struct {
	runs      Runs
	feed      Feed
	now       func() time.Time
	log       *slog.Logger
	fragments *fragmentCache
	slots     chan struct{} // one for each open socket

	closing sync.Mutex      // held while a socket is counted or the server ends
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	sockets sync.WaitGroup
}

// New returns a Server; end it with [Server.Close].
func New(runs Runs, hub Feed, now func() time.Time, log *slog.Logger) *Server {
	s := &Server{runs: runs, feed: hub, now: now, log: log, fragments: newFragmentCache(), slots: make(chan struct{}, maxSockets)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Close ends every open socket and waits until they have ended, or ctx does.
func (s *Server) Close(ctx context.Context) error {
	s.closing.Lock()
	s.cancel()
	s.closing.Unlock()
	done := make(chan struct{})
	go func() { // ends when the sockets have, which the cancel above makes them do
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

// enter counts a new socket, unless the server has ended.
func (s *Server) enter() bool {
	s.closing.Lock()
	defer s.closing.Unlock()
	if s.ctx.Err() != nil {
		return false
	}
	s.sockets.Add(1)
	return true
}
