package run

import (
	"fmt"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
)

// NoRun is the fault for a run that does not exist; id may be any text.
func NoRun(id string) *fault.Error {
	if !idPattern.MatchString(id) {
		return fault.New(fault.ErrNoRun, fmt.Sprintf("No run has the ID %q.", named(id)), "Runs are named by ID, such as r-0123456789: list the runs to see which there are.")
	}
	return fault.New(fault.ErrNoRun, fmt.Sprintf("No run has the ID %q; it may have been deleted.", named(id)), "")
}

// NoSweep is the fault for a sweep that does not exist; id may be any text.
func NoSweep(id string) *fault.Error {
	return fault.New(fault.ErrNoSweep, fmt.Sprintf("No sweep has the ID %q; it may have been deleted.", named(id)), "")
}

// NoSecret is the fault for a secret that is not registered.
func NoSecret(name string) *fault.Error {
	return fault.New(fault.ErrNoSecret, fmt.Sprintf("No registered secret is called %q; it may have been removed.", named(name)), "")
}

// NoTemplate is the fault for a missing template, or a missing version of one if version is not 0.
func NoTemplate(name string, version int) *fault.Error {
	if strings.Contains(name, "@") {
		return fault.New(fault.ErrNoTemplate, fmt.Sprintf("%q is not the name of a template.", named(name)), "Write my-7B for its newest version, or my-7B@2 for version 2: name@version.")
	}
	if version == 0 {
		return fault.New(fault.ErrNoTemplate, fmt.Sprintf("No template is called %q; it may have been deleted.", named(name)), "")
	}
	return fault.New(fault.ErrNoTemplate, fmt.Sprintf("No template %q has a version %d; it may have been deleted.", named(name), version), "")
}

// named quotes a name for a message.
func named(s string) string {
	return fault.Clip(s, 66)
}
