package run

import (
	"fmt"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
)

// NoRun is the fault for a run that does not exist, whatever was given as its ID.
func NoRun(id string) *fault.Error {
	return fault.New(fault.ErrNoRun, fmt.Sprintf("No run has the ID %q; it may have been deleted.", named(id)), "")
}

// NoSweep is the fault for a sweep that does not exist, whatever was given as its ID.
func NoSweep(id string) *fault.Error {
	return fault.New(fault.ErrNoSweep, fmt.Sprintf("No sweep has the ID %q; it may have been deleted.", named(id)), "")
}

// NoTemplate is the fault for a template, or with a version that is not 0 a version of one, that does not exist.
func NoTemplate(name string, version int) *fault.Error {
	if strings.Contains(name, "@") {
		return fault.New(fault.ErrNoTemplate, fmt.Sprintf("%q is not the name of a template.", named(name)), "Write my-7B for its newest version, or my-7B@2 for version 2: name@version.")
	}
	if version == 0 {
		return fault.New(fault.ErrNoTemplate, fmt.Sprintf("No template is called %q; it may have been deleted.", named(name)), "")
	}
	return fault.New(fault.ErrNoTemplate, fmt.Sprintf("No template %q has a version %d; it may have been deleted.", named(name), version), "")
}

// named is a name as a message repeats it.
func named(s string) string {
	return fault.Clip(s, 66)
}
