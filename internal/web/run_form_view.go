package web

import (
	"context"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/views"
)

// Places that a field of the form may complete from.
const completeStorage = "storage"

// storagePaths are the fields that hold folders of shared storage.
var storagePaths = [...]string{
	"data.dataset_name_or_paths", "data.val_dataset_name_or_paths", "ckpt.path", "ckpt.resume", "ckpt.data_path", "train.memory_profiler.snapshot_dir",
}

// formContext is what the page knows beside the form.
type formContext struct {
	source    *subject // where it was filled from; nil for the core's defaults, or when that is gone
	templates []run.Template
	models    []string // GPU models and sites that the cluster has
	sites     []string
}

// contextOf reads what a page needs. A source that is gone is none.
func (s *Server) contextOf(ctx context.Context, d *draft) formContext {
	var c formContext
	if ref := d.originRef(); ref != "" {
		if sub, err := s.subjectOf(ctx, inputOrigin, ref); err == nil {
			c.source = &sub
		}
	}
	s.see(ctx, d)
	return c
}

// originRef is the form's origin as [Server.subjectOf] reads it.
func (d *draft) originRef() string {
	kind, name, _ := strings.Cut(d.originText(), ":")
	switch kind {
	case fromClone:
		return "run:" + name
	case fromPreset, fromTemplate:
		return kind + ":" + name
	}
	return ""
}

// view makes the form's model. Mistakes of the fields in hidden are left out.
func (d *draft) view(c formContext, hidden map[string]bool) views.RunForm {
	f := views.RunForm{Preset: d.presetField(c), Origin: d.originText(), Plan: d.plan()}
	if c.source != nil {
		f.Source = "From " + c.source.title + "."
	}
	for _, sec := range trainconf.Sections() {
		f.Sections = append(f.Sections, d.section(sec, c))
	}
	fields := map[string]*views.Field{inputPreset: &f.Preset}
	for g := range f.Sections {
		for i := range f.Sections[g].Fields {
			fields[f.Sections[g].Fields[i].Name] = &f.Sections[g].Fields[i]
		}
	}
	for _, e := range d.errs {
		field, ok := fields[e.Field]
		switch {
		case !ok:
			f.General = append(f.General, labelled(e))
		case !hidden[e.Field] && field.Error == "":
			field.Error = sentences(e)
		}
	}
	for _, e := range d.warns {
		if field, ok := fields[e.Field]; ok && field.Warning == "" {
			field.Warning = sentences(e)
		} else {
			f.Plan.Warnings = append(f.Plan.Warnings, labelled(e))
		}
	}
	f.Plan.Warnings = append(f.Plan.Warnings, f.General...)
	return f
}

// section makes one group of fields. The DiLoCo table as a whole has a switch.
func (d *draft) section(sec trainconf.Section, c formContext) views.FormSection {
	out := views.FormSection{Key: sec.Key, Title: sec.Title}
	for _, f := range formFields() {
		if f.Section == sec.Key {
			out.Fields = append(out.Fields, d.field(f, c))
		}
	}
	if sec.Key == inputDiLoCo {
		on := d.typed[inputDiLoCo] == "on" || d.typed[inputDiLoCo] == "" && d.request.Config.DiLoCo()
		value := ""
		if on {
			value = "true"
		}
		out.Switch = &views.Field{Name: inputDiLoCo, Label: "Train with DiLoCo", Kind: views.KindCheckbox, Value: value, On: "on", Off: "off"}
	}
	return out
}

// field makes the input of one field from its description.
func (d *draft) field(spec trainconf.Field, c formContext) views.Field {
	f := views.Field{
		Name: spec.Path, Label: spec.Label, Help: spec.Help, Unit: spec.Unit, Kind: views.KindText, Value: d.typed[spec.Path],
		MaxBytes: maxText, Basic: spec.Basic, Required: spec.Required && spec.Table() == "" || spec.Path == innerSteps, Mark: d.mark(spec, c),
	}
	standard := d.request.Default(spec.Path)
	if standard != "" {
		f.Default = withUnit(standard, spec.Unit)
		f.Hint = standard
	} else {
		f.Hint = spec.Placeholder
	}
	switch spec.Type {
	case trainconf.Int, trainconf.Float:
		f.Kind = views.KindNumber
	case trainconf.Lines, trainconf.Text:
		f.Kind = views.KindLines
	case trainconf.Bool:
		f.Kind, f.On, f.Off = views.KindCheckbox, "true", ""
		if standard == "true" {
			f.On, f.Off = "", "false"
		}
		if f.Value == "" {
			f.Value = standard
		}
	case trainconf.Choice:
		f.Kind, f.Choices = views.KindSelect, choices(spec, standard)
		if f.Value == standard {
			f.Value = ""
		}
	}
	if spec.Secret {
		f.Kind = views.KindSecret
	}
	for _, path := range storagePaths {
		if path == spec.Path {
			f.Complete = completeStorage
		}
	}
	switch spec.Path {
	case "gpu_model":
		f.Suggest = c.models
	case "site":
		f.Suggest = c.sites
	}
	return f
}

// choices are those of a select; the default is the one that sets nothing.
func choices(spec trainconf.Field, standard string) []views.Choice {
	var out []views.Choice
	for _, v := range spec.Choices {
		if v == standard {
			out = append(out, views.Choice{Value: "", Label: v, Real: v})
			continue
		}
		out = append(out, views.Choice{Value: v, Label: v, Real: v})
	}
	return out
}

// mark says whether a field differs from where the form was filled from, or else from the core's default.
func (d *draft) mark(spec trainconf.Field, c formContext) views.ChangeMark {
	if spec.Path == inputName || spec.Path == "description" {
		return views.ChangeMark{}
	}
	value := d.request.Value(spec.Path)
	if c.source != nil {
		if from := c.source.request.Value(spec.Path); from != value {
			return views.ChangeMark{Text: "changed from " + c.source.title, From: orUnset(from), Reset: c.source.request.Get(spec.Path), Source: true}
		}
	}
	if standard := d.request.Default(spec.Path); standard != value {
		return views.ChangeMark{Text: "changed", From: orUnset(standard)}
	}
	return views.ChangeMark{}
}

func orUnset(value string) string {
	if value == "" {
		return "not set"
	}
	return text(value, 80)
}

// presetField chooses what the form is filled from.
func (d *draft) presetField(c formContext) views.Field {
	f := views.Field{
		Name: inputPreset, Label: "Start from", Kind: views.KindSelect, Value: d.preset,
		Help:    "Fills in every setting; the name that you typed stays.",
		Choices: []views.Choice{{Value: "", Label: "CotrainCore's own defaults"}},
	}
	if d.preset == "" && d.origin.Template != "" {
		f.Value = fromTemplate + ":" + d.origin.Template
	}
	group := views.ChoiceGroup{Title: "Built-in presets"}
	for _, p := range trainconf.Presets() {
		group.Choices = append(group.Choices, views.Choice{Value: p.Name, Label: p.Title})
		if p.Name == d.preset {
			f.Help = p.Description + " " + f.Help
		}
	}
	f.Groups = append(f.Groups, group)
	own, found := views.ChoiceGroup{Title: "Your templates"}, d.preset != "" || f.Value == ""
	for _, t := range c.templates {
		ref := fromTemplate + ":" + t.Ref()
		found = found || ref == f.Value
		own.Choices = append(own.Choices, views.Choice{Value: ref, Label: t.Ref()})
	}
	if !found { // an older version, or one that is gone
		own.Choices = append(own.Choices, views.Choice{Value: f.Value, Label: d.origin.Template})
	}
	if len(own.Choices) > 0 {
		f.Groups = append(f.Groups, own)
	}
	return f
}

// labelled names a field that the form does not have.
func labelled(e run.FieldError) string {
	spec, ok := trainconf.Lookup(e.Field)
	switch {
	case !ok:
		return e.Field + ": " + sentences(e)
	case e.Value == "":
		return spec.Label + " (" + e.Field + "): " + sentences(e)
	}
	return spec.Label + " (" + e.Field + " = " + e.Value + "): " + sentences(e)
}

// sentences is what breaks a rule and what would pass, as a person reads it.
func sentences(e run.FieldError) string {
	out := capital(e.Rule) + "."
	if e.Fix != "" {
		out += " " + capital(e.Fix) + "."
	}
	return out
}

func capital(s string) string {
	s = strings.TrimRight(s, ".")
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[n:]
}

// withUnit is a value and what it counts: 1 worker, 512 samples.
func withUnit(value, unit string) string {
	if value == "1" {
		stem, more := strings.CutSuffix(unit, "sses")
		if more {
			unit = stem + "ss"
		} else {
			unit = strings.TrimSuffix(unit, "s")
		}
	}
	return strings.TrimSpace(value + " " + unit)
}
