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
