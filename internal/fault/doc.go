// Package fault holds the errors shown to people and programs: a sentinel and code for each kind, the texts, and the one
// table from code to HTTP status and exit code. Web, API and command line all use it.
package fault
