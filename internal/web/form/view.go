package form

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/measure"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/form"
	"github.com/cotrain/cotrain/views/ui"
)

// Sources of completions.
const completeStorage = "storage"

// storagePaths are the fields with folders of shared storage.
var storagePaths = [...]string{
	"data.dataset_name_or_paths", "data.val_dataset_name_or_paths", "ckpt.path", "ckpt.resume", "ckpt.data_path", "train.memory_profiler.snapshot_dir",
}

// formContext is what the page needs beside the form.
type formContext struct {
	source    *Subject // nil for the core's defaults, or if gone
	templates []run.Template
	models    []string // of the cluster
	sites     []string
	secrets   []run.Secret // that its project may use

	mayRegister bool // other secrets
	project     ui.Field
	measured    *measure.Matrix // of the network between nodes, nil for none
	now         time.Time
}

// contextOf reads the page's context; a missing source is nil.
func (p *Pages) contextOf(ctx context.Context, d *Draft) formContext {
	var c formContext
	if ref := d.ref(); ref != "" {
		if sub, err := p.Find(ctx, inputOrigin, ref); err == nil {
			c.source = &sub
		}
	}
	c.secrets, c.mayRegister = p.Usable(ctx, d.project), access.From(ctx).May(access.SecretsManage, "")
	p.judge(ctx, d)
	c.now = p.Now()
	if known, err := p.Survey.Measured(ctx); err == nil { // who may not see the cluster has no numbers of it
		c.measured = known.Matrix
	}
	return c
}

// view returns the form's model, without errors of hidden fields.
func (d *Draft) view(c formContext, hidden map[string]bool) view.Form {
	f := view.Form{Preset: d.presetField(c), Origin: d.ref(), Project: c.project, Plan: d.plan(c)}
	if c.source != nil {
		f.Source = "From " + c.source.Title + "."
	}
	for _, sec := range trainconf.Sections() {
		f.Sections = append(f.Sections, d.section(sec, c))
	}
	fields := map[string]*ui.Field{inputPreset: &f.Preset}
	if len(f.Project.Choices) > 0 {
		fields[page.InputProject] = &f.Project
	}
	for g := range f.Sections {
		for i := range f.Sections[g].Fields {
			fields[f.Sections[g].Fields[i].Name] = &f.Sections[g].Fields[i]
		}
	}
	for _, e := range d.errs {
		field, ok := fields[e.Field]
		switch {
		case !ok:
			f.General = append(f.General, Labelled(e))
		case !hidden[e.Field] && field.Error == "":
			field.Error = Sentence(e)
		}
	}
	for _, e := range d.warns {
		if field, ok := fields[e.Field]; ok && field.Warning == "" {
			field.Warning = Sentence(e)
		} else {
			f.Plan.Warnings = append(f.Plan.Warnings, Labelled(e))
		}
	}
	f.Plan.Warnings = append(f.Plan.Warnings, f.General...)
	return f
}

// section returns one group of fields.
func (d *Draft) section(sec trainconf.Section, c formContext) view.Section {
	out := view.Section{Key: sec.Key, Title: sec.Title}
	for _, f := range formFields() {
		if f.Section == sec.Key {
			out.Fields = append(out.Fields, d.field(f, c))
		}
	}
	out.Fields = slices.DeleteFunc(out.Fields, func(f ui.Field) bool { // nothing to tick, and nobody to register anything
		return f.Kind == ui.KindTicks && len(f.Choices) == 0 && f.None.Value == ""
	})
	if sec.Key == inputDiLoCo {
		on := d.typed[inputDiLoCo] == "on" || d.typed[inputDiLoCo] == "" && d.Request.Config.DiLoCo()
		value := ""
		if on {
			value = "true"
		}
		out.Switch = &ui.Field{Name: inputDiLoCo, Label: "Train with DiLoCo", Kind: ui.KindCheckbox, Value: value, On: "on", Off: "off"}
	}
	return out
}

// field returns one field's input.
func (d *Draft) field(spec trainconf.Field, c formContext) ui.Field {
	f := ui.Field{
		Name: spec.Path, Label: spec.Label, Help: spec.Help, Unit: spec.Unit, Kind: ui.KindText, Value: d.typed[spec.Path],
		MaxBytes: maxText, Basic: spec.Basic, Required: spec.Required && spec.Table() == "" || spec.Path == innerSteps, Mark: d.mark(spec, c),
	}
	standard := d.Request.Default(spec.Path)
	if standard != "" {
		f.Default = withUnit(standard, spec.Unit)
		f.Hint = standard
	} else {
		f.Hint = spec.Placeholder
	}
	switch spec.Type {
	case trainconf.Int, trainconf.Float:
		f.Kind = ui.KindNumber
	case trainconf.Lines, trainconf.Text:
		f.Kind = ui.KindLines
	case trainconf.Bool:
		f.Kind, f.On, f.Off = ui.KindCheckbox, "true", ""
		if standard == "true" {
			f.On, f.Off = "", "false"
		}
		if f.Value == "" {
			f.Value = standard
		}
	case trainconf.Choice:
		f.Kind, f.Choices = ui.KindSelect, choices(spec, standard)
		if f.Value == standard {
			f.Value = ""
		}
	}
	if spec.Secret {
		f.Kind = ui.KindSecret
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
	case run.SecretsField:
		f.Kind, f.Choices, f.Hint = ui.KindTicks, tickable(f.Value, c.secrets), ""
		if c.mayRegister {
			f.None = ui.Choice{Value: "/admin/secrets", Label: "Register one"}
		}
		f.Basic = len(f.Choices) > 0
	case trainconf.FieldRetry:
		f.Kind, f.Hint = ui.KindTable, ""
		f.Columns, f.Rows = []string{"Cause", "Retries", "Wait", "Next attempt"}, retryRows(f.Value)
	}
	return f
}

// tickable are the secrets that can be ticked, and those that are and cannot be had.
func tickable(value string, usable []run.Secret) []ui.Choice {
	var out []ui.Choice
	for _, s := range usable {
		c := ui.Choice{Value: s.Name, Label: s.Name, Note: s.Note}
		if s.Env != s.Name {
			c.Note = strings.TrimPrefix(c.Note+" · as "+cmp.Or(s.Env, "a variable for each field"), " · ")
		}
		out = append(out, c)
	}
	for name := range strings.SplitSeq(value, ",") {
		if name != "" && !slices.ContainsFunc(usable, func(s run.Secret) bool { return s.Name == name }) {
			out = append(out, ui.Choice{Value: name, Label: name, Note: "not available here"})
		}
	}
	return out
}

// choices of a select; choosing the default sets nothing.
func choices(spec trainconf.Field, standard string) []ui.Choice {
	var out []ui.Choice
	for _, v := range spec.Choices {
		if v == standard {
			out = append(out, ui.Choice{Value: "", Label: v, Real: v})
			continue
		}
		out = append(out, ui.Choice{Value: v, Label: v, Real: v})
	}
	return out
}

// mark tells a field's difference from the form's source, else from the core's default.
func (d *Draft) mark(spec trainconf.Field, c formContext) ui.ChangeMark {
	if spec.Path == InputName || spec.Path == "description" {
		return ui.ChangeMark{}
	}
	value := d.Request.Value(spec.Path)
	if c.source != nil {
		if from := c.source.Request.Value(spec.Path); from != value {
			return ui.ChangeMark{Text: "changed from " + c.source.Title, From: orUnset(from), Reset: c.source.Request.Get(spec.Path), Source: true}
		}
	}
	if standard := d.Request.Default(spec.Path); standard != value {
		return ui.ChangeMark{Text: "changed", From: orUnset(standard)}
	}
	return ui.ChangeMark{}
}

func orUnset(value string) string { return page.Text(cmp.Or(value, "not set"), 80) }

// presetField selects the form's source.
func (d *Draft) presetField(c formContext) ui.Field {
	f := ui.Field{
		Name: inputPreset, Label: "Start from", Kind: ui.KindSelect, Value: d.preset,
		Help:    "Replaces all values below except the name.",
		Choices: []ui.Choice{{Value: "", Label: "CotrainCore defaults"}},
	}
	if d.preset == "" && d.origin.Template != "" {
		f.Value = "template:" + d.origin.Template
	}
	group := ui.ChoiceGroup{Title: "Built-in presets"}
	for _, p := range trainconf.Presets() {
		group.Choices = append(group.Choices, ui.Choice{Value: p.Name, Label: p.Title})
		if p.Name == d.preset {
			f.Help = p.Description + " " + f.Help
		}
	}
	f.Groups = append(f.Groups, group)
	own, found := ui.ChoiceGroup{Title: "Your templates"}, d.preset != "" || f.Value == ""
	for _, t := range c.templates {
		ref := "template:" + t.FullRef()
		found = found || ref == f.Value
		own.Choices = append(own.Choices, ui.Choice{Value: ref, Label: t.Where().Label()})
	}
	if !found { // an older or deleted version
		own.Choices = append(own.Choices, ui.Choice{Value: f.Value, Label: labelOf(d.origin.Template)})
	}
	if len(own.Choices) > 0 {
		f.Groups = append(f.Groups, own)
	}
	return f
}

// labelOf is a reference to a template as people read it.
func labelOf(ref string) string {
	named, _ := run.ParseTemplateRef(ref)
	return named.Label()
}

// withUnit formats "1 worker", "512 samples".
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

// Usable are the secrets that runs of a project may use; none where they cannot be read.
func (p *Pages) Usable(ctx context.Context, project string) []run.Secret {
	project = cmp.Or(project, access.DefaultProject)
	if !access.From(ctx).May(access.SecretsRead, project) {
		return nil
	}
	all, err := p.Secrets.Secrets(ctx, project)
	if err != nil {
		p.Logger.WarnContext(ctx, "list secrets for a form", "err", err)
	}
	return all
}

// judge adds what the project and shared storage make of the form. Fields with errors keep them.
func (p *Pages) judge(ctx context.Context, d *Draft) {
	errs, warns := p.Control.Check(ctx)(d.Submission(""))
	for _, e := range errs {
		if !d.wrong(e.Field) {
			d.errs = append(d.errs, e)
		}
	}
	d.warns = append(d.warns, warns...)
}
