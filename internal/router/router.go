// Package router sends requests to handlers, each registered with the right that it needs. The mux is private, so there is no way
// to register a handler without one; a test in internal/imports fails where another package makes a mux of its own.
package router

import (
	"fmt"
	"maps"
	"net/http"

	"github.com/cotrain/cotrain/internal/access"
)

// Authorize returns a handler that passes on to next the requests for a pattern by those who have the right.
type Authorize func(pattern string, right access.Right, next http.Handler) http.Handler

// Handler is a handler that has routes of its own, registered with a right each.
type Handler interface {
	http.Handler
	// Rights is the right that each route needs, by its pattern.
	Rights() map[string]access.Right
}

// Router is an [http.ServeMux] in which every pattern has a right.
type Router struct {
	mux       *http.ServeMux
	authorize Authorize
	rights    map[string]access.Right
}

// New returns a Router without routes.
func New(authorize Authorize) *Router {
	return &Router{mux: http.NewServeMux(), authorize: authorize, rights: map[string]access.Right{}}
}

// Handle registers a handler for a pattern of [http.ServeMux]. A right without a row in the table panics.
func (t *Router) Handle(pattern string, right access.Right, h http.Handler) {
	if !right.Known() {
		panic(fmt.Sprintf("router: %s needs the right %q, which is not in the table", pattern, right))
	}
	t.rights[pattern] = right
	next := t.authorize(pattern, right, h)
	t.mux.Handle(pattern, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tell(w, pattern)
		next.ServeHTTP(w, r)
	}))
}

// Told is a writer that is told the pattern of the route which answers: for what counts by route, outside of the router.
type Told interface{ Matched(pattern string) }

// tell looks for a [Told] below what wraps it.
func tell(w http.ResponseWriter, pattern string) {
	for w != nil {
		if t, ok := w.(Told); ok {
			t.Matched(pattern)
			return
		}
		wrapped, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return
		}
		w = wrapped.Unwrap()
	}
}

// Mount leaves a folder of paths to a handler with routes of its own.
func (t *Router) Mount(folder string, h Handler) {
	maps.Copy(t.rights, h.Rights())
	t.mux.Handle(folder, h)
}

// Rights is the right that each route needs, by its pattern, with those of what is mounted.
func (t *Router) Rights() map[string]access.Right { return maps.Clone(t.rights) }

// Match returns what answers a request, and its pattern, "" if no route takes it; see [http.ServeMux.Handler].
func (t *Router) Match(r *http.Request) (http.Handler, string) { return t.mux.Handler(r) }

// ServeHTTP answers by the request's route.
func (t *Router) ServeHTTP(w http.ResponseWriter, r *http.Request) { t.mux.ServeHTTP(w, r) }
