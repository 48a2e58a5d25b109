package ui

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/run"
)

// RunPath is the address of a run.
func RunPath(id run.ID) string { return "/runs/" + string(id) }

// RunsWith is the address of the list of runs with a project or an owner.
func RunsWith(filter, value string) string { return "/?" + url.Values{filter: {value}}.Encode() }

// SweepPath is the address of a sweep.
func SweepPath(id run.SweepID) string { return "/sweeps/" + string(id) }

// TemplatePath is the address of a template or a preset.
func TemplatePath(name string) string { return "/templates/" + url.PathEscape(name) }

// VersionPath is the address of one version of a template.
func VersionPath(t run.TemplateRef) string {
	return InProject(TemplatePath(t.Name)+"?version="+strconv.Itoa(t.Version), t.Project)
}

// InProject adds the project to the address of what has a name in a project; without one it is in the default project.
func InProject(path, project string) string {
	if project == "" || project == access.DefaultProject {
		return path
	}
	join := "?"
	if strings.Contains(path, "?") {
		join = "&"
	}
	return path + join + url.Values{"project": {project}}.Encode()
}

// DiffPath is the address of the differences between two, each named as "run:r-...", "template:name@2" or "preset:name".
func DiffPath(a, b string) string {
	q := url.Values{}
	if a != "" {
		q.Set("a", a)
	}
	if b != "" {
		q.Set("b", b)
	}
	return "/diff?" + q.Encode()
}
