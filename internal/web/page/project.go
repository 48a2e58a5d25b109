package page

import (
	"cmp"
	"net/http"
	"slices"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views/ui"
)

// ProjectCookie stores the project that the lists show.
const ProjectCookie = "project"

const (
	// ParamProject is the parameter of an address with a project's name, and the field of its faults.
	ParamProject = "project"
	// InputProject is the input of a form with it: the configuration has a field of the other name.
	InputProject = "in_project"
)

// Project is the project of what a request names, or "" for the default one: names of templates are unique in a project. The
// selected project does not matter, so that an address means the same for everybody.
func Project(r *http.Request) (string, error) {
	name := cmp.Or(r.PostForm.Get(InputProject), AskedProject(r))
	if name != "" && !access.CheckProjectName(name) {
		return "", run.FieldErrors{run.NotAProject(name)}
	}
	return name, nil
}

// AskedProject is the project that an address names, or a form that is sent as one; "" for none.
func AskedProject(r *http.Request) string {
	q := r.URL.Query()
	return cmp.Or(q.Get(InputProject), q.Get(ParamProject))
}

// SelectedProject is the project that a list or a new form is for: the request's, or else the selected one, or "" for all.
func SelectedProject(r *http.Request) (string, error) {
	name, err := Project(r)
	if c, none := r.Cookie(ProjectCookie); name == "" && err == nil && none == nil && access.CheckProjectName(c.Value) && !r.URL.Query().Has(ParamProject) &&
		access.From(r.Context()).May(access.ProjectRead, c.Value) {
		name = c.Value
	}
	return name, err
}

// TargetProject is the project that something new is for: the one that the request names, whether or not who asks has the right
// there; or else the selected one, or else the one wished for, if they have; or else the one that goes without saying; "" where
// it has to be chosen.
func TargetProject(r *http.Request, right access.Right, wished string) (string, error) {
	if named, err := Project(r); named != "" || err != nil {
		return named, err
	}
	selected, err := SelectedProject(r)
	if err != nil {
		return "", err
	}
	who := access.From(r.Context())
	for _, name := range []string{selected, wished} {
		if name != "" && who.May(right, name) {
			return name, nil
		}
	}
	return who.ImpliedProject(right), nil
}

// ProjectField asks for which project something new is. It has no choices where who asks has none.
func (s *Site) ProjectField(r *http.Request, right access.Right, project string) ui.Field {
	f := ui.Field{Name: InputProject, Label: "Project", Kind: ui.KindSelect, Value: project, Required: true}
	names := s.ProjectsWith(r, right)
	if len(names) < 2 {
		return f
	}
	if !slices.Contains(names, project) {
		f.Choices = append(f.Choices, ui.Choice{Label: "Choose a project"})
	}
	for _, name := range names {
		f.Choices = append(f.Choices, ui.Choice{Value: name, Label: name})
	}
	return f
}

// Projects are those whose things a list shows.
func Projects(name string) run.Projects {
	if name == "" {
		return run.AllProjects()
	}
	return run.InProjects(name)
}
