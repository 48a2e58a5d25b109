package web

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/storage"
	"github.com/cotrain/cotrain/views"
)

// statusError is an error with its own status and words, for what concerns HTTP alone.
type statusError struct {
	status      int
	title, text string
}

func (e *statusError) Error() string { return e.title }

var (
	errNoPage    = &statusError{http.StatusNotFound, "There is nothing here", "The address is wrong, or what it named has been deleted."}
	errMethod    = &statusError{http.StatusMethodNotAllowed, "That does not work here", "The address exists and does not take this kind of request."}
	errOrigin    = &statusError{http.StatusForbidden, "This request came from elsewhere", "The console takes requests only from its own pages. Open it directly and try again."}
	errTooMany   = &statusError{http.StatusServiceUnavailable, "Too many live pages are open", "Close some and try again."}
	errHost      = &statusError{http.StatusMisdirectedRequest, "The console does not answer to this name", "Open it at the loopback address and port that it listens on, such as http://127.0.0.1:8080."}
	errTooLarge  = &statusError{http.StatusRequestEntityTooLarge, "That is too much at once", "A form may hold at most 64 KiB. Send less."}
	errBadForm   = &statusError{http.StatusBadRequest, "The form could not be read", "What the browser sent is not a form. Load the page again and fill it in once more."}
	errNotReady  = &statusError{http.StatusServiceUnavailable, "Not reachable right now", "Something that the console needs does not answer. It keeps trying; try again in a moment."}
	errConflict  = &statusError{http.StatusConflict, "That is not possible now", "The run is in a state that does not allow it. It may just have changed: look at the run and decide again."}
	errUnhandled = &statusError{http.StatusInternalServerError, "Something went wrong in the console", "It is a mistake of the console, not yours. Trying again may help."}
)

// classify maps an error to what a client learns of it: the one table of statuses.
func classify(err error) *statusError {
	var own *statusError
	var tooLarge *http.MaxBytesError
	var refused *storage.Refusal
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &refused):
		return &statusError{http.StatusConflict, "That is not possible here", refused.Path + ": " + refused.Reason + " " + refused.Fix}
	case errors.As(err, &tooLarge):
		return errTooLarge
	case errors.Is(err, run.ErrNotFound):
		return errNoPage
	case errors.Is(err, run.ErrInvalid):
		return &statusError{http.StatusBadRequest, "That cannot be used", "Something in the request is not valid. Go back, correct it and try again."}
	case errors.Is(err, run.ErrConflict):
		return errConflict
	case errors.Is(err, run.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return errNotReady
	}
	return errUnhandled
}

// fail logs an error and answers with it: a page for people, problem+json for scripts.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		return // the client has gone
	}
	e := classify(err)
	problem := views.Problem{Status: e.status, Title: e.title, Text: e.text}
	var fields run.FieldErrors
	if errors.As(err, &fields) {
		problem.Detail = fields.Error()
	}
	if e.status >= 500 {
		problem.ID = strings.ToLower(rand.Text()[:8])
		s.Logger.ErrorContext(r.Context(), "request", "id", problem.ID, "method", r.Method, "path", r.URL.Path, "status", e.status, "err", err)
	}
	if started(w) { // too late for another status: the client must see that the answer is not whole
		panic(http.ErrAbortHandler)
	}
	w.Header().Del("Content-Disposition")
	if strings.HasPrefix(r.Header.Get("Accept"), "application/json") || strings.HasPrefix(r.URL.Path, "/api/") {
		writeProblem(w, problem)
		return
	}
	s.writeErrorPage(w, r, problem)
}

func writeProblem(w http.ResponseWriter, p views.Problem) {
	body, err := json.Marshal(map[string]any{"title": p.Title, "status": p.Status, "detail": strings.TrimSpace(p.Text + "\n" + p.Detail)})
	if err != nil { // strings and a number
		body = []byte(`{}`)
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	_, _ = w.Write(body) // the reader has gone: nobody is left to tell
}

func (s *Server) writeErrorPage(w http.ResponseWriter, r *http.Request, p views.Problem) {
	page := s.page(r, p.Title, "")
	if r.Method != http.MethodGet {
		page.Path = "/"
	}
	var b bytes.Buffer
	// Not the request's context: it may have ended, and a page about that is what is being made.
	if err := views.ErrorPage(page, p).Render(context.WithoutCancel(r.Context()), &b); err != nil {
		http.Error(w, p.Title, p.Status)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	_, _ = w.Write(b.Bytes()) // the reader has gone: nobody is left to tell
}
