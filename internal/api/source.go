package api

import (
	"cmp"
	"context"
	"errors"
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

// resolve puts a source together for a project, "" for the default one. What is wrong with it is in its Errs; the error is about the console itself.
func (s *server) resolve(ctx context.Context, project, name string, in draft.Source) (resolved, error) {
	b, errs, err := s.begin(ctx, project, in)
	missing, err := asMissing(err)
	if err != nil {
		return resolved{}, err
	}
	d := resolved{in.Apply(b, errs), missing}
	if project != "" {
		d.Project = project // a clone's or a template's otherwise
	}
	if name != "" {
		d.Request.Name = strings.TrimSpace(name)
	}
	return d, nil
}

// begin finds what a source starts from: one thing at most.
func (s *server) begin(ctx context.Context, project string, in draft.Source) (trainconf.Start, run.FieldErrors, error) {
	field, kind, name := "", "", ""
	for _, given := range [...][3]string{{"preset", "preset", in.Preset}, {"template", "template", in.Template}, {"clone", "run", in.Clone}} {
		switch {
		case given[2] == "":
		case field == "":
			field, kind, name = given[0], given[1], given[2]
		default:
			return draft.Empty(), run.FieldErrors{{Field: "preset", Value: fault.Quote(in.Preset), Rule: "does not go together with another: preset, template and clone each say what to start from", Fix: "give one of the three"}}, nil
		}
	}
	if field == "" {
		return draft.Empty(), nil, nil
	}
	b, err := s.base(ctx, project, field, kind+":"+name)
	if missing, _ := asMissing(err); missing != nil {
		return b, run.FieldErrors{missingField(field, name, missing)}, err
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
	fix := strings.TrimSuffix(f.Fix, ".")
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

// base finds what a reference names, a template without a project in the given one. What does not exist is [fault.ErrNotFound].
func (s *server) base(ctx context.Context, project, field, ref string) (trainconf.Start, error) {
	named, err := trainconf.ParseRef(field, ref)
	if err != nil {
		return draft.Empty(), err
	}
	named.Template.Project = cmp.Or(named.Template.Project, project)
	return named.Find(ctx, s.Runs.Run, s.templateVersion)
}
