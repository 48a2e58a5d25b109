package draft

import (
	"maps"
	"slices"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// Base is something to start from: a preset, a template, a run, or nothing.
type Base struct {
	Request trainconf.Request
	text    string           // the configuration as it was written, "" for canonical
	written trainconf.Config // what text says
	preset  string
	origin  run.Origin
}

// Empty starts from the core's defaults, on one node without GPUs.
func Empty() Base { return Base{Request: trainconf.NewRequest()} }

// OfPreset starts from a preset.
func OfPreset(p trainconf.Preset) Base {
	return Base{Request: trainconf.RequestOfPreset(p), preset: p.Name, origin: run.Origin{Template: p.Name}}
}

// OfTemplate starts from a template.
func OfTemplate(t run.Template) (Base, error) {
	req, err := trainconf.RequestOfTemplate(t)
	return Base{Request: req, text: t.Config, written: req.Config, origin: run.Origin{Template: t.Ref()}}, err
}

// OfRun starts from a run as it was asked for.
func OfRun(r run.Run) (Base, error) {
	r = trainconf.AsAsked(r)
	req, err := trainconf.RequestOfRun(r)
	return Base{Request: req, text: r.Config, written: req.Config, origin: run.Origin{Clone: r.ID}}, err
}

// Draft is a [Source] applied to what it starts from.
type Draft struct {
	Base
	Errs run.FieldErrors // what is wrong so far
	// unread is true when there is no telling what the configuration says, so that rules between its fields mean nothing:
	// it is no TOML, or what it starts from is not there. A wrong value leaves the others to be checked.
	unread bool
}

// Apply changes what differs from the base. errs is what is wrong with that.
func (in Source) Apply(b Base, errs run.FieldErrors) Draft {
	d := Draft{Base: b, Errs: errs, unread: len(errs) > 0}
	if in.Config != "" {
		cfg, err := trainconf.Parse([]byte(in.Config))
		d.Request.Config, d.written, d.text = cfg, cfg, in.Config
		d.unread = slices.ContainsFunc(trainconf.AsFieldErrors(err), func(e run.FieldError) bool { return e.Field == trainconf.FieldConfig })
		d.add(err)
	}
	in.Shape.apply(&d.Request.Shape)
	in.Options.apply(&d)
	for _, field := range InOrder(in.Set) {
		d.add(d.Request.Set(field, in.Set[field]))
	}
	return d
}

// InOrder is the fields to set in an order in which none undoes another: no GPUs are no demands on them, so gpus is first.
func InOrder(set map[string]string) []string {
	fields := slices.Sorted(maps.Keys(set))
	if i := slices.Index(fields, "gpus"); i > 0 {
		fields = slices.Insert(slices.Delete(fields, i, i+1), 0, "gpus")
	}
	return fields
}

// Check adds everything else that is wrong, and returns warnings. A field of which something has been said gets no more.
func (d *Draft) Check(named bool) (warns run.FieldErrors) {
	var errs run.FieldErrors
	if named {
		if f := trainconf.ValidateName(d.Request.Name); f != nil {
			errs = append(errs, *f)
		}
	}
	if d.unread {
		errs = append(errs, trainconf.ValidateShape(d.Request.Shape)...)
		errs = append(errs, trainconf.ValidateOptions(d.Request.Options)...)
	} else {
		more, w := d.Request.CheckUnnamed()
		errs, warns = append(errs, more...), w
	}
	tooLong := func(e run.FieldError) bool { return e.Field == trainconf.FieldConfig }
	if f := trainconf.ValidatePayload(d.Submission().Config); f != nil && !slices.ContainsFunc(errs, tooLong) {
		errs = append(errs, *f)
	}
	said := map[string]bool{}
	for _, e := range d.Errs {
		said[e.Field] = true
	}
	for _, e := range errs {
		if !said[e.Field] {
			d.Errs = append(d.Errs, e)
		}
	}
	return warns
}

// Submission is what is submitted. A configuration that was written as text stays so, comments and all, unless something
// of it was changed.
func (d *Draft) Submission() run.Submission {
	sub := d.Request.Submission()
	if d.text != "" && d.Request.Config.Equal(d.written) {
		sub.Config = d.text
	}
	sub.Preset, sub.Origin = d.preset, d.origin
	return sub
}

// add adds what trainconf says, if anything.
func (d *Draft) add(err error) {
	switch all := trainconf.AsFieldErrors(err); {
	case err == nil:
	case all != nil:
		d.Errs = append(d.Errs, all...)
	default:
		d.Errs = append(d.Errs, run.FieldError{Field: trainconf.FieldConfig, Rule: "cannot be read", Fix: "send CotrainCore's TOML"})
	}
}
