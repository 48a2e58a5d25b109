package web

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// Names of the form's inputs that are not fields of a run. Every other input is named as [trainconf.Request.Set] names
// its field, which is also what errors name.
const (
	inputName   = "name"
	inputOrigin = "origin" // where the form was filled from; see [originText]
	inputDiLoCo = "diloco" // "on" or "off": a switch for the whole table
	innerSteps  = "diloco.inner_steps"
)

// maxText is how many bytes of one input are read: above the longest that passes any rule.
const maxText = 8200

// draft is a form of a run as a person filled it in, and what it makes.
type draft struct {
	typed   map[string]string // what each input of a field holds, by field
	request trainconf.Request
	origin  run.Origin
	preset  string // name of the preset that it was filled from, or ""
	errs    run.FieldErrors
	warns   run.FieldErrors
	// broken is true when some value could not be set, so that the request is not what was typed.
	broken bool
}

// readForm parses the body, and tells too much from what is no form.
func readForm(r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return formError(r, err)
	}
	return nil
}

// readRequest reads a posted form of a run, whichever button sent it, and finds everything that is wrong with it.
func readRequest(form url.Values) *draft {
	d := &draft{typed: map[string]string{}}
	d.origin, d.preset = readOrigin(lastOf(form, inputOrigin))
	for _, f := range formFields() {
		d.typed[f.Path] = typedText(lastOf(form, f.Path))
	}
	d.typed[inputDiLoCo] = lastOf(form, inputDiLoCo)
	d.typed[inputBandwidth] = text(lastOf(form, inputBandwidth), 40)
	d.check()
	return d
}

// draftOf is the form that a request fills.
func draftOf(req trainconf.Request) *draft {
	d := &draft{typed: map[string]string{}}
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
	if name, ok := trainconf.Lookup(inputName); ok {
		out = append([]trainconf.Field{name}, out...)
	}
	return out
}

// lastOf is the value that counts: a checkbox comes after a hidden input of the same name.
func lastOf(form url.Values, name string) string {
	values := form[name]
	if len(values) == 0 {
		return ""
	}
	return values[len(values)-1]
}

// typedText is what was typed with the line ends that everything else uses.
func typedText(s string) string { return strings.ReplaceAll(text(s, maxText), "\r\n", "\n") }

// check makes the request, and finds everything that is wrong with it. A field that could not be set has one message,
// its own.
func (d *draft) check() {
	d.errs, d.warns, d.broken, d.request = nil, nil, false, trainconf.Request{}
	off := d.typed[inputDiLoCo] == "off"
	for _, f := range formFields() {
		if off && f.Section == inputDiLoCo {
			continue
		}
		d.fail(d.request.Set(f.Path, d.typed[f.Path]))
	}
	checked := d.request
	if d.typed[inputDiLoCo] == "on" && !d.request.Config.DiLoCo() && !d.wrong(innerSteps) {
		// Switched on, and nothing set: the table is in use all the same, which its first default says without a change.
		d.broken = true
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
func (d *draft) fail(err error) {
	var fe run.FieldError
	if errors.As(err, &fe) {
		d.broken = true
		d.errs = append(d.errs, fe)
	}
}

func (d *draft) wrong(field string) bool {
	return slices.ContainsFunc(d.errs, func(e run.FieldError) bool { return e.Field == field })
}

// submission is what control gets. The key of the page makes a second click return the first one's run; with the
// content in it, going back and changing something makes a new run.
func (d *draft) submission(pageKey string) run.Submission {
	sub := d.request.Submission()
	sub.Origin, sub.Preset = d.origin, d.preset
	if pageKey != "" {
		content, _ := json.Marshal(sub) // strings and numbers
		sum := sha256.Sum256(content)
		sub.Key = pageKey + "-" + hex.EncodeToString(sum[:8])
	}
	return sub
}

// Kinds of origin, as the form and its address name them.
const (
	fromPreset   = "preset"
	fromTemplate = "template"
	fromClone    = "clone"
)

// readOrigin reads the hidden input that says where the form was filled from. It is history, so what no page of ours
// has written is no origin rather than an error.
func readOrigin(value string) (origin run.Origin, preset string) {
	kind, name, _ := strings.Cut(value, ":")
	switch kind {
	case fromPreset:
		if p, ok := trainconf.PresetByName(name); ok {
			return run.Origin{Template: p.Name}, p.Name
		}
	case fromTemplate:
		if _, version, ok := run.ParseTemplateRef(name); ok && version > 0 {
			return run.Origin{Template: name}, ""
		}
	case fromClone:
		if id, err := run.ParseID(name); err == nil {
			return run.Origin{Clone: id}, ""
		}
	}
	return run.Origin{}, ""
}

// originText is the hidden input's value for the form's origin.
func (d *draft) originText() string {
	switch {
	case d.preset != "":
		return fromPreset + ":" + d.preset
	case d.origin.Clone != "":
		return fromClone + ":" + string(d.origin.Clone)
	case d.origin.Template != "":
		return fromTemplate + ":" + d.origin.Template
	}
	return ""
}
