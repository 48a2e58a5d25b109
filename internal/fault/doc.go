// Package fault holds what can go wrong as people and programs are told it: a sentinel with a code for each kind, the
// sentences, and the one table from code to HTTP status and exit code. Page, API and command line all read it.
package fault
