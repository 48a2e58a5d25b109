package api

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/storage"
)

// problemType is the media type of errors.
const problemType = "application/problem+json"

// Media types of answers that are files.
const (
	schemaType = "application/schema+json"
	tomlType   = "application/toml"
)

// Problem is the body of every error (RFC 9457): what happened, and what to do.
type Problem struct {
	Type   string         `json:"type" doc:"Always about:blank: the status says what kind of problem it is"`
	Title  string         `json:"title" doc:"What happened, in a few words"`
	Status int            `json:"status" doc:"The HTTP status"`
	Detail string         `json:"detail" doc:"Why, and what to do"`
	ID     string         `json:"id,omitempty" doc:"Names the server's log line about it"`
	Errors []FieldProblem `json:"errors,omitempty" nullable:"false" doc:"Each thing wrong with the request"`
}

// FieldProblem is one thing wrong with one part of a request.
type FieldProblem struct {
	Location string `json:"location" doc:"body, query, path or header"`
	Field    string `json:"field" doc:"The field as it was given, such as name or optim.batch_size"`
	Value    string `json:"value" doc:"What was given, cut to 200 bytes"`
	Rule     string `json:"rule" doc:"The rule that it breaks"`
	Fix      string `json:"fix" doc:"What would pass"`
}

// Error gives title and detail.
func (p *Problem) Error() string { return p.Title + ": " + p.Detail }

// GetStatus is for huma.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType is for huma.
func (p *Problem) ContentType(string) string { return problemType }

// GetHeaders is for huma: when to come back.
func (p *Problem) GetHeaders() http.Header {
	if p.Status == http.StatusServiceUnavailable {
		return http.Header{"Retry-After": {"5"}}
	}
	return nil
}

func newProblem(status int, title, detail string) *Problem {
	return &Problem{Type: "about:blank", Title: title, Status: status, Detail: detail}
}

// classify maps an error to what a client learns of it: the one table of statuses. No text of an error that was not
// written for clients gets through.
func classify(err error) *Problem {
	var own *Problem
	var fields run.FieldErrors
	var field run.FieldError
	var refused *storage.Refusal
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &refused):
		return newProblem(http.StatusConflict, "Not possible", refused.Path+": "+refused.Reason+" "+refused.Fix)
	case errors.As(err, &fields):
		return invalid("body", fields...)
	case errors.As(err, &field):
		return invalid("body", field)
	}
	for _, row := range []struct {
		sentinel      error
		status        int
		title, detail string
	}{
		{run.ErrNotFound, http.StatusNotFound, "Not found", "What the address names does not exist, or has been deleted."},
		{run.ErrInvalid, http.StatusUnprocessableEntity, "Not valid", "Something in the request breaks a rule; see " + documentPath + "."},
		{run.ErrConflict, http.StatusConflict, "Not possible now", "The present state does not allow it. It may just have changed: look again and decide."},
		{run.ErrUnavailable, http.StatusServiceUnavailable, "Not reachable right now", "Something that the console needs does not answer. It keeps trying; try again in a moment."},
		{context.DeadlineExceeded, http.StatusServiceUnavailable, "Took too long", "The console could not answer in time. Try again in a moment, or ask for less."},
		{context.Canceled, http.StatusServiceUnavailable, "Interrupted", "The request ended before there was an answer. Try again."},
	} {
		if errors.Is(err, row.sentinel) {
			return newProblem(row.status, row.title, row.detail)
		}
	}
	return newProblem(http.StatusInternalServerError, "Something went wrong in the console", "It is a mistake of the console, not yours. Trying again may help; its log says more.")
}

// invalid is the problem for fields that break rules, all in one part of the request.
func invalid(location string, fields ...run.FieldError) *Problem {
	p := newProblem(http.StatusUnprocessableEntity, "Not valid", "1 thing in the request breaks a rule.")
	if len(fields) != 1 {
		p.Detail = fmt.Sprintf("%d things in the request break a rule.", len(fields))
	}
	for _, f := range fields {
		p.Errors = append(p.Errors, FieldProblem{Location: location, Field: f.Field, Value: clip(f.Value), Rule: f.Rule, Fix: f.Fix})
	}
	return p
}

// problem classifies an error, and logs it when it is not the client's.
func (s *server) problem(ctx context.Context, operation string, err error) *Problem {
	p := classify(err)
	if p.Status < 500 || ctx.Err() == context.Canceled {
		return p
	}
	p.ID = strings.ToLower(rand.Text()[:8])
	s.Logger.ErrorContext(ctx, "api", "id", p.ID, "operation", operation, "status", p.Status, "err", err)
	return p
}

// asProblem turns what huma says about a request that does not fit the schema into a Problem.
func asProblem(ctx huma.Context, _ string, v any) (any, error) {
	m, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	p := classify(errHuma)
	switch {
	case m.Status >= 500:
		return p, nil
	case m.Status == http.StatusRequestEntityTooLarge:
		return newProblem(m.Status, "Too large", fmt.Sprintf("The body of a request may have at most %d bytes. Send less.", ctx.Operation().MaxBodyBytes-1)), nil
	case m.Status == http.StatusRequestTimeout:
		return newProblem(m.Status, "Too slow", "The body of the request did not arrive in time. Try again."), nil
	case m.Status == http.StatusBadRequest && len(m.Errors) == 0:
		return newProblem(m.Status, "No body", "The request needs a JSON body; see "+documentPath+"."), nil
	case m.Status == http.StatusBadRequest:
		p = newProblem(m.Status, "Not JSON", "The body of the request is not JSON.")
	default:
		p = newProblem(m.Status, "Not valid", "The request does not fit the schema at "+documentPath+".")
	}
	for _, e := range m.Errors {
		if len(p.Errors) == 50 {
			break
		}
		p.Errors = append(p.Errors, fieldProblem(e))
	}
	return p, nil
}

// errHuma stands for an error inside huma, of which clients learn nothing.
var errHuma = errors.New("answer could not be made")

func fieldProblem(e *huma.ErrorDetail) FieldProblem {
	location, field, _ := strings.Cut(e.Location, ".")
	f := FieldProblem{Location: clip(location), Field: clip(field), Rule: clip(e.Message), Fix: "see " + documentPath}
	switch v := e.Value.(type) {
	case nil:
	case string:
		f.Value = clip(v)
	default:
		b, err := json.Marshal(v)
		if err == nil { // it came from JSON
			f.Value = clip(string(b))
		}
	}
	if strings.HasPrefix(e.Message, "unexpected property") || strings.HasPrefix(e.Message, "unknown query") {
		f.Value, f.Fix = "", "remove it, or correct its name"
	}
	return f
}

// clip cuts what came from outside to 200 bytes of valid UTF-8.
func clip(s string) string {
	if n := 200; len(s) > n {
		for n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// write answers with the problem where huma does not.
func (p *Problem) write(w http.ResponseWriter) {
	b, err := json.Marshal(p)
	if err != nil { // strings and a number
		b = []byte("{}")
	}
	w.Header().Set("Content-Type", problemType)
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(b, '\n')) // the reader has gone: nobody is left to tell
}
