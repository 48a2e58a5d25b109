package page

import (
	"net/http"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/run"
)

// InputProject is the parameter and the input with a project's name.
const InputProject = "project"

// ProjectOf is the project of what a request names, or "" for the default one: names of templates are unique in a project. The
// selected project does not matter, so that an address means the same for everybody.
func ProjectOf(r *http.Request) (string, error) {
	name := r.URL.Query().Get(InputProject)
	if posted := r.PostForm.Get(InputProject); posted != "" {
		name = posted
	}
	if name != "" && !access.CheckProjectName(name) {
		return "", run.FieldErrors{run.NotAProject(name)}
	}
	return name, nil
}

// Shown are the projects whose things a list shows; see [Site.Project].
func (s *Site) Shown(r *http.Request) run.Projects {
	if name := s.Project(r); name != "" {
		return run.InProjects(name)
	}
	return run.AllProjects()
}
