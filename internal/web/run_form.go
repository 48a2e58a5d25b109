package web

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// Names of the form's inputs that are not CotrainCore's; those are named by their TOML path. They are the names that
// trainconf and control use in their errors.
const (
	inputName         = "name"
	inputPreset       = "preset"
	inputDiLoCo       = "diloco"
	inputNodes        = "nodes"
	inputGPUs         = "gpus"
	inputGPUModel     = "gpu_model"
	inputGPUMinMemory = "gpu_min_memory"
	innerSteps        = "diloco.inner_steps"
)

// corePaths are the fields of CotrainCore that the form has. The others come from the preset.
var corePaths = [...]string{
	"name_model", "data.dataset_name_or_paths", "optim.batch_size", "train.micro_bs", "optim.optim.lr", "optim.total_steps",
	innerSteps, "ckpt.path", "ckpt.interval",
}

// otherInputs are the rest of the form.
var otherInputs = [...]string{inputName, inputPreset, inputDiLoCo, inputNodes, inputGPUs, inputGPUModel, inputGPUMinMemory}

// maxInput is how many bytes of one input are read; the longest that passes any rule is 4096.
const maxInput = 4200

// draft is the form as typed, and what it makes.
type draft struct {
	typed  map[string]string
	preset trainconf.Preset
	cfg    trainconf.Config
	shape  run.Shape
	errs   run.FieldErrors
	warns  run.FieldErrors
	// broken is true when some value could not be set, so that the configuration is not what was typed.
	broken bool
}

// draftOfPreset fills the form from a preset; an empty name means the core's own defaults.
func draftOfPreset(name string) (*draft, error) {
	p, err := presetNamed(name)
	if err != nil {
		return nil, err
	}
	d := &draft{typed: map[string]string{inputPreset: p.Name}, preset: p}
	for _, path := range corePaths {
		d.typed[path], _ = p.Config.Get(path)
	}
	if p.Config.DiLoCo() {
		d.typed[inputDiLoCo] = "true"
	}
	d.typed[inputNodes] = strconv.Itoa(p.Shape.Nodes)
	d.typed[inputGPUs] = strconv.Itoa(p.Shape.GPUs)
	d.typed[inputGPUModel] = p.Shape.GPUModel
	if p.Shape.GPUMinMemory > 0 {
		d.typed[inputGPUMinMemory] = strconv.Itoa(p.Shape.GPUMinMemory)
	}
	return d, nil
}

func presetNamed(name string) (trainconf.Preset, error) {
	if name == "" {
		return trainconf.Preset{Shape: run.Shape{Nodes: 1, GPUs: 1}}, nil
	}
	p, ok := trainconf.PresetByName(name)
	if !ok {
		return p, run.FieldErrors{{Field: inputPreset, Value: text(name, 60), Rule: "is not a preset", Fix: "choose one of the list"}}
	}
	return p, nil
}

// draftOfForm reads what was sent.
func draftOfForm(form url.Values) *draft {
	d := &draft{typed: map[string]string{}}
	for _, names := range [][]string{corePaths[:], otherInputs[:]} {
		for _, name := range names {
			d.typed[name] = text(form.Get(name), maxInput)
		}
	}
	var fields run.FieldErrors
	p, err := presetNamed(d.typed[inputPreset])
	if errors.As(err, &fields) {
		d.errs = append(d.errs, fields...)
	}
	d.preset = p
	return d
}

// check makes the configuration and the shape, and finds everything that is wrong with them.
func (d *draft) check() {
	d.cfg = d.preset.Config
	diloco := d.typed[inputDiLoCo] == "true"
	if !diloco {
		d.cfg.UnsetTable("diloco")
	}
	if bad := trainconf.ValidateName(d.typed[inputName]); bad != nil {
		d.errs = append(d.errs, *bad)
	}
	for _, path := range corePaths {
		if path == innerSteps && !diloco {
			continue
		}
		d.set(path)
	}
	if diloco && d.typed[innerSteps] == "" {
		d.broken = true
		d.errs = append(d.errs, run.FieldError{Field: innerSteps, Rule: "must be set when DiLoCo is on", Fix: "use 100, or switch DiLoCo off"})
	}
	d.readShape()
	d.errs = append(d.errs, trainconf.ValidateShape(d.shape)...)
	errs, warns := d.cfg.Validate(d.shape)
	for _, e := range errs {
		if !d.wrong(e.Field) { // a field that could not be set has its own message
			d.errs = append(d.errs, e)
		}
	}
	d.warns = warns
}

func (d *draft) set(path string) {
	err := d.cfg.Set(path, d.typed[path])
	var fe run.FieldError
	if err != nil && errors.As(err, &fe) {
		d.broken = true
		d.errs = append(d.errs, fe)
	}
}

// readShape reads whole numbers. What is not one is an error, and stands as the smallest that passes, so that the same
// field gets no second message.
func (d *draft) readShape() {
	read := func(name string, empty, low int) int {
		v := strings.ReplaceAll(d.typed[name], "_", "")
		if v == "" {
			return empty
		}
		n, err := strconv.Atoi(v)
		if err != nil {
			d.broken = true
			d.errs = append(d.errs, run.FieldError{Field: name, Value: text(v, 200), Rule: "must be a whole number", Fix: "use " + strconv.Itoa(max(low, empty))})
			return low
		}
		return n
	}
	d.shape = run.Shape{
		Nodes: read(inputNodes, 1, 1), GPUs: read(inputGPUs, 0, 0), GPUModel: d.typed[inputGPUModel],
		GPUMinMemory: read(inputGPUMinMemory, 0, 0), CPU: d.preset.Shape.CPU, Memory: d.preset.Shape.Memory,
	}
}

func (d *draft) wrong(field string) bool {
	return slices.ContainsFunc(d.errs, func(e run.FieldError) bool { return e.Field == field })
}

// submission is what control gets. The key of the page makes a second click return the first one's run; with the
// content in it, going back and changing something makes a new run.
func (d *draft) submission(pageKey string) run.Submission {
	sub := run.Submission{Name: strings.TrimSpace(d.typed[inputName]), Preset: d.preset.Name, Config: string(d.cfg.TOML()), Shape: d.shape}
	if pageKey != "" {
		sum := sha256.Sum256([]byte(sub.Name + "\x00" + sub.Config + "\x00" + sub.Shape.Hash()))
		sub.Key = pageKey + "-" + hex.EncodeToString(sum[:8])
	}
	return sub
}
