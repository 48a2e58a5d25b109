package webtest

import (
	"net/http"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/router"
)

// API answers everything below /api/ with one handler, for everybody.
func API(h http.HandlerFunc) router.Handler {
	api := router.New(func(_ string, _ access.Right, next http.Handler) http.Handler { return next })
	api.Handle("/api/", access.Public, h)
	return api
}
