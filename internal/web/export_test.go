package web

import (
	"net/http"
	"time"

	"github.com/cotrain/cotrain/internal/web/page"
)

// What the tests of the middleware look at.
const (
	ContentPolicy = contentPolicy
	MaxForm       = maxForm
)

// Wrap is a handler with its bounds.
func (s *Server) Wrap(h page.Handler, limit time.Duration) http.Handler { return s.wrap(h, limit) }

// BoundAll bounds what has no bounds of its own.
func (s *Server) BoundAll(next http.Handler) http.Handler { return s.boundAll(next) }

// Limited refuses what the table of limits does.
func (s *Server) Limited(next http.Handler) http.Handler { return s.limited(next) }

// LimitBadTokens refuses a network that has sent too many.
func (s *Server) LimitBadTokens(next http.Handler) http.Handler {
	return s.logRequests(s.limitBadTokens(next))
}

// LimitedPatterns are those of the table of limits, by the name of the limit.
func LimitedPatterns() map[string][]string {
	out := map[string][]string{}
	for _, l := range limits {
		out[l.name] = l.patterns
	}
	return out
}
