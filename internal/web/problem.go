package web

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/internal/web/page"
	"github.com/cotrain/cotrain/views/ui"
)

// fail logs an error and answers with it: as a page, or problem+json for scripts.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		return // the client has gone
	}
	f := fault.Of(err)
	problem := ui.Problem{Status: f.Kind.Status(), Title: f.Title, Text: f.Text(), Code: string(f.Kind), Help: f.Kind.Help(), Again: f.Kind.Temporary() || f.Kind == fault.ErrInternal}
	fields := trainconf.AsFieldErrors(err)
	if fields != nil {
		problem.Detail = fields.Error()
	}
	if problem.Status >= 500 {
		problem.ID = strings.ToLower(rand.Text()[:8])
		s.Logger.ErrorContext(r.Context(), "request", "id", problem.ID, "method", r.Method, "path", r.URL.Path, "status", problem.Status, "err", err)
	}
	if started(w) { // too late for a status: abort, so the client sees the answer is incomplete
		panic(http.ErrAbortHandler)
	}
	w.Header().Del("Content-Disposition")
	if f.Kind.Temporary() && w.Header().Get("Retry-After") == "" {
		w.Header().Set("Retry-After", "5")
	}
	if f.Kind.Status() == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	if page.IsFragment(r) { // htmx expects a part of a page and must tell an error apart
		w.Header().Set("X-Fault-Help", f.Kind.Help())
		w.Header().Set("X-Fault", url.PathEscape(strings.TrimSpace(f.Title+". "+f.Text()+"\n"+problem.Detail)))
	}
	if strings.HasPrefix(r.Header.Get("Accept"), "application/json") || strings.HasPrefix(r.URL.Path, "/api/") || s.isData(r) {
		writeProblem(w, r, f.Kind, problem, fields)
		return
	}
	s.writeErrorPage(w, r, problem)
}

// isData reports whether only scripts ask for what a request does.
func (s *Server) isData(r *http.Request) bool {
	_, pattern := s.routed.Match(r)
	return s.data[pattern]
}

// writeProblem answers in the form of the API's errors; the detail names the fields, too.
func writeProblem(w http.ResponseWriter, r *http.Request, code fault.Kind, p ui.Problem, fields run.FieldErrors) {
	location := "body"
	if safe(r.Method) {
		location = "query"
	}
	out := client.Problem{Type: code.Help(), Code: code, Title: p.Title, Status: p.Status, Detail: strings.TrimSpace(p.Text + "\n" + p.Detail), ID: p.ID}
	for _, f := range fields {
		out.Errors = append(out.Errors, client.FieldProblem{Location: location, Field: f.Field, Value: fault.Quote(f.Value), Rule: f.Rule, Fix: f.Fix})
	}
	body, err := json.Marshal(out)
	if err != nil { // strings and a number
		body = []byte(`{}`)
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	_, _ = w.Write(body) // the client has gone
}

func (s *Server) writeErrorPage(w http.ResponseWriter, r *http.Request, p ui.Problem) {
	frame := s.Frame(r, p.Title, "")
	if r.Method != http.MethodGet {
		frame.Path = "/"
	}
	var b bytes.Buffer
	// Not the request's context, which may have ended.
	if err := ui.ErrorPage(frame, p).Render(context.WithoutCancel(r.Context()), &b); err != nil {
		http.Error(w, p.Title, p.Status)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	_, _ = w.Write(b.Bytes()) // the client has gone
}
