package run

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
)

// Template is a named submission to start from. Each save makes a new version; versions never change.
type Template struct {
	Project     string    `json:"project"` // names are unique in it
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

// Where names the version.
func (t Template) Where() TemplateRef {
	return TemplateRef{Project: t.Project, Name: t.Name, Version: t.Version}
}

// Ref is how its project's runs refer to it: "name@version".
func (t Template) Ref() string { return TemplateRef{Name: t.Name, Version: t.Version}.String() }

// FullRef is how anything refers to it: "project/name@version".
func (t Template) FullRef() string {
	return t.Where().String()
}

// TemplateRef names a version of a template.
type TemplateRef struct {
	Project string // "" for that of what refers to it
	Name    string
	Version int // 0 for the newest
}

// String is what [ParseTemplateRef] reads.
func (r TemplateRef) String() string {
	out := r.Name
	if r.Project != "" {
		out = r.Project + "/" + out
	}
	if r.Version > 0 {
		out += "@" + strconv.Itoa(r.Version)
	}
	return out
}

// Label is the reference as people read it: the default project goes without saying.
func (r TemplateRef) Label() string {
	if r.Project == access.DefaultProject {
		r.Project = ""
	}
	return r.String()
}

// ParseTemplateRef reads "name", "name@2" or "project/name@2". ok is false for an invalid name; whether the template exists
// is not checked.
func ParseTemplateRef(ref string) (r TemplateRef, ok bool) {
	ok = true
	if project, rest, found := strings.Cut(ref, "/"); found {
		r.Project, ref, ok = project, rest, access.CheckProjectName(project)
	}
	name, digits, found := strings.Cut(ref, "@")
	r.Name = name
	if found {
		n, err := strconv.Atoi(digits)
		if err != nil || n < 1 {
			return r, false
		}
		r.Version = n
	}
	return r, ok && CheckTemplateName(name) == nil
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
