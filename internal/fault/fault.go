package fault

import (
	"context"
	"errors"
	"strings"
)

// Kind is a kind of fault: a sentinel for [errors.Is], and the stable code that programs read. A kind also matches its
// more general one.
type Kind string

// Error is the code in words, for logs; people see [Of].
func (k Kind) Error() string { return strings.ReplaceAll(string(k), "_", " ") }

// Is matches the more general kinds.
func (k Kind) Is(target error) bool {
	general := k.row().general
	return general != "" && (target == general || general.Is(target))
}

// Fault returns the fault with the kind's own texts.
func (k Kind) Fault() *Error { return New(k, "", "") }

// Status is the HTTP status.
func (k Kind) Status() int { return k.row().status }

// Exit is the command line's exit code.
func (k Kind) Exit() int { return k.row().exit }

// Temporary reports whether trying again may help.
func (k Kind) Temporary() bool { return k.row().temporary }

// Error is a fault with texts that may be shown to whoever asked.
type Error struct {
	Kind  Kind
	Title string // a few words
	What  string // what happened, in sentences
	Fix   string // what to do about it, or ""

	cause error
}

// New returns a fault; an empty what or do is the kind's own.
func New(k Kind, what, do string) *Error {
	row := k.row()
	e := &Error{Kind: k, Title: row.title, What: what, Fix: do}
	if what == "" {
		e.What = row.what
	}
	if do == "" {
		e.Fix = row.fix
	}
	return e
}

// Because adds a cause, for the log only.
func (e *Error) Because(cause error) *Error {
	with := *e
	with.cause = cause
	return &with
}

// Text is What and Do.
func (e *Error) Text() string {
	if e.Fix == "" {
		return e.What
	}
	return e.What + " " + e.Fix
}

// Error is the text with its cause, for the log.
func (e *Error) Error() string {
	if e.cause == nil {
		return e.Text()
	}
	return e.Text() + " (" + e.cause.Error() + ")"
}

// Is matches the kind and its more general ones.
func (e *Error) Is(target error) bool { return target == e.Kind || e.Kind.Is(target) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// Fault returns e.
func (e *Error) Fault() *Error { return e }

// Of returns what to show of an error: its outermost fault, or [ErrInternal], which reveals nothing.
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
