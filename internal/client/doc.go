// Package client is the JSON API as Go: its types, declared here once and served by package api, and a call for each operation
// that the command line uses, beside the types that it takes and returns. Errors are [Problem] and [Unreachable], or the
// context's own.
package client
