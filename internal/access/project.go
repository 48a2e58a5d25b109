package access

import (
	"regexp"
	"time"
)

// DefaultProject exists from the start, and owns what is older than projects.
const DefaultProject = "default"

// Project owns runs, sweeps and templates.
type Project struct {
	Name        string    `json:"name"` // for ever; see [CheckProjectName]
	Description string    `json:"description,omitempty"`
	CreatedAt   time.Time `json:"created_at"`
}

var projectName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// CheckProjectName reports whether a project's name has the right form.
func CheckProjectName(name string) bool { return projectName.MatchString(name) }
