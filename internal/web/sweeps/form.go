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

// Names of the inputs of the form for a sweep.
const (
	inputField    = "field"    // one for each row
	inputValues   = "values"   // of the row's field
	inputMode     = "mode"     // modeGrid or modeList
	inputParallel = "parallel" // as errors name it too
	inputFolders  = "folders"  // "own" gives each run its own folders
	modeList      = "list"
	modeGrid      = "grid"
)

const (
	firstAxes = 2  // rows that an empty form has
	maxAxes   = 20 // rows that a form can have; control takes no more either
)

// axis is one row of the form, as typed and as read.
type axis struct {
	field, typed string
	values       []string
	err          *run.FieldError
}

// sweepForm is the form for a sweep as typed, and what it makes.
type sweepForm struct {
	name, parallel string
	list           bool
	ownFolders     bool
	axes           []axis
	from, key      string
	sub            run.Submission // of the base, as it came
	base           trainconf.Request
	limit          int // runs at one time, 0 for no limit
	errs           run.FieldErrors
	submitted      bool
}

// newSweepForm begins with a submission.
func newSweepForm(from, key string, sub run.Submission, req trainconf.Request) *sweepForm {
	f := &sweepForm{from: from, key: key, sub: sub, base: req, name: sub.Name, parallel: "0", ownFolders: true, axes: make([]axis, firstAxes)}
	if f.name == "" {
		f.name = strings.TrimSpace(sub.Preset + " sweep")
		if sub.Preset == "" && sub.Origin.Template != "" {
			name, _, _ := run.ParseTemplateRef(sub.Origin.Template)
			f.name = name + " sweep"
		}
	}
	f.read()
	return f
}

// readSweepForm reads what was sent.
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

// read makes values of what was typed, and finds what is wrong with each row.
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

// readAxis reads one row; each value must be one that its field takes.
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
	case !known: // says which field is near
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

// exampleValues is something to write into a row.
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

// checkList finds rows of a list that do not have as many values as the first.
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

// used are the rows that count.
func (f *sweepForm) used() []axis {
	return slices.DeleteFunc(slices.Clone(f.axes), func(a axis) bool { return a.values == nil || a.err != nil })
}

// rowsWrong is true when some row cannot be used.
func (f *sweepForm) rowsWrong() bool {
	return slices.ContainsFunc(f.axes, func(a axis) bool { return a.err != nil })
}

// shared are the folders of the base that its runs would share, unless a row varies them.
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

// request is the base with its name, and with folders of its own for each run where that was asked for.
func (f *sweepForm) request() trainconf.Request {
	req := f.base
	if f.ownFolders {
		for _, field := range f.shared() {
			// A path that would be too long stays shared, which control then refuses in words.
			_ = req.Set(field, strings.TrimRight(req.Get(field), "/")+"/"+trainconf.RunPlaceholder)
		}
	}
	req.Name = f.name
	return req
}

// spec is what control gets.
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
