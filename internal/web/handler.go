package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/a-h/templ"

	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views"
)

// maxForm bounds the body of a request to a page, in bytes: a form is a few hundred.
const maxForm = 64 << 10

// handler answers a request or says why it cannot; [Server.fail] renders the error.
type handler func(w http.ResponseWriter, r *http.Request) error

// wrap bounds a handler's time (0 for none) and body, and renders its error.
func (s *Server) wrap(h handler, limit time.Duration) http.Handler {
	return s.wrapBody(h, limit, maxForm)
}

// wrapBody is wrap with another bound for the body, in bytes.
func (s *Server) wrapBody(h handler, limit time.Duration, body int64) http.Handler {
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

// bound gives a client that sends or reads too slowly the same time as the handler, and a little more for the answer. The
// bounds stay after the handler has returned: net/http then still sends what is buffered, and reads the rest of a body
// that the handler left. The next request on the connection gets its own; see [Server.boundAll].
func (s *Server) bound(w http.ResponseWriter, limit time.Duration) {
	c := http.NewResponseController(w)
	end := time.Now().Add(limit)
	if err := errors.Join(c.SetReadDeadline(end), c.SetWriteDeadline(end.Add(5*time.Second))); err != nil {
		s.Logger.Debug("bound a connection", "err", err) // an in-memory connection may not know deadlines
	}
}

// boundAll bounds every request: also those that no handler of ours sees, such as one refused for its Origin. A socket
// leaves the bounds behind when it takes the connection over.
func (s *Server) boundAll(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.bound(w, anyTimeout)
		next.ServeHTTP(w, r)
	})
}

func redirectTo(path string) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		http.Redirect(w, r, path, http.StatusSeeOther)
		return nil
	}
}

// page is the frame of a page.
func (s *Server) page(r *http.Request, title, nav string) views.Page {
	p := views.Page{Title: title, Nav: nav, Base: s.Assets.Base(), Theme: themeOf(r), Path: r.URL.RequestURI(), Dev: s.Dev, Now: s.Now()}
	p.SystemSeq = s.Feed.Seq(feed.SystemTopic)
	if s.System != nil {
		p.Notice = s.System().Message
	}
	return p
}

// render writes a component once all of it has been made, so that an error cannot leave half a page.
func (s *Server) render(w http.ResponseWriter, r *http.Request, status int, c templ.Component) error {
	var b bytes.Buffer
	if err := c.Render(r.Context(), &b); err != nil {
		return fmt.Errorf("render %s: %w", r.URL.Path, err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "private, no-cache")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the reader has gone: nobody is left to tell
	return nil
}

// renderJSON writes v as JSON.
func renderJSON(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(b) // the reader has gone: nobody is left to tell
	return nil
}

// runID reads the run's ID from the path. An ID of the wrong form names no run.
func runID(r *http.Request) (run.ID, error) {
	id, err := run.ParseID(r.PathValue("id"))
	if err != nil {
		return "", run.NoRun(r.PathValue("id"))
	}
	return id, nil
}

// text bounds what a user typed: valid UTF-8 of at most n bytes, without white space around it.
func text(s string, n int) string {
	s = strings.TrimSpace(strings.ToValidUTF8(s, "\uFFFD"))
	if len(s) > n {
		for n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n]
	}
	return s
}
