// Package live keeps pages current, over a socket with the feed's states, rows and fragments.
package live

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/cotrain/cotrain/internal/access"
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

// Guard decides who may follow what; see package guard.
type Guard interface {
	Allow(ctx context.Context, right access.Right, subject access.Subject) error
}

// Auth tells when what people may do has changed, and who they are then; see package auth.
type Auth interface {
	// Changed is closed at the next change.
	Changed() <-chan struct{}
	// Still returns who a request's identity is now, or [fault.ErrSignedOut].
	Still(ctx context.Context) (access.Identity, error)
}

// Options configures [New]; only Base may be empty.
type Options struct {
	Runs   Runs
	Feed   Feed
	Guard  Guard
	Auth   Auth
	Base   string // path of the public URL, for links in fragments
	Now    func() time.Time
	Logger *slog.Logger
}

// Server holds the open sockets.
type Server struct {
	o         Options
	fragments *fragmentCache
	slots     chan struct{} // one per open socket

	closing sync.Mutex      // held while counting a socket or closing
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	sockets sync.WaitGroup
}

// New returns a Server; see [Server.Close].
func New(o Options) *Server {
	s := &Server{o: o, fragments: newFragmentCache(), slots: make(chan struct{}, maxSockets)}
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
