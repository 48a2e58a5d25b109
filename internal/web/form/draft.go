package form

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/internal/web/page"
)

// Inputs that are not fields of a run. All others are named as in [trainconf.Request.Set] and in errors.
const (
	InputName   = "name"
	inputOrigin = "origin" // the form's source; see [Draft.ref]
	inputDiLoCo = "diloco" // "on" or "off" for the whole table
	innerSteps  = "diloco.inner_steps"
)

// maxText bounds one input, above the longest valid value.
const maxText = 8200

// Draft is the filled-in form and its request.
type Draft struct {
	typed   map[string]string // raw input by field
	Request trainconf.Request
	origin  run.Origin
	preset  string // its source, or ""
	project string // "" for the default one
	errs    run.FieldErrors
	warns   run.FieldErrors
	// Broken is true when the request differs from the input because some value was refused.
	Broken bool
}

// Read reads and checks a posted form.
func Read(form url.Values) *Draft {
	d := &Draft{typed: map[string]string{}}
	d.origin, d.preset = readOrigin(lastOf(form, inputOrigin))
	for _, f := range formFields() {
		d.typed[f.Path] = typedText(lastOf(form, f.Path))
		if f.Path == run.SecretsField || f.Path == trainconf.FieldRetry { // an input each
			given := slices.DeleteFunc(slices.Clone(form[f.Path]), func(s string) bool { return s == "" })
			d.typed[f.Path] = typedText(strings.Join(given, ","))
		}
	}
	d.project = page.Text(lastOf(form, page.InputProject), 64)
	d.typed[inputDiLoCo] = lastOf(form, inputDiLoCo)
	d.typed[inputBandwidth] = page.Text(lastOf(form, inputBandwidth), 40)
	d.check()
	return d
}

// draftOf fills a form from a request.
func draftOf(req trainconf.Request) *Draft {
	d := &Draft{typed: map[string]string{}}
	for _, f := range formFields() {
		d.typed[f.Path] = req.Get(f.Path)
	}
	for _, field := range [...]string{"cpu", "memory", "gpu_min_memory"} { // rarely used
		if !req.Changed(field) {
			d.typed[field] = ""
		}
	}
	d.check()
	return d
}

// formFields are the form's fields in order.
func formFields() []trainconf.Field {
	var out []trainconf.Field
	for _, s := range trainconf.Sections() {
		out = append(out, trainconf.FieldsOf(s.Key)...)
	}
	if name, ok := trainconf.Lookup(InputName); ok {
		out = append([]trainconf.Field{name}, out...)
	}
	return out
}

// lastOf is the last value, since a checkbox follows a hidden input of its name.
func lastOf(form url.Values, name string) string {
	values := form[name]
	if len(values) == 0 {
		return ""
	}
	return values[len(values)-1]
}

// typedText is the input with Unix line ends.
func typedText(s string) string { return strings.ReplaceAll(page.Text(s, maxText), "\r\n", "\n") }

// check builds and validates the request. A refused field keeps that message only.
func (d *Draft) check() {
	d.errs, d.warns, d.Broken, d.Request = nil, nil, false, trainconf.Request{}
	off := d.typed[inputDiLoCo] == "off"
	for _, f := range formFields() {
		if off && f.Section == inputDiLoCo {
			continue
		}
		d.fail(d.Request.Set(f.Path, d.typed[f.Path]))
	}
	checked := d.Request
	if d.typed[inputDiLoCo] == "on" && !d.Request.Config.DiLoCo() && !d.wrong(innerSteps) {
		// Switched on without a setting: one default set explicitly puts the table to use.
		d.Broken = true
		d.fail(checked.Set("diloco.outer_lr", checked.Config.Default("diloco.outer_lr")))
	}
	errs, warns := checked.Check()
	for _, e := range errs {
		if !d.wrong(e.Field) {
			d.errs = append(d.errs, e)
		}
	}
	d.warns = warns
}

// fail records an error of [trainconf.Request.Set].
func (d *Draft) fail(err error) {
	var fe run.FieldError
	if errors.As(err, &fe) {
		d.Broken = true
		d.errs = append(d.errs, fe)
	}
}

// InvalidExcept reports whether any other field is invalid.
func (d *Draft) InvalidExcept(field string) bool {
	return slices.ContainsFunc(d.errs, func(e run.FieldError) bool { return e.Field != field })
}

func (d *Draft) wrong(field string) bool {
	return slices.ContainsFunc(d.errs, func(e run.FieldError) bool { return e.Field == field })
}

// Submission is for control. Its key is made of the page's key and the content, so a double click returns the first run,
// but a changed form makes a new one.
func (d *Draft) Submission(pageKey string) run.Submission {
	sub := d.Request.Submission()
	sub.Project, sub.Origin, sub.Preset = d.project, d.origin, d.preset
	if pageKey != "" {
		content, _ := json.Marshal(sub) // strings and numbers
		sum := sha256.Sum256(content)
		sub.Key = pageKey + "-" + hex.EncodeToString(sum[:8])
	}
	return sub
}

// readOrigin reads the form's source from a hidden input; anything invalid is no origin.
func readOrigin(value string) (origin run.Origin, preset string) {
	ref, err := trainconf.ParseRef(inputOrigin, value)
	switch {
	case err != nil:
	case ref.Preset != "":
		return run.Origin{Template: ref.Preset}, ref.Preset
	case ref.Template.Version > 0:
		return run.Origin{Template: ref.Template.String()}, ""
	}
	return run.Origin{Clone: ref.Run}, ""
}

// ref encodes the form's source.
func (d *Draft) ref() string {
	switch {
	case d.preset != "":
		return "preset:" + d.preset
	case d.origin.Clone != "":
		return "run:" + string(d.origin.Clone)
	case d.origin.Template != "":
		return "template:" + d.origin.Template
	}
	return ""
}
