// Package control holds the actions that a person can take on runs, templates and
// sweeps. Page, API and command line all come through here, so they obey the same
// rules and say the same words.
package control
