package api

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
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

// NoPreset is the fault for a preset that does not exist.
func NoPreset(name string) *fault.Error {
	var names []string
	for _, p := range trainconf.Presets() {
		names = append(names, p.Name)
	}
	return fault.New(fault.ErrNoPreset, fmt.Sprintf("No preset is called %q.", clip(name)), "Use one of "+strings.Join(names, ", ")+".")
}

// presetBase begins with a preset; the error is [fault.ErrNoPreset] where there is none.
func presetBase(name string) (base, error) {
	p, ok := trainconf.PresetByName(name)
	if !ok {
		return emptyBase(), NoPreset(name)
	}
	return base{request: trainconf.RequestOfPreset(p), preset: p.Name, origin: run.Origin{Template: p.Name}}, nil
}

// templateBase begins with a template, or with a preset of that name; the error is [fault.ErrNoTemplate] where there is none.
func (s *server) templateBase(ctx context.Context, ref string) (base, error) {
	name, version, ok := SplitTemplate(ref)
	if !ok {
		return emptyBase(), run.NoTemplate(ref, 0)
	}
	if _, preset := trainconf.PresetByName(name); preset && version == 0 {
		return presetBase(name)
	}
	t, err := s.Templates.Template(ctx, name, version)
	if err != nil {
		return emptyBase(), s.noTemplate(ctx, err, name, version)
	}
	req, err := trainconf.RequestOfTemplate(t)
	return base{request: req, text: t.Config, written: req.Config, origin: run.Origin{Template: t.Ref()}}, err
}

// runBase begins with a run; the error is [fault.ErrNoRun] where there is none.
func (s *server) runBase(ctx context.Context, id string) (base, error) {
	r, err := s.find(ctx, id)
	if err != nil {
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
		return s.runBase(ctx, name)
	case "template":
		return s.templateBase(ctx, name)
	case "preset":
		return presetBase(name)
	}
	return emptyBase(), run.FieldErrors{{Field: field, Value: clip(ref), Rule: "must say what to compare: run, template or preset, a colon and its name", Fix: fmt.Sprintf("use %q or %q, for example", "run:r-0123456789", "template:my-7B@2")}}
}
