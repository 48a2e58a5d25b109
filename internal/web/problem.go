package web

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/views"
)

// tooLarge is the fault for a body that is longer than its address takes.
func tooLarge(r *http.Request, limit int64) *fault.Error {
	what := "The request"
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil && (media == "multipart/form-data" || media == "application/x-www-form-urlencoded") {
		what = "The form"
	}
	if r.ContentLength > limit {
		what += " has " + views.Bytes(float64(r.ContentLength)) + ", and"
	}
	return fault.New(fault.ErrTooLarge, fmt.Sprintf("%s may have at most %s.", what, views.Bytes(float64(limit))),
		"Shorten what was filled in, or choose a smaller file.")
}

// formError is the fault for a body that could not be read as a form.
func formError(r *http.Request, err error) error {
	var long *http.MaxBytesError
	if errors.As(err, &long) {
		return tooLarge(r, long.Limit)
	}
	return errBadForm.Because(err)
}

// errBadForm is the fault for what no page of the console sends.
var errBadForm = fault.New(fault.ErrBadRequest, "What the browser sent is not a form of this page.", "Load the page again and fill it in once more.")

// fail logs an error and answers with it: a page for people, problem+json for scripts.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		return // the client has gone
	}
	f := fault.Of(err)
	problem := views.Problem{Status: f.Kind.Status(), Title: f.Title, Text: f.Text(), Again: f.Kind.Passes() || f.Kind == fault.ErrInternal}
	if fields := trainconf.AsFieldErrors(err); fields != nil {
		problem.Detail = fields.Error()
	}
	if problem.Status >= 500 {
		problem.ID = strings.ToLower(rand.Text()[:8])
		s.Logger.ErrorContext(r.Context(), "request", "id", problem.ID, "method", r.Method, "path", r.URL.Path, "status", problem.Status, "err", err)
	}
	if started(w) { // too late for another status: the client must see that the answer is not whole
		panic(http.ErrAbortHandler)
	}
	w.Header().Del("Content-Disposition")
	if f.Kind.Passes() {
		w.Header().Set("Retry-After", "5")
	}
	if r.Header.Get("HX-Request") == "true" { // htmx takes a part of a page, and the error is not one: the page tells it apart
		w.Header().Set("X-Fault", url.PathEscape(strings.TrimSpace(f.Title+". "+f.Text()+"\n"+problem.Detail)))
	}
	if strings.HasPrefix(r.Header.Get("Accept"), "application/json") || strings.HasPrefix(r.URL.Path, "/api/") {
		writeProblem(w, f.Kind, problem)
		return
	}
	s.writeErrorPage(w, r, problem)
}

func writeProblem(w http.ResponseWriter, code fault.Kind, p views.Problem) {
	body, err := json.Marshal(map[string]any{"type": "about:blank", "code": code, "title": p.Title, "status": p.Status, "detail": strings.TrimSpace(p.Text + "\n" + p.Detail)})
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
