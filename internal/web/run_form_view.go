package web

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/views"
)

// view makes the form's model. Mistakes of the fields in hidden are left out.
func (d *draft) view(hidden map[string]bool) views.RunForm {
	f := views.RunForm{Name: d.nameField(), Preset: d.presetField(), Groups: d.groups(), Preview: d.preview()}
	fields := map[string]*views.Field{inputName: &f.Name, inputPreset: &f.Preset}
	for g := range f.Groups {
		for i := range f.Groups[g].Fields {
			fields[f.Groups[g].Fields[i].Name] = &f.Groups[g].Fields[i]
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
			f.Preview.Warnings = append(f.Preview.Warnings, labelled(e))
		}
	}
	f.Preview.Warnings = append(f.Preview.Warnings, f.General...)
	return f
}

// labelled names a field that the form does not have.
func labelled(e run.FieldError) string {
	if spec, ok := trainconf.Lookup(e.Field); ok {
		return spec.Label + " (" + e.Field + " = " + e.Value + "): " + sentences(e)
	}
	return e.Field + ": " + sentences(e)
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

func (d *draft) nameField() views.Field {
	return views.Field{
		Name: inputName, Label: "Name", Kind: "text", Value: d.typed[inputName], Required: true, MaxBytes: maxInput,
		Help: "What you will look for in the list of runs.",
	}
}

func (d *draft) presetField() views.Field {
	f := views.Field{
		Name: inputPreset, Label: "Preset", Kind: "select", Value: d.preset.Name, Required: true,
		Help:    "Fills in everything below, and the settings that this form does not show.",
		Choices: []views.Choice{{Value: "", Label: "CotrainCore's own defaults"}},
	}
	for _, p := range trainconf.Presets() {
		f.Choices = append(f.Choices, views.Choice{Value: p.Name, Label: p.Title})
	}
	if d.preset.Description != "" {
		f.Help = d.preset.Description + " It fills in everything below, and the settings that this form does not show."
	}
	return f
}

func (d *draft) groups() []views.FieldGroup {
	own := func(f views.Field) views.Field {
		f.Value = d.typed[f.Name]
		return f
	}
	return []views.FieldGroup{
		{Key: "model", Title: "Model and data", Fields: []views.Field{d.core("name_model"), d.core("data.dataset_name_or_paths")}},
		{Key: "training", Title: "Training", Fields: []views.Field{
			d.core("optim.batch_size"), d.core("train.micro_bs"), d.core("optim.optim.lr"), d.core("optim.total_steps"),
		}},
		{Key: "diloco", Title: "DiLoCo", Help: "Each worker trains alone for the inner steps, then all workers average what they have learnt.", Fields: []views.Field{
			own(views.Field{Name: inputDiLoCo, Label: "Train with DiLoCo", Kind: "checkbox"}),
			d.core(innerSteps),
		}},
		{Key: "resources", Title: "Nodes and GPUs", Help: "What the cluster must have for the run to start. A run that asks for more waits as pending.", Fields: []views.Field{
			own(views.Field{Name: inputNodes, Label: "Nodes", Kind: "number", Required: true, Hint: "1", Help: "One worker on each."}),
			own(views.Field{Name: inputGPUs, Label: "GPUs per node", Kind: "number", Hint: "0", Help: "0 trains without GPUs."}),
			own(views.Field{Name: inputGPUModel, Label: "GPU model", Kind: "text", Hint: "any", Help: "As the page of nodes names it."}),
			own(views.Field{Name: inputGPUMinMemory, Label: "Memory per GPU", Kind: "number", Unit: "MiB", Hint: "any", Help: "At least this much."}),
		}},
		{Key: "checkpoints", Title: "Checkpoints", Fields: []views.Field{d.core("ckpt.path"), d.core("ckpt.interval")}},
	}
}

// core makes the input of one of CotrainCore's fields from its description.
func (d *draft) core(path string) views.Field {
	spec, _ := trainconf.Lookup(path) // the tests hold every path to exist
	f := views.Field{
		Name: path, Label: spec.Label, Help: spec.Help, Unit: spec.Unit, Kind: "text", Value: d.typed[path], MaxBytes: maxInput,
		Hint: spec.Example(), Required: path == innerSteps,
	}
	switch spec.Type {
	case trainconf.Int, trainconf.Float:
		f.Kind = "number"
	case trainconf.Choice:
		f.Kind, f.Required = "select", true
		if f.Value == "" {
			f.Value = spec.Default
		}
		for _, c := range spec.Choices {
			f.Choices = append(f.Choices, views.Choice{Value: c, Label: c})
		}
	}
	if spec.Default == "" && path != innerSteps {
		f.Hint = ""
	}
	return f
}

// preview works out what the draft would do.
func (d *draft) preview() views.Preview {
	v := views.Preview{TOML: string(d.cfg.TOML())}
	if d.broken {
		v.Problem = "The configuration appears here once every value can be read."
	}
	p := d.cfg.Plan(d.shape)
	add := func(key, label, value, note string) {
		v.Facts = append(v.Facts, views.Fact{Key: key, Label: label, Value: value, Note: note})
	}
	shape := d.shape.String()
	if n := d.shape.TotalGPUs(); n > 0 && d.shape.Nodes > 1 && n < 1<<24 {
		add("shape", "Shape", shape, views.Integer(n)+" GPUs in all")
	} else {
		add("shape", "Shape", shape, "")
	}
	parameters := views.Number(float64(p.Parameters))
	if p.ParametersNominal {
		parameters = "about " + parameters
	}
	add("parameters", "Parameters", parameters, "")
	note := ""
	if p.StepsTotal != p.StepsAsked {
		note = views.Integer(p.StepsAsked) + " asked; DiLoCo ends with a whole outer step"
	}
	add("steps", "Steps", views.Integer(p.StepsTotal), note)
	add("tokens-per-step", "Tokens per step", views.Number(float64(p.TokensPerStep)), "")
	add("tokens-total", "Tokens in all", views.Number(float64(p.TokensTotal)), "")
	add("accumulation", "Gradient accumulation", strconv.FormatInt(p.GradAccum, 10)+" ×", "micro-batches of one GPU in a step")
	if p.InnerSteps > 0 {
		add("outer-steps", "Outer steps", views.Integer(p.OuterSteps), "one every "+views.Integer(p.InnerSteps)+" steps")
		add("sync", "Sync volume", views.Bytes(float64(p.SyncBytes)), "per worker at each outer step")
	}
	if p.Checkpoints > 0 {
		add("checkpoints", "Checkpoints", views.Integer(p.Checkpoints), "")
	}
	return v
}
