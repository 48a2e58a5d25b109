// Package web serves the console's pages: routes, middleware, handlers, the live socket and the pages for
// problems. Handlers return errors; one place logs and renders them.
package web
