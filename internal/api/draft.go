package api

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// draft is a [Source] put together, with what is wrong so far.
type draft struct {
	base
	errs run.FieldErrors
	// missing is what it begins with and does not exist, or nil; errs has it too.
	missing *fault.Error
	// unread is true when there is no telling what the configuration says, so that rules between its fields mean nothing:
	// it is no TOML, or what it begins with is not there. A wrong value leaves the others to be checked.
	unread bool
}

// resolve puts a source together. What is wrong with it is in the draft's errs; the error is about the console itself.
func (s *server) resolve(ctx context.Context, name string, in Source) (draft, error) {
	b, errs, err := s.begin(ctx, in)
	missing, err := asMissing(err)
	if err != nil {
		return draft{}, err
	}
	d := in.put(b, errs)
	d.missing = missing
	if name != "" {
		d.request.Name = strings.TrimSpace(name)
	}
	return d, nil
}

// begin finds what a source begins with: one thing at most.
func (s *server) begin(ctx context.Context, in Source) (base, run.FieldErrors, error) {
	given := 0
	for _, name := range []string{in.Preset, in.Template, in.Clone} {
		if name != "" {
			given++
		}
	}
	var b base
	var err error
	field, ref := "", ""
	switch {
	case given > 1:
		return emptyBase(), run.FieldErrors{{Field: "preset", Value: clip(in.Preset), Rule: "does not go together with another: preset, template and clone each say what to begin with", Fix: "give one of the three"}}, nil
	case in.Preset != "":
		field, ref = "preset", in.Preset
		b, err = presetBase(ref)
	case in.Template != "":
		field, ref = "template", in.Template
		b, err = s.templateBase(ctx, ref)
	case in.Clone != "":
		field, ref = "clone", in.Clone
		b, err = s.runBase(ctx, ref)
	default:
		return emptyBase(), nil, nil
	}
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
	return run.FieldError{Field: field, Value: clip(ref), Rule: rule, Fix: strings.ToLower(fix[:1]) + fix[1:]}
}

// refusal is everything that is wrong with a draft, all at once. When what it begins with does not exist, it says that first.
func (d *draft) refusal(named bool) error {
	_ = d.check(named) // warnings stop nobody
	if d.missing == nil {
		return d.errs
	}
	p := problemOf(d.missing)
	p.Errors = invalid("body", d.errs[1:]...).Errors
	return p
}

// put applies what differs from what was begun with.
func (in Source) put(b base, errs run.FieldErrors) draft {
	d := draft{base: b, errs: errs, unread: len(errs) > 0}
	if in.Config != "" {
		cfg, err := trainconf.Parse([]byte(in.Config))
		d.request.Config, d.written, d.text = cfg, cfg, in.Config
		d.unread = slices.ContainsFunc(trainconf.AsFieldErrors(err), func(e run.FieldError) bool { return e.Field == trainconf.FieldConfig })
		d.add(err)
	}
	in.Shape.apply(&d.request.Shape)
	in.Options.apply(&d)
	for _, field := range inOrder(in.Set) {
		d.add(d.request.Set(field, in.Set[field]))
	}
	return d
}

// inOrder is the fields to set in an order in which none undoes another: no GPUs are no demands on them, so gpus is first.
func inOrder(set map[string]string) []string {
	fields := slices.Sorted(maps.Keys(set))
	if i := slices.Index(fields, "gpus"); i > 0 {
		fields = slices.Insert(slices.Delete(fields, i, i+1), 0, "gpus")
	}
	return fields
}

// check adds everything else that is wrong, and returns warnings. A field of which something has been said gets no more.
func (d *draft) check(named bool) (warns run.FieldErrors) {
	var errs run.FieldErrors
	if named {
		if f := trainconf.ValidateName(d.request.Name); f != nil {
			errs = append(errs, *f)
		}
	}
	if d.unread {
		errs = append(errs, trainconf.ValidateShape(d.request.Shape)...)
		errs = append(errs, trainconf.ValidateOptions(d.request.Options)...)
	} else {
		more, w := d.request.CheckUnnamed()
		errs, warns = append(errs, more...), w
	}
	tooLong := func(e run.FieldError) bool { return e.Field == trainconf.FieldConfig }
	if f := trainconf.ValidatePayload(d.submission().Config); f != nil && !slices.ContainsFunc(errs, tooLong) {
		errs = append(errs, *f)
	}
	said := map[string]bool{}
	for _, e := range d.errs {
		said[e.Field] = true
	}
	for _, e := range errs {
		if !said[e.Field] {
			d.errs = append(d.errs, e)
		}
	}
	return warns
}

// submission is what control gets. A configuration that was written as text stays so, comments and all, unless something
// of it was changed.
func (d *draft) submission() run.Submission {
	sub := d.request.Submission()
	if d.text != "" && d.request.Config.Equal(d.written) {
		sub.Config = d.text
	}
	sub.Preset, sub.Origin = d.preset, d.origin
	return sub
}
