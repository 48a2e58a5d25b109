package page

import (
	"net/http"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/run"
)

// ProjectCookie stores the project that the lists show.
const ProjectCookie = "project"

// InputProject is the parameter and the input with a project's name.
const InputProject = "project"

// Project is the project of what a request names, or "" for the default one: names of templates are unique in a project. The
// selected project does not matter, so that an address means the same for everybody.
func Project(r *http.Request) (string, error) {
	name := r.URL.Query().Get(InputProject)
	if posted := r.PostForm.Get(InputProject); posted != "" {
		name = posted
	}
	if name != "" && !access.CheckProjectName(name) {
		return "", run.FieldErrors{run.NotAProject(name)}
	}
	return name, nil
}

// SelectedProject is the project that a list or a new form is for: the request's, or else the selected one, or "" for all.
func SelectedProject(r *http.Request) (string, error) {
	name, err := Project(r)
	if c, none := r.Cookie(ProjectCookie); name == "" && err == nil && none == nil && access.CheckProjectName(c.Value) && !r.URL.Query().Has(InputProject) &&
		access.From(r.Context()).May(access.ProjectRead, c.Value) {
		name = c.Value
	}
	return name, err
}

// Projects are those whose things a list shows.
func Projects(name string) run.Projects {
	if name == "" {
		return run.AllProjects()
	}
	return run.InProjects(name)
}
