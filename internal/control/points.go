package control

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

const (
	maxAxes       = 20 // varied fields of a sweep
	maxPointFault = 20 // errors in one answer
)

// point is a future run of a sweep.
type point struct {
	values map[string]string // by field, in canonical form
	draft  draft
}

// checkSpec checks a sweep apart from its points, and returns the varied fields in order.
func checkSpec(s run.SweepSpec) (fields []string, errs run.FieldErrors) {
	bad := func(field, value, rule, fix string) {
		errs = append(errs, run.FieldError{Field: field, Value: fault.Quote(value), Rule: rule, Fix: fix})
	}
	if s.Parallel < 0 || s.Parallel > run.MaxSweepRuns {
		bad("parallel", strconv.Itoa(s.Parallel), fmt.Sprintf("must be a whole number from 0 to %d", run.MaxSweepRuns), "use 0 for no limit")
	}
	switch {
	case len(s.Grid) > 0 && len(s.List) > 0:
		bad("grid", "", "must not be given together with list", "use one of the two")
	case len(s.Grid) == 0 && len(s.List) == 0:
		bad("grid", "", "must name at least one field to vary, unless there is a list", "vary optim.optim.lr over 1e-4 and 3e-4, for example")
	case len(s.Grid) > maxAxes:
		bad("grid", strconv.Itoa(len(s.Grid))+" fields", fmt.Sprintf("must vary at most %d fields", maxAxes), "vary fewer")
	case len(s.List) > run.MaxSweepRuns:
		bad("list", strconv.Itoa(len(s.List))+" runs", fmt.Sprintf("must make at most %d runs", run.MaxSweepRuns), "use fewer")
	}
	if len(errs) > 0 {
		return nil, errs
	}
	for _, axis := range s.Grid {
		switch {
		case slices.Contains(fields, axis.Field):
			bad(axis.Field, "", "is varied twice", "put all its values into one list")
		case len(axis.Values) == 0:
			bad(axis.Field, "", "has no values", "give it at least one")
		case len(axis.Values) > run.MaxSweepRuns:
			bad(axis.Field, strconv.Itoa(len(axis.Values))+" values", fmt.Sprintf("must have at most %d values", run.MaxSweepRuns), "use fewer")
		}
		fields = append(fields, axis.Field)
	}
	names := map[string]bool{}
	for i, values := range s.List {
		if len(values) == 0 || len(values) > maxAxes {
			bad("list", fmt.Sprintf("point %d", i+1), fmt.Sprintf("must set 1 to %d fields", maxAxes), "set the fields that vary")
		}
		for field := range values {
			names[field] = true
		}
	}
	if len(names) > maxAxes {
		bad("list", strconv.Itoa(len(names))+" fields", fmt.Sprintf("must vary at most %d fields", maxAxes), "vary fewer")
	}
	if len(s.List) > 0 {
		fields = slices.Sorted(maps.Keys(names))
	}
	if slices.Contains(fields, trainconf.FieldName) {
		bad(trainconf.FieldName, "", "cannot be varied: runs are named after the sweep, with their number", "remove it")
	}
	return fields, errs[:min(len(errs), maxPointFault)]
}

// points checks every run of a sweep. Errors name the point.
func (c *Control) points(project string, s run.SweepSpec, fields []string, in surroundings) ([]point, error) {
	all := s.Points()
	if n := len(all); n < 2 || n > run.MaxSweepRuns {
		field, value := "grid", strconv.Itoa(n)+" runs"
		if len(s.List) > 0 {
			field = "list"
		}
		if n > run.MaxSweepRuns {
			value = fmt.Sprintf("more than %d runs", run.MaxSweepRuns)
		}
		return nil, run.FieldErrors{{Field: field, Value: value, Rule: fmt.Sprintf("must make 2 to %d runs", run.MaxSweepRuns), Fix: "give more values, or fewer"}}
	}
	if fe := trainconf.ValidateName(runName(s.Name, len(all))); fe != nil {
		return nil, run.FieldErrors{*fe}
	}
	base, err := trainconf.RequestOf(s.Submission)
	if err != nil {
		if bad := trainconf.AsFieldErrors(err); bad != nil {
			return nil, bad
		}
		return nil, err
	}
	out := make([]point, 0, len(all))
	var errs run.FieldErrors
	seen := map[string]int{}
	for i, values := range all {
		req, bad := vary(base, values)
		if len(bad) == 0 {
			p := point{values: map[string]string{}}
			for _, field := range fields {
				p.values[field] = req.Value(field)
			}
			req.Name = runName(s.Name, i+1)
			bad = c.complete(&p, project, s, req, in)
			out = append(out, p)
			if first, twice := seen[describe(p.values)]; twice {
				bad = append(bad, run.FieldError{Field: fields[0], Value: fault.Quote(p.values[fields[0]]), Rule: fmt.Sprintf("is the same as point %d", first), Fix: "remove one of the two"})
			} else {
				seen[describe(p.values)] = i + 1
			}
		}
		for _, fe := range bad {
			fe.Rule = fmt.Sprintf("point %d (%s): %s", i+1, describe(values), fe.Rule)
			errs = append(errs, fe)
		}
		if len(errs) >= maxPointFault {
			return nil, errs[:maxPointFault]
		}
	}
	if errs = append(errs, sharedFolders(out)...); len(errs) > 0 {
		return nil, errs
	}
	return out, nil
}

func runName(sweep string, n int) string { return fmt.Sprintf("%s #%d", sweep, n) }

func vary(req trainconf.Request, values map[string]string) (trainconf.Request, run.FieldErrors) {
	var errs run.FieldErrors
	for _, field := range slices.Sorted(maps.Keys(values)) {
		if err := req.Set(field, values[field]); err != nil {
			bad := trainconf.AsFieldErrors(err)
			if bad == nil {
				bad = run.FieldErrors{{Field: field, Value: fault.Quote(values[field]), Rule: err.Error(), Fix: "use another value"}}
			}
			errs = append(errs, bad...)
		}
	}
	return req, errs
}

func (c *Control) complete(p *point, project string, s run.SweepSpec, req trainconf.Request, in surroundings) run.FieldErrors {
	sub := req.Submission()
	sub.Project = project
	sub.Preset, sub.Origin = s.Preset, run.Origin{Template: s.Origin.Template, Clone: s.Origin.Clone, Point: p.values}
	d, err := c.prepare(sub, in)
	if err != nil {
		if bad := trainconf.AsFieldErrors(err); bad != nil {
			return bad
		}
		return run.FieldErrors{{Field: trainconf.FieldConfig, Rule: err.Error(), Fix: "change the configuration"}}
	}
	p.draft = d
	return nil
}

// sharedFolders finds folders that several runs would write into at the same time.
func sharedFolders(points []point) run.FieldErrors {
	var errs run.FieldErrors
	for _, field := range trainconf.OwnFolders() {
		seen := map[string]bool{}
		for _, p := range points {
			folder := p.draft.fixed[field]
			if folder == "" {
				continue
			}
			if seen[path.Clean(folder)] {
				errs = append(errs, run.FieldError{
					Field: field, Value: fault.Quote(folder), Rule: "is one folder for several runs of the sweep, which would overwrite each other's files",
					Fix: "use " + strings.TrimRight(fault.Quote(folder), "/") + "/" + trainconf.RunPlaceholder,
				})
				break
			}
			seen[path.Clean(folder)] = true
		}
	}
	return errs
}

// describe formats a point as "gpus = 2, optim.optim.lr = 1e-4".
func describe(values map[string]string) string {
	var out []string
	for _, field := range slices.Sorted(maps.Keys(values)) {
		value := fault.Quote(values[field])
		if f, ok := trainconf.Lookup(field); ok && f.Secret {
			value = "(hidden)"
		}
		out = append(out, fault.Quote(field)+" = "+value)
	}
	return strings.Join(out, ", ")
}
