package draft

import (
	"maps"
	"slices"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// Empty starts from the core's defaults, on one node without GPUs.
func Empty() trainconf.Start { return trainconf.Start{Request: trainconf.NewRequest()} }

// Draft is a [Source] applied to what it starts from.
type Draft struct {
	trainconf.Start
	Errs run.FieldErrors // what is wrong so far
	// unread is true when there is no telling what the configuration says, so that rules between its fields mean nothing:
	// it is no TOML, or what it starts from is not there. A wrong value leaves the others to be checked.
	unread bool
}

// Apply changes what differs from the start. errs is what is wrong with that.
func (in Source) Apply(start trainconf.Start, errs run.FieldErrors) Draft {
	d := Draft{Start: start, Errs: errs, unread: len(errs) > 0}
	if in.Config != "" {
		err := d.SetConfig(in.Config)
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
