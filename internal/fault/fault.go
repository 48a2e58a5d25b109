package fault

import (
	"context"
	"errors"
	"strings"
)

// Kind is one kind of fault: a sentinel for [errors.Is], and the code that programs read, which never changes its meaning.
// A kind also matches the more general one that it belongs to.
type Kind string

// Error gives the code in words. It is for logs: people read [Of].
func (k Kind) Error() string { return strings.ReplaceAll(string(k), "_", " ") }

// Is matches the kind that k belongs to.
func (k Kind) Is(target error) bool {
	general := k.row().general
	return general != "" && (target == general || general.Is(target))
}

// Fault gives the kind's own words.
func (k Kind) Fault() *Error { return New(k, "", "") }

// Status is the HTTP status of an answer.
func (k Kind) Status() int { return k.row().status }

// Exit is the exit code of a command that got such an answer.
func (k Kind) Exit() int { return k.row().exit }

// Passes reports whether the fault may pass by itself, so that trying again helps.
func (k Kind) Passes() bool { return k.row().passes }

// Error is a fault with its own words: both sentences may be shown to whoever asked.
type Error struct {
	Kind  Kind
	Title string // what happened, in a few words
	What  string // what happened: a sentence, or more
	Do    string // what to do: a sentence, or ""

	cause error
}

// New returns a fault of a kind, with the kind's words where they are "".
func New(k Kind, what, do string) *Error {
	row := k.row()
	e := &Error{Kind: k, Title: row.title, What: what, Do: do}
	if what == "" {
		e.What = row.what
	}
	if do == "" {
		e.Do = row.do
	}
	return e
}

// Because returns the fault with its cause, which the log has and no client sees.
func (e *Error) Because(cause error) *Error {
	with := *e
	with.cause = cause
	return &with
}

// Text is what happened and what to do.
func (e *Error) Text() string {
	if e.Do == "" {
		return e.What
	}
	return e.What + " " + e.Do
}

// Error gives the text, and the cause for the log.
func (e *Error) Error() string {
	if e.cause == nil {
		return e.Text()
	}
	return e.Text() + " (" + e.cause.Error() + ")"
}

// Is matches the fault's kind.
func (e *Error) Is(target error) bool { return target == e.Kind || e.Kind.Is(target) }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.cause }

// Fault returns e.
func (e *Error) Fault() *Error { return e }

// Of returns what a client is told of an error: the words of the outermost one in its tree that has any. What has none is
// [ErrInternal], of which the client learns nothing.
func Of(err error) *Error {
	var speaks interface{ Fault() *Error }
	switch {
	case errors.As(err, &speaks):
		return speaks.Fault()
	case errors.Is(err, context.DeadlineExceeded):
		return ErrTimeout.Fault()
	case errors.Is(err, context.Canceled):
		return ErrInterrupted.Fault()
	}
	return ErrInternal.Fault()
}
