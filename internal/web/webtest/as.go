package webtest

import (
	"context"
	"net/http"

	"github.com/cotrain/cotrain/internal/access"
)

// As is a log-in by which everybody is one person.
type As access.Identity

// Identify is for [web.Auth].
func (a As) Identify(r *http.Request) (context.Context, error) {
	return access.With(r.Context(), access.Identity(a)), nil
}

// Changed never is closed.
func (As) Changed() <-chan struct{} { return nil }

// Still is the same person.
func (a As) Still(context.Context) (access.Identity, error) { return access.Identity(a), nil }
