package run

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
)

// Template is a named submission to begin from. Saving it again makes a new version; versions never change.
type Template struct {
	Name        string    `json:"name"`    // see [CheckTemplateName]
	Version     int       `json:"version"` // counted from 1
	Description string    `json:"description,omitempty"`
	Config      string    `json:"config"` // CotrainCore TOML
	Shape       Shape     `json:"shape"`
	Options     Options   `json:"options,omitzero"`
	Note        string    `json:"note,omitempty"` // what this version changes, one line
	Actor       string    `json:"actor"`          // who saved it
	CreatedAt   time.Time `json:"created_at"`     // of this version
}

// Ref is how a run names the template that it was made from: "name@version".
func (t Template) Ref() string { return fmt.Sprintf("%s@%d", t.Name, t.Version) }

// ParseTemplateRef reads "name" or "name@2"; the version is 0 when there is none. ok is false for what cannot name a template;
// whether there is one is another question.
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

// AnyVersion is for a save that follows whatever version is the newest, and makes the first one if there is none.
const AnyVersion = -1

// OutdatedError says that a version of a template was not saved, because the one that it was to follow is not the newest.
// It matches [fault.ErrConflict].
type OutdatedError struct {
	Template string // its name
	Expected int    // the version that was to be the newest, 0 for no template of that name
	Newest   int    // the version that is, 0 for no template of that name
}

// Error says in one sentence what there is and what was expected.
func (e *OutdatedError) Error() string {
	switch {
	case e.Newest == 0:
		return fmt.Sprintf("there is no template %s, and version %d of it was expected to be the newest", e.Template, e.Expected)
	case e.Expected == 0:
		return fmt.Sprintf("the newest version of template %s is %d, and no template of that name was expected", e.Template, e.Newest)
	}
	return fmt.Sprintf("the newest version of template %s is %d, and version %d was expected to be it", e.Template, e.Newest, e.Expected)
}

// Is makes errors.Is(err, fault.ErrConflict) true.
func (e *OutdatedError) Is(target error) bool { return target == fault.ErrConflict }

// Fault is for [fault.Of].
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
