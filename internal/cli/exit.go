package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// Exit codes; see [fault.Kind.Exit].
const (
	exitDone     = fault.ExitOK
	exitFailed   = fault.ExitFailed
	exitUsage    = fault.ExitUsage
	exitNotFound = fault.ExitNotFound
	exitRefused  = fault.ExitRefused
)

// errQuiet is a failure that has been reported already.
var errQuiet = errors.New("the run did not succeed")

// exitCode says how the program ends.
func exitCode(err error) int {
	var usage *fault.UsageError
	var fields run.FieldErrors
	var status exitStatus
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &status):
		return int(status)
	case errors.As(err, &usage), errors.As(err, &fields):
		return exitUsage
	}
	return fault.Of(err).Kind.Exit()
}

// report prints an error for a person, each field's on a line of its own, and returns the exit code.
func (p *process) report(err error) int {
	var refused *client.Problem
	var fields run.FieldErrors
	var status exitStatus
	var local *fault.Error
	switch {
	case err == nil, errors.Is(err, errQuiet), errors.As(err, &status):
	case errors.Is(err, context.Canceled):
		p.say("interrupted")
	case errors.As(err, &local):
		p.say("%s: %s", local.Title, local.Error())
	case errors.As(err, &refused):
		p.say("%s", refused.Error())
		for _, f := range refused.Errors {
			p.say("  %s", run.FieldError{Field: f.Field, Value: f.Value, Rule: f.Rule, Fix: f.Fix}.Error())
		}
	case errors.As(err, &fields):
		for _, f := range fields {
			p.say("%s", f.Error())
		}
	default:
		p.say("%s", err.Error())
	}
	if code := codeOf(err); code != "" {
		p.say("(%s: \"cotrain explain %s\" says more)", string(code), string(code))
	}
	return exitCode(err)
}

// codeOf is the code under which the catalogue has an error; "" where nothing went wrong, or a run's cause has been told.
func codeOf(err error) fault.Kind {
	var usage *fault.UsageError
	var fields run.FieldErrors
	var status exitStatus
	var spoken interface{ Fault() *fault.Error }
	switch {
	case err == nil, errors.Is(err, errQuiet), errors.As(err, &status), errors.Is(err, context.Canceled):
		return ""
	case errors.As(err, &usage), errors.As(err, &fields):
		return fault.ErrUsage
	case errors.As(err, &spoken), errors.Is(err, context.DeadlineExceeded):
		return fault.Of(err).Kind
	}
	return fault.ErrLocal
}

// say prints to stderr. What came from elsewhere may hold anything, so control characters are shown, not sent.
func (p *process) say(format string, args ...any) {
	_ = p.endLive() // the next look brings it back
	for line := range strings.Lines(fmt.Sprintf(format, args...)) {
		_, _ = fmt.Fprintln(p.stderr, "cotrain: "+printable(strings.TrimSuffix(line, "\n"))) // nobody is left to tell
	}
}
