package trainconf

import (
	"fmt"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// Preset is a configuration that comes with CoTrain, and a shape that fits it.
type Preset struct {
	Name        string // what --preset takes
	Title       string
	Description string // one or two sentences
	Config      Config
	Shape       run.Shape
}

// GPU memory in MiB to ask for, a little under what nvidia-smi reports (81559, 46068 and 24576), since drivers differ.
const (
	memoryH100 = 80000
	memoryA40  = 45000
	memory3090 = 24000
)

// Presets lists the built-in presets, smallest model first. Their values are CotrainCore's own; where its files leave
// out what a preset needs (folders, the number of workers), the choice is ours. Each validates without errors and warnings for its own shape.
func Presets() []Preset {
	one := func(gpus, memory int) run.Shape { return run.Shape{Nodes: 1, GPUs: gpus, GPUMinMemory: memory} }
	size150 := func(name, gpu, micro string, memory int, short bool) Preset {
		p := Preset{Name: "150M-" + name, Title: "150M on " + gpu, Shape: one(8, memory),
			Description: "150M parameters, 88,000 steps of 512 samples on 8 GPUs.",
			Config:      sized("150M", micro, "512", "4e-4", "train.reshard_after_forward", "false")}
		if short {
			p.Name, p.Title = p.Name+"-short", p.Title+", short"
			p.Description = "150M parameters, 8,192 steps of 512 samples on 8 GPUs: a tenth of the time."
			p.Config = with(p.Config, "optim.total_steps", "8192", "optim.warmup_steps", "500")
		}
		return p
	}
	seven := sized("7B", "1", "1024", "3e-4", "data.seq_length", "2048")
	return []Preset{
		{Name: "debug", Title: "Debug", Shape: one(1, 0), Config: debugConfig(),
			Description: "Four steps of a tiny model on synthetic data: does the core start at all?"},
		{Name: "debug-diloco", Title: "Debug with DiLoCo", Shape: run.Shape{Nodes: 2, GPUs: 1},
			Config:      with(debugConfig(), "optim.total_steps", "5", "diloco.inner_steps", "5"),
			Description: "One outer step of a tiny model on synthetic data: do the workers find each other?"},
		{Name: "70M", Title: "70M on H100", Shape: one(4, memoryH100),
			Config:      sized("70M", "128", "512", "4e-4", "train.reshard_after_forward", "false"),
			Description: "70M parameters, 88,000 steps of 512 samples on 4 GPUs."},
		size150("h100", "H100", "64", memoryH100, false),
		size150("a40", "A40", "32", memoryA40, false),
		size150("3090", "RTX 3090", "16", memory3090, false),
		size150("h100", "H100", "64", memoryH100, true),
		size150("a40", "A40", "32", memoryA40, true),
		size150("3090", "RTX 3090", "16", memory3090, true),
		{Name: "1B", Title: "1B on H100", Shape: one(8, memoryH100),
			Config:      with(sized("1B", "32", "1024", "7e-4"), "optim.total_steps", "8192"),
			Description: "1B parameters, 8,192 steps of 1,024 samples on 8 GPUs."},
		{Name: "7B", Title: "7B on H100", Shape: one(8, memoryH100), Config: seven,
			Description: "7B parameters, 2 million tokens per step on 8 GPUs."},
		{Name: "7B-diloco", Title: "7B with DiLoCo", Shape: run.Shape{Nodes: 4, GPUs: 8, GPUMinMemory: memoryH100, Memory: 80000},
			Config:      with(seven, "diloco.inner_steps", "50", "ckpt.path", "models/checkpoints/{run}", "ckpt.interval", "1000"),
			Description: "7B parameters on 4 workers that sync every 50 steps."},
		{Name: "10B-diloco", Title: "10B with DiLoCo", Shape: run.Shape{Nodes: 8, GPUs: 8, GPUMinMemory: memoryH100, Memory: 120000},
			Config:      tenBillion(),
			Description: "10B parameters on 8 workers that sync every 100 steps, 1 byte per parameter; 5 datasets."},
		{Name: "13B", Title: "13B on H100", Shape: one(8, memoryH100),
			Config:      with(sized("13B", "1", "1024", "3e-4"), "data.seq_length", "2048", "train.ac_ckpt", "true"),
			Description: "13B parameters, 2 million tokens per step on 8 GPUs."},
	}
}

// PresetByName finds a built-in preset; case does not matter.
func PresetByName(name string) (Preset, bool) {
	for _, p := range Presets() {
		if strings.EqualFold(p.Name, strings.TrimSpace(name)) {
			return p, true
		}
	}
	return Preset{}, false
}

// Sample is the run that the empty page offers: three workers without GPUs that learn together with DiLoCo, with the
// reference trainer. It takes about 55 s of processor time: half a minute on two cores, a minute on two of half the speed.
func Sample() (name string, cfg Config, shape run.Shape) {
	cfg = with(debugConfig(), "optim.warmup_steps", "10", "optim.total_steps", "300", "optim.batch_size", "64", "train.micro_bs", "16",
		"diloco.inner_steps", "20", "data.seq_length", "64", "ckpt.path", "models/checkpoints/{run}", "ckpt.interval", "100")
	return "Sample run", cfg, run.Shape{Nodes: 3}
}

// debugConfig follows the core's own, but that its warm-up of 10 steps ends before the 4 steps do.
func debugConfig() Config {
	return with(Config{}, "name_model", "debugmodel", "type_model", "llama2", "data.fake", "true", "train.micro_bs", "8",
		"optim.batch_size", "16", "optim.warmup_steps", "2", "optim.total_steps", "4")
}

// sized is what the core's presets of real models have in common.
func sized(model, micro, batch, lr string, more ...string) Config {
	c := with(Config{}, "name_model", model, "type_model", "llama2", "train.micro_bs", micro, "optim.batch_size", batch,
		"optim.warmup_steps", "1000", "optim.total_steps", "88000", "optim.optim.lr", lr)
	return with(c, more...)
}

// tenBillion follows INTELLECT-1. The number of steps is that of the core's cool-down file: its main file has a
// million million, to be stopped by hand. Its ckpt.topk is left out, since it makes the published core fail.
func tenBillion() Config {
	return with(Config{}, "name_model", "10B", "train.micro_bs", "1", "train.ac_ckpt", "true",
		"optim.sched_type", "wsd-sqrt", "optim.batch_size", "128", "optim.warmup_steps", "1000", "optim.stable_steps", "74700",
		"optim.total_steps", "90400", "optim.z_loss", "true", "optim.optim.lr", "7.5e-5", "data.seq_length", "8192",
		"data.dataset_name_or_paths", "datasets/fineweb-edu,datasets/fineweb,datasets/StackV1-popular,datasets/dclm-baseline-1.0-parquet,datasets/open-web-math",
		"data.dataset_ratio", "55:10:20:10:5", "diloco.inner_steps", "100", "diloco.compression", "uint8",
		"ckpt.path", "models/checkpoints/{run}", "ckpt.interval", "100")
}

// with returns c with fields set from pairs of path and text. It is for constants of this package: a pair that is not
// valid is a mistake in the program, found by the tests, and panics.
func with(c Config, pairs ...string) Config {
	for i := 0; i+1 < len(pairs); i += 2 {
		if err := c.Set(pairs[i], pairs[i+1]); err != nil {
			panic("trainconf: built-in preset: " + err.Error())
		}
	}
	return c
}

// NoPreset is the fault for a preset that does not exist.
func NoPreset(name string) *fault.Error {
	var names []string
	for _, p := range Presets() {
		names = append(names, p.Name)
	}
	advice := "Use one of " + strings.Join(names, ", ") + "."
	if near := Near(name, names); len(near) > 0 {
		advice = "Did you mean " + strings.Join(near, " or ") + "?"
	}
	return fault.New(fault.ErrNoPreset, fmt.Sprintf("No preset is called %q.", fault.Quote(name)), advice)
}
