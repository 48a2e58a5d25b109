package api

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// base is something to begin with: a preset, a template, a run, or nothing.
type base struct {
	request trainconf.Request
	text    string           // the configuration as it was written, "" for canonical
	written trainconf.Config // what text says
	preset  string
	origin  run.Origin
}

func emptyBase() base { return base{request: trainconf.NewRequest()} }

// presetBase begins with a preset. The error is a [run.FieldError] about the named field.
func presetBase(field, name string) (base, error) {
	p, ok := trainconf.PresetByName(name)
	if !ok {
		var names []string
		for _, p := range trainconf.Presets() {
			names = append(names, p.Name)
		}
		return emptyBase(), run.FieldError{Field: field, Value: clip(name), Rule: "is not a preset", Fix: "use one of " + strings.Join(names, ", ")}
	}
	return base{request: trainconf.RequestOfPreset(p), preset: p.Name, origin: run.Origin{Template: p.Name}}, nil
}

// templateBase begins with a template, or with a preset of that name. Errors about the named field are [run.FieldErrors].
func (s *server) templateBase(ctx context.Context, field, ref string) (base, error) {
	name, version, ok := SplitTemplate(ref)
	if !ok {
		return emptyBase(), run.FieldErrors{{Field: field, Value: clip(ref), Rule: "must be the name of a template, or name@version", Fix: `use "my-7B" or "my-7B@2", for example`}}
	}
	if _, preset := trainconf.PresetByName(name); preset && version == 0 {
		return presetBase(field, name)
	}
	t, err := s.Templates.Template(ctx, name, version)
	if errors.Is(err, run.ErrNotFound) {
		return emptyBase(), run.FieldErrors{{Field: field, Value: clip(ref), Rule: "is not a template", Fix: "list the templates, and their versions, to see which there are"}}
	}
	if err != nil {
		return emptyBase(), err
	}
	req, err := trainconf.RequestOfTemplate(t)
	return base{request: req, text: t.Config, written: req.Config, origin: run.Origin{Template: t.Ref()}}, err
}

// runBase begins with a run. Errors about the named field are [run.FieldErrors].
func (s *server) runBase(ctx context.Context, field, id string) (base, error) {
	none := run.FieldErrors{{Field: field, Value: clip(id), Rule: "is not the ID of a run", Fix: "list the runs to see which there are"}}
	parsed, err := run.ParseID(id)
	if err != nil {
		return emptyBase(), none
	}
	r, err := s.Runs.Run(ctx, parsed)
	switch {
	case errors.Is(err, run.ErrNotFound):
		return emptyBase(), none
	case err != nil:
		return emptyBase(), err
	}
	r = trainconf.AsAsked(r)
	req, err := trainconf.RequestOfRun(r)
	return base{request: req, text: r.Config, written: req.Config, origin: run.Origin{Clone: r.ID}}, err
}

// SplitTemplate reads "name" or "name@2"; the version is 0 when there is none. It does not ask whether the template exists.
func SplitTemplate(ref string) (name string, version int, ok bool) {
	name, digits, found := strings.Cut(ref, "@")
	if found {
		n, err := strconv.Atoi(digits)
		if err != nil || n < 1 {
			return "", 0, false
		}
		version = n
	}
	return name, version, run.CheckTemplateName(name) == nil
}

// refBase finds one side of a comparison: "run:r-0123456789", "template:my-7B@2" or "preset:7B".
func (s *server) refBase(ctx context.Context, field, ref string) (base, error) {
	kind, name, _ := strings.Cut(ref, ":")
	switch kind {
	case "run":
		return s.runBase(ctx, field, name)
	case "template":
		return s.templateBase(ctx, field, name)
	case "preset":
		return presetBase(field, name)
	}
	return emptyBase(), run.FieldErrors{{Field: field, Value: clip(ref), Rule: "must say what to compare: run, template or preset, a colon and its name", Fix: fmt.Sprintf("use %q or %q, for example", "run:r-0123456789", "template:my-7B@2")}}
}
