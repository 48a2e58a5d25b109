// Package page is shared by all sections' handlers: frame, rendering, clock, and reading of requests. Handlers return
// errors; package web renders them.
package page
