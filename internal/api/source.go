package api

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/cotrain/cotrain/internal/draft"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// resolved is a source put together.
type resolved struct {
	draft.Draft
	// missing is what it starts from and does not exist, or nil; Errs has it too.
	missing *fault.Error
}

// resolve puts a source together. What is wrong with it is in its Errs; the error is about the console itself.
func (s *server) resolve(ctx context.Context, name string, in draft.Source) (resolved, error) {
	b, errs, err := s.begin(ctx, in)
	missing, err := asMissing(err)
	if err != nil {
		return resolved{}, err
	}
	d := resolved{in.Apply(b, errs), missing}
	if name != "" {
		d.Request.Name = strings.TrimSpace(name)
	}
	return d, nil
}

// begin finds what a source starts from: one thing at most.
func (s *server) begin(ctx context.Context, in draft.Source) (trainconf.Start, run.FieldErrors, error) {
	field, ref := "", ""
	for _, given := range [...][2]string{{"preset", in.Preset}, {"template", in.Template}, {"clone", in.Clone}} {
		switch {
		case given[1] == "":
		case field == "":
			field, ref = given[0], given[1]
		default:
			return draft.Empty(), run.FieldErrors{{Field: "preset", Value: fault.Quote(in.Preset), Rule: "does not go together with another: preset, template and clone each say what to start from", Fix: "give one of the three"}}, nil
		}
	}
	if field == "" {
		return draft.Empty(), nil, nil
	}
	b, err := s.base(ctx, field, ref)
	if missing, _ := asMissing(err); missing != nil {
		return b, run.FieldErrors{missingField(field, ref, missing)}, err
	}
	if bad := trainconf.AsFieldErrors(err); bad != nil {
		return b, bad, nil
	}
	return b, nil, err
}

// asMissing tells what does not exist from every other error.
func asMissing(err error) (*fault.Error, error) {
	if errors.Is(err, fault.ErrNotFound) {
		return fault.Of(err), nil
	}
	return nil, err
}

// missingField says of a field that what it names does not exist.
func missingField(field, ref string, f *fault.Error) run.FieldError {
	rule := map[fault.Kind]string{fault.ErrNoPreset: "is not a preset", fault.ErrNoTemplate: "is not a template", fault.ErrNoRun: "is not the ID of a run"}[f.Kind]
	fix := strings.TrimSuffix(f.Do, ".")
	return run.FieldError{Field: field, Value: fault.Quote(ref), Rule: rule, Fix: strings.ToLower(fix[:1]) + fix[1:]}
}

// refusal is everything that is wrong with a source, all at once. When what it starts from does not exist, it says that first.
func (d *resolved) refusal(named bool) error {
	_ = d.Check(named) // warnings stop nobody
	if d.missing == nil {
		return d.Errs
	}
	p := problemOf(d.missing)
	p.Errors = invalid("body", d.Errs[1:]...).Errors
	return p
}

// base finds what a draft starts from. What does not exist is [fault.ErrNotFound].
func (s *server) base(ctx context.Context, kind, name string) (trainconf.Start, error) {
	switch kind {
	case "preset":
		p, ok := trainconf.PresetByName(name)
		if !ok {
			return draft.Empty(), trainconf.NoPreset(name)
		}
		return trainconf.StartOfPreset(p), nil
	case "template":
		return s.templateBase(ctx, name)
	}
	r, err := s.find(ctx, name)
	if err != nil {
		return draft.Empty(), err
	}
	return trainconf.StartOfRun(r)
}

// templateBase starts from a template, or from a preset of that name.
func (s *server) templateBase(ctx context.Context, ref string) (trainconf.Start, error) {
	name, version, ok := run.ParseTemplateRef(ref)
	if !ok {
		return draft.Empty(), run.NoTemplate(ref, 0)
	}
	if p, preset := trainconf.PresetByName(name); preset && version == 0 {
		return trainconf.StartOfPreset(p), nil
	}
	t, err := s.Templates.Template(ctx, name, version)
	if err != nil {
		return draft.Empty(), s.noTemplate(ctx, err, name, version)
	}
	return trainconf.StartOfTemplate(t)
}

// refBase finds one side of a comparison: "run:r-0123456789", "template:my-7B@2" or "preset:7B".
func (s *server) refBase(ctx context.Context, field, ref string) (trainconf.Start, error) {
	kind, name, _ := strings.Cut(ref, ":")
	if kind != "run" && kind != "template" && kind != "preset" {
		return draft.Empty(), run.FieldErrors{{Field: field, Value: fault.Quote(ref), Rule: "must say what to compare: run, template or preset, a colon and its name", Fix: fmt.Sprintf("use %q or %q, for example", "run:r-0123456789", "template:my-7B@2")}}
	}
	return s.base(ctx, kind, name)
}
