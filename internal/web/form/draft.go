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

// Names of the form's inputs that are not fields of a run. Every other input is named as [trainconf.Request.Set] names
// its field, which is also what errors name.
const (
	InputName   = "name"
	inputOrigin = "origin" // where the form was filled from; see [Draft.ref]
	inputDiLoCo = "diloco" // "on" or "off": a switch for the whole table
	innerSteps  = "diloco.inner_steps"
)

// maxText is how many bytes of one input are read: above the longest that passes any rule.
const maxText = 8200

// Draft is the form as filled in, and the request it makes.
type Draft struct {
	typed   map[string]string // what each input of a field holds, by field
	Request trainconf.Request
	origin  run.Origin
	preset  string // name of the preset that it was filled from, or ""
	errs    run.FieldErrors
	warns   run.FieldErrors
	// Broken is true when some value could not be set, so that the request is not what was typed.
	Broken bool
}

// Read reads and checks a posted form, whichever button sent it.
func Read(form url.Values) *Draft {
	d := &Draft{typed: map[string]string{}}
	d.origin, d.preset = readOrigin(lastOf(form, inputOrigin))
	for _, f := range formFields() {
		d.typed[f.Path] = typedText(lastOf(form, f.Path))
	}
	d.typed[inputDiLoCo] = lastOf(form, inputDiLoCo)
	d.typed[inputBandwidth] = page.Text(lastOf(form, inputBandwidth), 40)
	d.check()
	return d
}

// draftOf is the form that a request fills.
func draftOf(req trainconf.Request) *Draft {
	d := &Draft{typed: map[string]string{}}
	for _, f := range formFields() {
		d.typed[f.Path] = req.Get(f.Path)
	}
	for _, field := range [...]string{"cpu", "memory", "gpu_min_memory"} { // most runs leave these alone
		if !req.Changed(field) {
			d.typed[field] = ""
		}
	}
	d.check()
	return d
}

// formFields are the fields that the form has, in its order.
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

// lastOf is the last value, which counts: a checkbox follows a hidden input of its name.
func lastOf(form url.Values, name string) string {
	values := form[name]
	if len(values) == 0 {
		return ""
	}
	return values[len(values)-1]
}

// typedText is what was typed, with Unix line ends.
func typedText(s string) string { return strings.ReplaceAll(page.Text(s, maxText), "\r\n", "\n") }

// check makes and validates the request. A field that cannot be set keeps that message only.
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
		// Switched on, and nothing set: the table is in use all the same, which its first default says without a change.
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

// fail notes what [trainconf.Request.Set] refused.
func (d *Draft) fail(err error) {
	var fe run.FieldError
	if errors.As(err, &fe) {
		d.Broken = true
		d.errs = append(d.errs, fe)
	}
}

// InvalidExcept reports whether anything but one field is wrong.
func (d *Draft) InvalidExcept(field string) bool {
	return slices.ContainsFunc(d.errs, func(e run.FieldError) bool { return e.Field != field })
}

func (d *Draft) wrong(field string) bool {
	return slices.ContainsFunc(d.errs, func(e run.FieldError) bool { return e.Field == field })
}

// Submission is what control gets. Its key, made of the page's key and the content, makes a second click return the first
// run, while going back and changing something makes a new one.
func (d *Draft) Submission(pageKey string) run.Submission {
	sub := d.Request.Submission()
	sub.Origin, sub.Preset = d.origin, d.preset
	if pageKey != "" {
		content, _ := json.Marshal(sub) // strings and numbers
		sum := sha256.Sum256(content)
		sub.Key = pageKey + "-" + hex.EncodeToString(sum[:8])
	}
	return sub
}

// readOrigin reads the hidden input that says where the form was filled from. It is history, so what no page of ours
// has written is no origin rather than an error.
func readOrigin(value string) (origin run.Origin, preset string) {
	ref, err := trainconf.ParseRef(inputOrigin, value)
	switch {
	case err != nil:
	case ref.Preset != "":
		return run.Origin{Template: ref.Preset}, ref.Preset
	case ref.Version > 0:
		return run.Origin{Template: strings.TrimPrefix(ref.String(), "template:")}, ""
	}
	return run.Origin{Clone: ref.Run}, ""
}

// ref is where the form was filled from, for the hidden input.
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
