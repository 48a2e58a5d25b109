package sweeps

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/internal/web/form"
	"github.com/cotrain/cotrain/internal/web/page"
)

// Inputs of the sweep's form.
const (
	inputField    = "field"    // one per row
	inputValues   = "values"   // the row's values
	inputMode     = "mode"     // modeGrid or modeList
	inputParallel = "parallel" // as in errors
	inputFolders  = "folders"  // "own" gives each run its own folders
	modeList      = "list"
	modeGrid      = "grid"
)

const (
	firstAxes = 2  // rows of an empty form
	maxAxes   = 20 // as in control
)

// axis is a row of the form, raw and parsed.
type axis struct {
	field, typed string
	values       []string
	err          *run.FieldError
}

// sweepForm is the form as typed, and its result.
type sweepForm struct {
	name, parallel string
	list           bool
	ownFolders     bool
	axes           []axis
	from, key      string
	sub            run.Submission // of the base
	base           trainconf.Request
	limit          int // live runs at a time, 0 for no limit
	errs           run.FieldErrors
	submitted      bool
}

func newSweepForm(from, key string, sub run.Submission, req trainconf.Request) *sweepForm {
	f := &sweepForm{from: from, key: key, sub: sub, base: req, name: sub.Name, parallel: "0", ownFolders: true, axes: make([]axis, firstAxes)}
	if f.name == "" {
		f.name = strings.TrimSpace(sub.Preset + " sweep")
		if sub.Preset == "" && sub.Origin.Template != "" {
			ref, _ := run.ParseTemplateRef(sub.Origin.Template)
			f.name = ref.Name + " sweep"
		}
	}
	f.read()
	return f
}

func readSweepForm(posted url.Values, sub run.Submission, req trainconf.Request) *sweepForm {
	f := &sweepForm{
		name: page.Text(posted.Get(form.InputName), 200), parallel: page.Text(posted.Get(inputParallel), 20), list: posted.Get(inputMode) == modeList,
		ownFolders: posted.Get(inputFolders) == "own", from: page.Text(posted.Get(form.InputFrom), 200), key: page.Text(posted.Get("key"), 64), sub: sub, base: req,
	}
	fields, values := posted[inputField], posted[inputValues]
	for i := range min(max(len(fields), len(values), firstAxes), maxAxes) {
		var a axis
		if i < len(fields) {
			a.field = page.Text(fields[i], 200)
		}
		if i < len(values) {
			a.typed = page.Text(values[i], form.MaxBody)
		}
		f.axes = append(f.axes, a)
	}
	if posted.Get("more") != "" && len(f.axes) < maxAxes {
		f.axes = append(f.axes, axis{})
	}
	f.read()
	return f
}

// read parses the rows and collects errors.
func (f *sweepForm) read() {
	seen := map[string]bool{}
	for i := range f.axes {
		a := &f.axes[i]
		if a.field == "" && a.typed == "" {
			continue
		}
		a.err = f.readAxis(a)
		if a.err == nil && seen[a.field] {
			a.err = &run.FieldError{Field: a.field, Rule: "is varied twice", Fix: "put all its values into one row"}
		}
		seen[a.field] = true
	}
	if bad := trainconf.ValidateName(f.name); bad != nil {
		f.errs = append(f.errs, *bad)
	}
	n, err := strconv.Atoi(f.parallel)
	if f.parallel == "" {
		n, err = 0, nil
	}
	if err != nil || n < 0 || n > run.MaxSweepRuns {
		f.errs = append(f.errs, run.FieldError{Field: inputParallel, Value: f.parallel, Rule: fmt.Sprintf("must be a whole number from 0 to %d", run.MaxSweepRuns), Fix: "use 0 for no limit"})
		n = 0
	}
	f.limit = n
	if f.list {
		f.checkList()
	}
}

// readAxis parses a row; the field must accept each value.
func (f *sweepForm) readAxis(a *axis) *run.FieldError {
	fail := func(err error) *run.FieldError {
		if bad := trainconf.AsFieldErrors(err); len(bad) > 0 {
			return &bad[0]
		}
		return &run.FieldError{Field: a.field, Rule: err.Error(), Fix: "change the row"}
	}
	spec, known := trainconf.Lookup(a.field)
	switch {
	case a.field == "":
		return &run.FieldError{Rule: "values without a field", Fix: "name the field that has them"}
	case a.field == trainconf.FieldName:
		return &run.FieldError{Field: a.field, Rule: "cannot be varied: runs are named after the sweep, with their number", Fix: "choose another field"}
	case known && spec.Secret:
		return &run.FieldError{Field: a.field, Rule: "is a secret, which no run stores", Fix: "choose another field"}
	case !known: // suggests a near field
		probe := f.base
		if err := probe.Set(a.field, "1"); err != nil {
			return fail(err)
		}
	case a.typed == "":
		return &run.FieldError{Field: a.field, Rule: "has no values yet", Fix: "write some, such as " + exampleValues(spec)}
	}
	values, err := trainconf.SweepValues(a.field, a.typed)
	if err != nil {
		return fail(err)
	}
	for _, v := range values {
		probe := f.base
		if err := probe.Set(a.field, v); err != nil {
			return fail(err)
		}
	}
	a.values = values
	return nil
}

// exampleValues is a placeholder for a row.
func exampleValues(f trainconf.Field) string {
	if len(f.Choices) > 1 {
		return f.Choices[0] + ", " + f.Choices[1]
	}
	if f.Type == trainconf.Bool {
		return "true, false"
	}
	if e := f.Example(); e != "" {
		return e
	}
	return "a, b"
}

// checkList finds rows of a list with another number of values.
func (f *sweepForm) checkList() {
	want := -1
	for i := range f.axes {
		a := &f.axes[i]
		switch {
		case a.values == nil:
		case want < 0:
			want = len(a.values)
		case len(a.values) != want:
			a.err = &run.FieldError{
				Field: a.field, Rule: fmt.Sprintf("has %d values, and the first field has %d", len(a.values), want),
				Fix: "give every field of a list as many values, or choose a grid",
			}
		}
	}
}

// used are the non-empty rows.
func (f *sweepForm) used() []axis {
	return slices.DeleteFunc(slices.Clone(f.axes), func(a axis) bool { return a.values == nil || a.err != nil })
}

// rowsWrong reports whether any row is invalid.
func (f *sweepForm) rowsWrong() bool {
	return slices.ContainsFunc(f.axes, func(a axis) bool { return a.err != nil })
}

// shared are the base's folders that runs would share.
func (f *sweepForm) shared() []string {
	var out []string
	for _, field := range trainconf.OwnFolders() {
		value := f.base.Get(field)
		varied := slices.ContainsFunc(f.axes, func(a axis) bool { return a.field == field })
		if value != "" && !varied && !strings.Contains(value, trainconf.RunPlaceholder) {
			out = append(out, field)
		}
	}
	return out
}

// request is the base, with folders per run if chosen.
func (f *sweepForm) request() trainconf.Request {
	req := f.base
	if f.ownFolders {
		for _, field := range f.shared() {
			// A path too long for it stays shared, and control refuses it.
			_ = req.Set(field, strings.TrimRight(req.Get(field), "/")+"/"+trainconf.RunPlaceholder)
		}
	}
	req.Name = f.name
	return req
}

// spec is for control.
func (f *sweepForm) spec() run.SweepSpec {
	req := f.request()
	sub := f.sub
	sub.Name, sub.Key = f.name, f.key
	if f.ownFolders && len(f.shared()) > 0 {
		sub.Config = string(req.Config.TOML())
	}
	spec := run.SweepSpec{Submission: sub, Parallel: f.limit}
	axes := f.used()
	if !f.list {
		for _, a := range axes {
			spec.Grid = append(spec.Grid, run.Axis{Field: a.field, Values: a.values})
		}
		return spec
	}
	if len(axes) == 0 {
		return spec
	}
	for i := range axes[0].values {
		point := map[string]string{}
		for _, a := range axes {
			if i < len(a.values) {
				point[a.field] = a.values[i]
			}
		}
		spec.List = append(spec.List, point)
	}
	return spec
}
