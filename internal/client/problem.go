package client

import (
	"fmt"
	"net/http"

	"github.com/cotrain/cotrain/internal/fault"
)

// Problem is the body of every error (RFC 9457): what happened, and what to do.
type Problem struct {
	Type   string         `json:"type" doc:"Where on this console the code is described"`
	Code   fault.Kind     `json:"code" doc:"The kind of problem, for programs: no_run, key_reused, disk_full, ..."`
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

// Fault is for [fault.Of]. A code that this program does not know, or none, is from a newer console or from a proxy before
// one: the status says what kind of fault it is.
func (p *Problem) Fault() *fault.Error {
	kind := p.Code
	switch {
	case kind.Known():
	case p.Status == http.StatusNotFound:
		kind = fault.ErrNotFound
	case p.Status < 500:
		kind = fault.ErrBadRequest
	case p.Status == http.StatusServiceUnavailable, p.Status == http.StatusBadGateway, p.Status == http.StatusGatewayTimeout:
		kind = fault.ErrUnavailable
	default:
		kind = fault.ErrInternal
	}
	return &fault.Error{Kind: kind, Title: p.Title, What: p.Detail}
}

// Unreachable is a request that got no answer, or not all of it.
type Unreachable struct {
	Base  string // address of the console
	Cause error
}

// Error says what to do, too.
func (e *Unreachable) Error() string {
	return fmt.Sprintf("cannot reach the console at %s: %v; start it with \"cotrain server\", or name another with COTRAIN_ADDR", e.Base, e.Cause)
}

// Unwrap gives the cause.
func (e *Unreachable) Unwrap() error { return e.Cause }

// Fault is for [fault.Of].
func (e *Unreachable) Fault() *fault.Error { return fault.ErrUnavailable.Fault() }
