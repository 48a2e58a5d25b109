// Package e2e holds the end-to-end tests: they build the real binary, start it on
// port 0 with real worker processes, use it through HTTP, the command line and
// Chromium, and break things around it. It has no code of its own.
package e2e
