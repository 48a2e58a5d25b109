package api

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// submission is a run as a client describes it: a configuration as TOML or the name of a preset, values to set in it,
// and what of the shape differs from the preset's.
type submission struct {
	Name   string            `json:"name,omitempty" doc:"Name of the run, 1 to 100 characters"`
	Config string            `json:"config,omitempty" doc:"CotrainCore TOML, at most 16 KiB. Without set it is used as it is"`
	Preset string            `json:"preset,omitempty" doc:"Name of a preset: the configuration when there is no config, and the shape's defaults"`
	Set    map[string]string `json:"set,omitempty" maxProperties:"200" doc:"Fields of the configuration to set, such as optim.batch_size; an empty value unsets"`
	Shape  *shapeInput       `json:"shape,omitempty" doc:"What is left out is as in the preset, or one node without GPUs"`
}

// shapeInput is a shape of which anything may be left out.
type shapeInput struct {
	Nodes        *int    `json:"nodes,omitempty" doc:"Workers"`
	GPUs         *int    `json:"gpus,omitempty" doc:"Per worker; 0 for none"`
	GPUModel     *string `json:"gpu_model,omitempty" doc:"As the device plugin reports it; empty for any"`
	GPUMinMemory *int    `json:"gpu_min_memory,omitempty" doc:"MiB per GPU; 0 for any"`
	CPU          *int    `json:"cpu,omitempty" doc:"MHz per worker; 0 for the default"`
	Memory       *int    `json:"memory,omitempty" doc:"MiB per worker; 0 for the default"`
}

// draft is a submission put together, with what is wrong so far.
type draft struct {
	run.Submission
	cfg  trainconf.Config
	errs run.FieldErrors
}

// resolve puts configuration and shape together; errs holds what could not be read or set.
func (in submission) resolve() draft {
	d := draft{Submission: run.Submission{Name: in.Name, Config: in.Config, Shape: run.Shape{Nodes: 1}}}
	if in.Preset != "" {
		if p, ok := trainconf.PresetByName(in.Preset); ok {
			d.Preset, d.cfg, d.Shape = p.Name, p.Config, p.Shape
		} else {
			d.fail("preset", in.Preset, "is not a preset", "use one of "+presetNames())
		}
	}
	switch {
	case in.Config != "":
		cfg, err := trainconf.Parse([]byte(in.Config))
		d.cfg = cfg
		d.add("config", err)
	case in.Preset == "":
		d.fail("config", "", "is missing", "send the configuration as TOML, or name a preset")
	}
	for _, path := range slices.Sorted(maps.Keys(in.Set)) {
		d.add(path, d.cfg.Set(path, in.Set[path]))
	}
	if in.Config == "" || len(in.Set) > 0 {
		d.Config = string(d.cfg.TOML())
	}
	in.Shape.apply(&d.Shape)
	return d
}

// apply changes what is given. No GPUs also means no demands on them.
func (in *shapeInput) apply(s *run.Shape) {
	if in == nil {
		return
	}
	if in.GPUs != nil && *in.GPUs == 0 {
		s.GPUModel, s.GPUMinMemory = "", 0
	}
	for field, given := range map[*int]*int{&s.Nodes: in.Nodes, &s.GPUs: in.GPUs, &s.GPUMinMemory: in.GPUMinMemory, &s.CPU: in.CPU, &s.Memory: in.Memory} {
		if given != nil {
			*field = *given
		}
	}
	if in.GPUModel != nil {
		s.GPUModel = *in.GPUModel
	}
}

// check adds everything else that is wrong, and returns warnings. A field gets one message.
func (d *draft) check(named bool) (warns run.FieldErrors) {
	if f := trainconf.ValidateName(d.Name); f != nil && named {
		d.errs = append(d.errs, *f)
	}
	d.errs = append(d.errs, trainconf.ValidateShape(d.Shape)...)
	errs, warns := d.cfg.Validate(d.Shape)
	known := d.errs
	for _, e := range errs {
		if !slices.ContainsFunc(known, func(k run.FieldError) bool { return k.Field == e.Field }) {
			d.errs = append(d.errs, e)
		}
	}
	return warns
}

func (d *draft) fail(field, value, rule, fix string) {
	d.errs = append(d.errs, run.FieldError{Field: clip(field), Value: clip(value), Rule: rule, Fix: fix})
}

// add adds what trainconf says, if anything.
func (d *draft) add(field string, err error) {
	var all run.FieldErrors
	var one run.FieldError
	switch {
	case err == nil:
	case errors.As(err, &all):
		d.errs = append(d.errs, all...)
	case errors.As(err, &one):
		d.errs = append(d.errs, one)
	default:
		d.fail(field, "", "cannot be read", "send CotrainCore's TOML")
	}
}

func presetNames() string {
	var names []string
	for _, p := range trainconf.Presets() {
		names = append(names, p.Name)
	}
	return strings.Join(names, ", ")
}
