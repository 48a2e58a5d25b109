package run

import (
	"slices"
	"strings"

	"github.com/cotrain/cotrain/internal/access"
)

// OfAnotherProject stands for a run where its project's members alone may know it.
const OfAnotherProject = "a run of another project"

// Projects are those that a query looks at. The zero value is none, so that a forgotten filter finds nothing.
type Projects struct {
	All   bool
	Names []string // without All
}

// AllProjects is every project.
func AllProjects() Projects { return Projects{All: true} }

// InProjects are the projects with these names.
func InProjects(names ...string) Projects { return Projects{Names: names} }

// None reports whether there is nothing to look at.
func (p Projects) None() bool { return !p.All && len(p.Names) == 0 }

// Each returns the projects one by one, each once; all of them are one.
func (p Projects) Each() []Projects {
	if p.All {
		return []Projects{p}
	}
	var out []Projects
	for _, name := range slices.Compact(slices.Sorted(slices.Values(p.Names))) {
		out = append(out, InProjects(name))
	}
	return out
}

// Include reports whether a project is among them.
func (p Projects) Include(project string) bool { return p.All || slices.Contains(p.Names, project) }

// ProjectFor returns the project in which to do something: the one given, or the one that goes without saying. Which right is
// had there is not checked.
func ProjectFor(who access.Identity, right access.Right, given string) (string, error) {
	if given != "" {
		return given, nil
	}
	if project := who.ImpliedProject(right); project != "" {
		return project, nil
	}
	_, may := who.Projects(right)
	return "", FieldErrors{{Field: "project", Rule: "is needed, since you may do that in several projects", Fix: "name one of " + strings.Join(may[:min(len(may), 10)], ", ")}}
}

// NotAProject is the error for what cannot be the name of a project.
func NotAProject(name string) FieldError {
	return FieldError{
		Field: "project", Value: named(name), Rule: "is not the name of a project, which is 1 to 63 of a-z, 0-9 and -, with no - at either end",
		Fix: "list the projects to see which there are",
	}
}
