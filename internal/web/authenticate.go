package web

import (
	"context"
	"errors"
	"net/http"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/stream"
)

// Auth finds out who asks.
type Auth interface {
	// Identify returns the request's context with who sends it, or why what it presents does not count.
	Identify(r *http.Request) (context.Context, error)
	stream.Auth
}

// authenticate tells handlers who asks.
func (s *Server) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, err := s.auth.Identify(r)
		r = r.WithContext(ctx)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		if rec, ok := w.(*recorder); ok && safe(r.Method) && r.URL.Path != stream.Path { // that asks again by itself, for its topics
			rec.still = s.still(ctx)
		}
		next.ServeHTTP(w, r)
	})
}

// still returns whether who asks may do all that they could when they asked. Whatever is long, a log, a file or an export, ends
// when they may less, as a socket does. It costs nothing until something changes, or [stream.Recheck] has passed.
func (s *Server) still(ctx context.Context) func() bool {
	before := access.From(ctx)
	if !before.Known() {
		return nil
	}
	changed, asked := s.auth.Changed(), s.Now()
	return func() bool {
		select {
		case <-changed:
		default:
			if s.Now().Sub(asked) < stream.Recheck {
				return true
			}
		}
		next := s.auth.Changed() // before asking, so that no change is missed
		now, err := s.auth.Still(ctx)
		if err != nil {
			return !errors.Is(err, fault.ErrSignedOut) // the next piece asks again
		}
		changed, asked = next, s.Now()
		return now.Includes(before)
	}
}
