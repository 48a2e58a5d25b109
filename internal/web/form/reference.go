package form

import (
	"context"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/internal/web/page"
	"github.com/cotrain/cotrain/views/ui"
)

// runsOffered is how many recent runs [References.Choices] lists.
const runsOffered = 50

// Runs reads runs.
type Runs interface {
	Run(ctx context.Context, id run.ID) (run.Run, error)
	Runs(ctx context.Context, f run.RunFilter) ([]run.Run, error)
}

// Templates reads templates.
type Templates interface {
	// Templates returns the newest versions of projects' templates, by name.
	Templates(ctx context.Context, in run.Projects) ([]run.Template, error)
	// Template returns a version, 0 for the newest, from a project, "" for the default one.
	Template(ctx context.Context, project, name string, version int) (run.Template, error)
}

// References resolves references.
type References struct {
	Runs      Runs
	Templates Templates
}

// Subject has a configuration: a run, a template's version, or a preset.
type Subject struct {
	trainconf.Start
	Ref   string // for [trainconf.ParseRef]
	Title string
	Href  string // its page
}

// Find resolves a reference; a malformed one is an error about field.
func (f References) Find(ctx context.Context, field, ref string) (Subject, error) {
	named, err := trainconf.ParseRef(field, page.Text(ref, 200))
	if err != nil {
		return Subject{}, err
	}
	start, err := named.Find(ctx, f.Runs.Run, f.Templates.Template)
	return subjectOf(start), ignoreFields(err)
}

// SubjectOfRun makes a subject of a run.
func SubjectOfRun(r run.Run) (Subject, error) {
	start, err := trainconf.StartOfRun(r)
	return subjectOf(start), ignoreFields(err)
}

func subjectOf(s trainconf.Start) Subject {
	template, id := s.Origin.Template, s.Origin.Clone
	switch {
	case s.Preset != "":
		return Subject{s, "preset:" + s.Preset, s.Preset, ui.TemplatePath(s.Preset)}
	case id != "":
		return Subject{s, "run:" + string(id), s.Request.Name, ui.RunPath(id)}
	}
	ref, _ := run.ParseTemplateRef(template)
	return Subject{s, "template:" + template, ref.Label(), ui.VersionPath(ref)}
}

// ignoreFields drops field errors: stored configurations are shown as far as readable.
func ignoreFields(err error) error {
	if trainconf.AsFieldErrors(err) != nil {
		return nil
	}
	return err
}

// Facts are a request's shape and options.
func Facts(req trainconf.Request) []ui.Fact {
	facts := []ui.Fact{{Key: "shape", Label: "Shape", Value: req.Shape.String()}}
	inShape := map[string]bool{"nodes": true, "gpus": true, "gpu_model": true, "gpu_min_memory": true, "site": true}
	for _, f := range trainconf.PlacementFields() {
		if inShape[f.Path] || !req.Changed(f.Path) {
			continue
		}
		value := req.Get(f.Path)
		if f.Unit != "" {
			value += " " + f.Unit
		}
		facts = append(facts, ui.Fact{Key: f.Path, Label: f.Label, Value: value})
	}
	return facts
}

// Choices are templates, presets, and the newest runs.
func (f References) Choices(ctx context.Context) ([]ui.Choice, error) {
	own, err := f.Templates.Templates(ctx, run.AllProjects())
	if err != nil {
		return nil, err
	}
	runs, err := f.Runs.Runs(ctx, run.RunFilter{Projects: run.AllProjects(), Limit: runsOffered})
	if err != nil {
		return nil, err
	}
	var out []ui.Choice
	for _, t := range own {
		out = append(out, ui.Choice{Value: "template:" + t.FullRef(), Label: run.TemplateRef{Project: t.Project, Name: t.Name}.Label() + ", version " + ui.Integer(t.Version)})
	}
	for _, p := range trainconf.Presets() {
		out = append(out, ui.Choice{Value: "preset:" + p.Name, Label: p.Title})
	}
	for _, r := range runs {
		out = append(out, ui.Choice{Value: "run:" + string(r.ID), Label: r.Name + ", " + string(r.State)})
	}
	return out, nil
}
