package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/feed"
)

// Feed is the hub that viewers follow.
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

// Limits bound the open connections; a limit of 0 is none.
type Limits struct {
	Connections int
	PerUser     int
}

// Options configures [New].
type Options struct {
	Feed   Feed
	Guard  Guard
	Auth   Auth
	Limits Limits
	Logger *slog.Logger
}

// Server holds the open connections.
type Server struct {
	o      Options
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	open   sync.WaitGroup

	mu    sync.Mutex // held while counting a connection or closing
	count int
	users map[access.UserID]int
}

// New returns a Server; see [Server.Close].
func New(o Options) *Server {
	s := &Server{o: o, users: map[access.UserID]int{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// End has all connections end, and no more begin.
func (s *Server) End() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cancel()
}

// Close ends all connections and waits for their end, or ctx's.
func (s *Server) Close(ctx context.Context) error {
	s.End()
	done := make(chan struct{})
	go func() { // ends after End
		s.open.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return errors.Join(errors.New("live connections are still open"), ctx.Err())
	}
}

// Connect counts a connection of the request's user until the viewer is closed. Beyond the limits it is
// [fault.ErrTooManyPages].
func (s *Server) Connect(ctx context.Context) (*Viewer, error) {
	who := access.From(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.o.Limits
	switch {
	case s.ctx.Err() != nil:
		return nil, fault.ErrInterrupted
	case l.Connections > 0 && s.count >= l.Connections:
		return nil, fault.ErrTooManyPages
	case l.PerUser > 0 && s.users[who.User] >= l.PerUser:
		return nil, fault.New(fault.ErrTooManyPages, fmt.Sprintf("You have %d live connections open, as many as one user may have.", l.PerUser),
			"Close some pages or programs, follow more topics with one connection, or have the operator raise live.connections_per_user (COTRAIN_LIVE_CONNECTIONS_PER_USER).")
	}
	s.open.Add(1)
	s.count++
	s.users[who.User]++
	v := &Viewer{server: s, who: who, user: who.User}
	v.ctx, v.cancel = context.WithCancel(ctx)
	v.unhook = context.AfterFunc(s.ctx, v.cancel)
	return v, nil
}

// Connections is how many are open.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

func (s *Server) disconnect(user access.UserID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open.Done()
	s.count--
	if s.users[user]--; s.users[user] == 0 {
		delete(s.users, user)
	}
}

// Recheck is how often a connection finds out what no change announces: that its session or token has expired, and what
// changed while that could not be asked.
const Recheck = 10 * time.Second
