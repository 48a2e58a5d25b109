// Package app wires the console: store, Nomad client or embedded agent, the four
// flows between them, pages and API, in one straight function.
package app
