package web

import (
	"context"
	"errors"
	"net/http"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/web/live"
)

// Auth finds out who asks.
type Auth interface {
	// Identify returns the request's context with who sends it, or why what it presents does not count.
	Identify(r *http.Request) (context.Context, error)
	live.Auth
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
		if rec, ok := w.(*recorder); ok && safe(r.Method) {
			rec.still = s.still(ctx)
		}
		next.ServeHTTP(w, r)
	})
}

// still returns whether who asks may do all that they could when they asked. Whatever is long, a log, a file or an export, ends
// when they may less. It costs nothing until something changes.
func (s *Server) still(ctx context.Context) func() bool {
	before := access.From(ctx)
	if !before.Known() {
		return nil
	}
	changed := s.auth.Changed()
	return func() bool {
		select {
		case <-changed:
		default:
			return true
		}
		changed = s.auth.Changed() // before asking, so that no change is missed
		now, err := s.auth.Still(ctx)
		return !errors.Is(err, fault.ErrSignedOut) && (err != nil || now.Includes(before))
	}
}
