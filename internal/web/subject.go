package web

import (
	"context"
	"net/url"
	"strings"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/views"
)

// subject is something that holds a configuration: a run, a version of a template, or a preset.
type subject struct {
	ref     string // "run:r-...", "template:name@2" or "preset:name"
	title   string // what a person calls it
	href    string // its page
	request trainconf.Request
	sub     run.Submission // what a new run would be made from, with where it came from
}

// subjectOf finds what a reference names; a template without a version is its newest one, and a template that is called
// as a preset is that. What the reference does not name is [run.FieldErrors] about field.
func (s *Server) subjectOf(ctx context.Context, field, ref string) (subject, error) {
	none := func(rule, fix string) error {
		return run.FieldErrors{{Field: field, Value: text(ref, 200), Rule: rule, Fix: fix}}
	}
	kind, name, found := strings.Cut(ref, ":")
	if !found {
		return subject{}, none("must say what it is", "write run:r-…, template:name@2 or preset:name")
	}
	switch kind {
	case "run":
		id, err := run.ParseID(name)
		if err != nil {
			return subject{}, run.NoRun(name)
		}
		r, err := s.Runs.Run(ctx, id)
		if err != nil {
			return subject{}, err
		}
		return subjectOfRun(r)
	case "preset":
		p, ok := trainconf.PresetByName(name)
		if !ok {
			return subject{}, none("is not a built-in preset", "choose one of the page of templates")
		}
		return subjectOfPreset(p), nil
	case "template":
		base, version, ok := run.ParseTemplateRef(name)
		if !ok {
			return subject{}, run.NoTemplate(name, 0)
		}
		if p, ok := trainconf.PresetByName(base); ok {
			return subjectOfPreset(p), nil
		}
		t, err := s.Templates.Template(ctx, base, version)
		if err != nil {
			return subject{}, err
		}
		return subjectOfTemplate(t)
	}
	return subject{}, none("must be a run, a template or a preset", "write run:r-…, template:name@2 or preset:name")
}

func subjectOfRun(r run.Run) (subject, error) {
	start, err := trainconf.StartOfRun(r)
	return subjectFrom(start, "run:"+string(r.ID), r.Name, "/runs/"+string(r.ID)), ignoreFields(err)
}

func subjectOfTemplate(t run.Template) (subject, error) {
	start, err := trainconf.StartOfTemplate(t)
	return subjectFrom(start, "template:"+t.Ref(), t.Ref(), templateHref(t, "")), ignoreFields(err)
}

func subjectOfPreset(p trainconf.Preset) subject {
	return subjectFrom(trainconf.StartOfPreset(p), "preset:"+p.Name, p.Name, "/templates/"+url.PathEscape(p.Name))
}

func subjectFrom(start trainconf.Start, ref, title, href string) subject {
	return subject{ref: ref, title: title, href: href, request: start.Request, sub: start.Submission()}
}

// ignoreFields drops what is wrong with single fields: what was stored once is shown as far as it is understood.
func ignoreFields(err error) error {
	if trainconf.AsFieldErrors(err) != nil {
		return nil
	}
	return err
}

// factsOf says the shape of a request and the options that it sets.
func factsOf(req trainconf.Request) []views.Fact {
	facts := []views.Fact{{Key: "shape", Label: "Shape", Value: req.Shape.String()}}
	inShape := map[string]bool{"nodes": true, "gpus": true, "gpu_model": true, "gpu_min_memory": true, "site": true}
	for _, f := range trainconf.PlacementFields() {
		if inShape[f.Path] || !req.Changed(f.Path) {
			continue
		}
		value := req.Get(f.Path)
		if f.Unit != "" {
			value += " " + f.Unit
		}
		facts = append(facts, views.Fact{Key: f.Path, Label: f.Label, Value: value})
	}
	return facts
}
