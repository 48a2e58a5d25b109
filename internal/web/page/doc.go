// Package page is what the handlers of every section share: the frame of a page, its rendering, the clock, and how requests are
// read. Handlers return errors; package web logs and renders them.
package page
