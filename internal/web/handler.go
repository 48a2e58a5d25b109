package web

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/cotrain/cotrain/internal/web/page"
)

// maxForm bounds the body of a page's request, in bytes.
const maxForm = 64 << 10

// wrap bounds a handler's time (0 for none) and body, and renders its error.
func (s *Server) wrap(h page.Handler, limit time.Duration) http.Handler {
	return s.wrapBody(h, limit, maxForm)
}

// wrapBody is wrap with another limit for the body.
func (s *Server) wrapBody(h page.Handler, limit time.Duration, body int64) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if limit > 0 {
			s.bound(w, limit)
			ctx, cancel := context.WithTimeout(r.Context(), limit)
			defer cancel()
			r = r.WithContext(ctx)
		}
		r.Body = http.MaxBytesReader(w, r.Body, body)
		if err := h(w, r); err != nil {
			s.fail(w, r, err)
		}
	})
}

// bound gives a slow client the handler's time and a little more. The deadlines outlive the handler: net/http then still
// sends what is buffered and reads the rest of the body. The next request gets its own; see [Server.boundAll].
func (s *Server) bound(w http.ResponseWriter, limit time.Duration) {
	c := http.NewResponseController(w)
	end := time.Now().Add(limit)
	if err := errors.Join(c.SetReadDeadline(end), c.SetWriteDeadline(end.Add(5*time.Second))); err != nil {
		s.Logger.Debug("bound a connection", "err", err) // in-memory connections have no deadlines
	}
}

// boundAll bounds also requests that no handler of ours sees, such as those refused for their Origin. Sockets drop the
// bounds when hijacking.
func (s *Server) boundAll(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.bound(w, anyTimeout)
		next.ServeHTTP(w, r)
	})
}

func redirectTo(path string) page.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		return page.Redirect(w, r, path)
	}
}
