package web

import (
	"context"
	"net/http"

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
		next.ServeHTTP(w, r)
	})
}
