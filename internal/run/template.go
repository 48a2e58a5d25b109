package run

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
)

// Template is a named submission to start from. Each save makes a new version; versions never change.
type Template struct {
	Name        string    `json:"name"`    // see [CheckTemplateName]
	Version     int       `json:"version"` // from 1
	Description string    `json:"description,omitempty"`
	Config      string    `json:"config"` // CotrainCore TOML
	Shape       Shape     `json:"shape"`
	Options     Options   `json:"options,omitzero"`
	Note        string    `json:"note,omitempty"` // one line about this version
	Actor       string    `json:"actor"`          // who saved it
	CreatedAt   time.Time `json:"created_at"`     // of this version
}

// Ref is how a run refers to the template: "name@version".
func (t Template) Ref() string { return fmt.Sprintf("%s@%d", t.Name, t.Version) }

// ParseTemplateRef reads "name" or "name@2"; version 0 is the newest. ok is false for an invalid name; whether the
// template exists is not checked.
func ParseTemplateRef(ref string) (name string, version int, ok bool) {
	name, digits, found := strings.Cut(ref, "@")
	if found {
		n, err := strconv.Atoi(digits)
		if err != nil || n < 1 {
			return name, 0, false
		}
		version = n
	}
	return name, version, CheckTemplateName(name) == nil
}

// AnyVersion saves whatever the newest version is.
const AnyVersion = -1

// OutdatedError means that a newer version was saved meanwhile. It matches [fault.ErrConflict].
type OutdatedError struct {
	Template string
	Expected int // expected newest version, 0 for no template
	Newest   int // actual newest version, 0 for no template
}

// Error says what was expected and what there is.
func (e *OutdatedError) Error() string {
	switch {
	case e.Newest == 0:
		return fmt.Sprintf("there is no template %s, and version %d of it was expected to be the newest", e.Template, e.Expected)
	case e.Expected == 0:
		return fmt.Sprintf("the newest version of template %s is %d, and no template of that name was expected", e.Template, e.Newest)
	}
	return fmt.Sprintf("the newest version of template %s is %d, and version %d was expected to be it", e.Template, e.Newest, e.Expected)
}

// Is matches [fault.ErrConflict].
func (e *OutdatedError) Is(target error) bool { return target == fault.ErrConflict }

// Fault implements the interface of [fault.Of].
func (e *OutdatedError) Fault() *fault.Error {
	if e.Newest == 0 {
		return fault.New(fault.ErrOutdated, fmt.Sprintf("There is no template %s any more; version %d was expected to be its newest.", e.Template, e.Expected), "")
	}
	if e.Expected == 0 {
		return fault.New(fault.ErrOutdated, fmt.Sprintf("There is a template %s already; its newest version is %d.", e.Template, e.Newest), "")
	}
	return fault.New(fault.ErrOutdated, fmt.Sprintf("The newest version of template %s is %d, and version %d was expected.", e.Template, e.Newest, e.Expected), "")
}

var templateName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// CheckTemplateName returns what is wrong with a template's name, or nil.
func CheckTemplateName(name string) *FieldError {
	if templateName.MatchString(name) {
		return nil
	}
	return &FieldError{
		Field: "template", Value: named(name), Rule: "must be 1 to 63 letters, digits and . _ - and begin with a letter or digit",
		Fix: `use a name such as "my-7B-diloco"`,
	}
}
