package access

import "strings"

// Subject is what a request is about, as its path names it. The zero Subject is nothing in particular.
type Subject struct {
	Kind    SubjectKind
	ID      string // as given: it may be anything
	Project string // of a template, whose name is unique in it
}

// SubjectKind is a kind of subject that belongs to a project, or is one.
type SubjectKind string

// The kinds of subjects.
const (
	SubjectRun      SubjectKind = "run"
	SubjectSweep    SubjectKind = "sweep"
	SubjectTemplate SubjectKind = "template"
	SubjectProject  SubjectKind = "project"
)

// See is the right to see a subject of the kind.
func (k SubjectKind) See() Right {
	switch k {
	case SubjectTemplate:
		return TemplatesRead
	case SubjectProject:
		return ProjectRead
	}
	return RunsRead
}

// String is how the audit log names it: run:r-...; "" for nothing.
func (s Subject) String() string {
	if s.Kind == "" {
		return ""
	}
	return string(s.Kind) + ":" + s.ID
}

// named are the parts of patterns of paths that name a subject, each with its parameter.
var named = []struct {
	part, param string
	kind        SubjectKind
}{
	{"/runs/{id}", "id", SubjectRun},
	{"/sweeps/{id}", "id", SubjectSweep},
	{"/templates/{name}", "name", SubjectTemplate},
	{"/projects/{project}", "project", SubjectProject},
}

// SubjectOf returns how to find the subject of a request for a path that has the pattern, from the values of its parameters.
func SubjectOf(pattern string) func(value func(name string) string) Subject {
	for _, n := range named {
		if strings.Contains(pattern+"/", n.part+"/") {
			return func(value func(string) string) Subject { return Subject{Kind: n.kind, ID: value(n.param)} }
		}
	}
	return func(func(string) string) Subject { return Subject{} }
}
