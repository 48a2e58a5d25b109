// Package api is the JSON API, version 1: what the command line and other programs use. Its OpenAPI document is made
// from the same types and routes that answer requests. Handlers return errors; one table maps them to statuses.
package api
