package api

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// problemType is the media type of errors.
const problemType = "application/problem+json"

// Media types of answers that are files.
const (
	schemaType = "application/schema+json"
	seriesType = "application/json" // of curves, which are written without huma
	tomlType   = "application/toml"
)

// problem is a [client.Problem] as huma sends it.
type problem struct{ client.Problem }

// GetStatus is for huma.
func (p *problem) GetStatus() int { return p.Status }

// ContentType is for huma.
func (p *problem) ContentType(string) string { return problemType }

// GetHeaders is for huma: when to come back, and how to sign in.
func (p *problem) GetHeaders() http.Header {
	switch {
	case p.Status == http.StatusUnauthorized:
		return http.Header{"Www-Authenticate": {"Bearer"}}
	case p.Code.Temporary():
		return http.Header{"Retry-After": {"5"}}
	}
	return nil
}

// problemOf is a fault as a body.
func problemOf(f *fault.Error) *problem {
	return &problem{client.Problem{Type: f.Kind.Help(), Code: f.Kind, Title: f.Title, Status: f.Kind.Status(), Detail: f.Text()}}
}

// classify maps an error to what a client learns of it. No text of an error that was not written for clients gets through.
func classify(err error) *problem {
	var own *problem
	if errors.As(err, &own) {
		return own
	}
	if fields := trainconf.AsFieldErrors(err); fields != nil && errors.Is(fault.Of(err).Kind, fault.ErrInvalid) {
		return invalid("body", fields...)
	}
	return problemOf(fault.Of(err))
}

// invalid is the problem for fields that break rules, all in one part of the request.
func invalid(location string, fields ...run.FieldError) *problem {
	p := problemOf(run.FieldErrors(fields).Fault())
	for _, f := range fields {
		p.Errors = append(p.Errors, client.FieldProblem{Location: location, Field: f.Field, Value: fault.Quote(f.Value), Rule: f.Rule, Fix: f.Fix})
	}
	return p
}

// problem classifies an error, and logs it when it is not the client's.
func (s *server) problem(ctx context.Context, operation string, err error) *problem {
	p := classify(err)
	if p.Status < 500 || ctx.Err() == context.Canceled {
		return p
	}
	p.ID = strings.ToLower(rand.Text()[:8])
	s.Logger.ErrorContext(ctx, "api", "id", p.ID, "operation", operation, "status", p.Status, "err", err)
	return p
}

// asProblem turns what huma says about a request that does not fit the schema into a problem.
func asProblem(ctx huma.Context, _ string, v any) (any, error) {
	m, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	p := problemOf(fault.ErrInternal.Fault())
	switch {
	case m.Status >= 500:
		return p, nil
	case m.Status == http.StatusRequestEntityTooLarge:
		return problemOf(tooLarge(ctx)), nil
	case m.Status == http.StatusRequestTimeout:
		return problemOf(fault.ErrTooSlow.Fault()), nil
	case m.Status == http.StatusBadRequest && len(m.Errors) == 0:
		return problemOf(fault.New(fault.ErrBadRequest, "The request has no body, and needs one in JSON.", seeDocument)), nil
	case m.Status == http.StatusBadRequest:
		p = problemOf(fault.New(fault.ErrBadRequest, "The body of the request is not JSON.", seeDocument))
	default:
		p = problemOf(fault.New(fault.ErrInvalid, "The request does not fit the schema.", seeDocument))
	}
	for _, e := range m.Errors {
		if len(p.Errors) == 50 {
			break
		}
		p.Errors = append(p.Errors, fieldProblem(e, ctx.Query))
	}
	return p, nil
}

// seeDocument says where the schema is.
const seeDocument = "See " + documentPath + "."

// tooLarge says what may be sent, and as far as the client has told it what was.
func tooLarge(ctx huma.Context) *fault.Error {
	limit := ctx.Operation().MaxBodyBytes - 1
	what := "The body of " + ctx.Method() + " " + ctx.Operation().Path
	if n, err := strconv.ParseInt(ctx.Header("Content-Length"), 10, 64); err == nil && n > limit {
		what += fmt.Sprintf(" has %d bytes, and", n)
	}
	return fault.New(fault.ErrTooLarge, fmt.Sprintf("%s may have at most %d bytes.", what, limit), "Shorten what it carries: "+documentPath+" says how long each field may be.")
}

// write answers with the problem where huma does not.
func (p *problem) write(w http.ResponseWriter) {
	b, err := json.Marshal(p)
	if err != nil { // strings and a number
		b = []byte("{}")
	}
	maps.Copy(w.Header(), p.GetHeaders())
	w.Header().Set("Content-Type", problemType)
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(b, '\n')) // the client has gone
}
