package trainconf

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cotrain/cotrain/internal/run"
)

func TestPlanSaysWhatARunWillDo(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		cfg   Config
		shape run.Shape
		want  Plan
	}{
		{"the defaults on one node without GPUs", with(Config{}, "type_model", "llama2"), run.Shape{Nodes: 1},
			Plan{StepsAsked: 88000, StepsTotal: 88000, TokensPerStep: 1024 * 512, TokensTotal: 1024 * 512 * 88000, SamplesPerGPU: 512, GradAccum: 512,
				Parameters: 219702272}},
		{"DiLoCo rounded up, with checkpoints", with(debugConfig(), "diloco.inner_steps", "5", "ckpt.path", "a", "ckpt.interval", "5"), run.Shape{Nodes: 3, GPUs: 2},
			Plan{StepsAsked: 4, StepsTotal: 5, InnerSteps: 5, OuterSteps: 1, TokensPerStep: 1024 * 16 * 3, TokensTotal: 1024 * 16 * 3 * 5, SamplesPerGPU: 8, GradAccum: 1,
				Checkpoints: 1, Parameters: 2229504, SyncBytes: 4 * 2229504}},
		{"one byte a parameter", with(debugConfig(), "diloco.inner_steps", "2", "diloco.compression", "uint8"), run.Shape{Nodes: 1},
			Plan{StepsAsked: 4, StepsTotal: 4, InnerSteps: 2, OuterSteps: 2, TokensPerStep: 1024 * 16, TokensTotal: 1024 * 16 * 4, SamplesPerGPU: 16, GradAccum: 2,
				Parameters: 2229504, SyncBytes: 2229504}},
		{"an interval without a folder saves nothing", with(debugConfig(), "ckpt.interval", "1"), run.Shape{Nodes: 1},
			Plan{StepsAsked: 4, StepsTotal: 4, TokensPerStep: 1024 * 16, TokensTotal: 1024 * 16 * 4, SamplesPerGPU: 16, GradAccum: 2, Parameters: 2229504}},
	} {
		if diff := cmp.Diff(tt.want, tt.cfg.Plan(tt.shape)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestPlanStopsAtTheGreatestNumber(t *testing.T) {
	t.Parallel()
	p := with(Config{}, "optim.total_steps", "1000000000000000", "optim.batch_size", "100000000").Plan(run.Shape{Nodes: 1024})
	if p.TokensTotal != math.MaxInt64 || p.StepsTotal != 1e15 {
		t.Errorf("got %+v", p)
	}
}

func TestParameterCountsMatchPublishedModels(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, family string
		want         int64 // embeddings included
		nominal      bool
	}{
		{"7B", "llama2", 6738415616, false},   // Llama 2 7B as published by Meta
		{"13B", "llama2", 13015864320, false}, // Llama 2 13B
		{"70B", "llama3", 70553706496, false}, // Llama 3 70B
		{"10B", "llama3", 10211381248, false}, // INTELLECT-1
		{"70M", "llama2", nominal70M, true},
		{"150M", "llama3", 416834560, true},
	} {
		got := with(Config{}, "name_model", tt.name, "type_model", tt.family).Plan(run.Shape{Nodes: 1})
		if got.Parameters != tt.want || got.ParametersNominal != tt.nominal {
			t.Errorf("%s %s: %d, %v, want %d, %v", tt.family, tt.name, got.Parameters, got.ParametersNominal, tt.want, tt.nominal)
		}
	}
	for _, name := range schema[0].Choices {
		if p := with(Config{}, "name_model", name).Plan(run.Shape{Nodes: 1}); p.Parameters <= 0 {
			t.Errorf("%s has no parameters", name)
		}
	}
}

func TestPresetsAreValidForTheirShape(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, p := range Presets() {
		if seen[p.Name] || p.Title == "" || p.Description == "" {
			t.Errorf("preset %q is a duplicate or lacks text", p.Name)
		}
		seen[p.Name] = true
		if errs := ValidateShape(p.Shape); len(errs) > 0 {
			t.Errorf("%s: %v", p.Name, errs)
		}
		if back, err := Parse(p.Config.TOML()); err != nil || back != p.Config {
			t.Errorf("%s does not survive its own TOML: %v", p.Name, err)
		}
		if found, ok := PresetByName(" " + strings.ToUpper(p.Name)); !ok || found.Name != p.Name {
			t.Errorf("%s is not found by name", p.Name)
		}
	}
	for _, name := range []string{"debug", "debug-diloco", "70M", "150M-h100", "150M-a40", "150M-3090", "150M-h100-short", "1B", "7B", "7B-diloco", "10B-diloco", "13B"} {
		if !seen[name] {
			t.Errorf("preset %s is missing", name)
		}
	}
	if _, ok := PresetByName("405B"); ok {
		t.Error("a preset that does not exist was found")
	}
}

func TestTheSampleRunIsSmallAndCompletelyValid(t *testing.T) {
	t.Parallel()
	name, cfg, shape := Sample()
	if f := ValidateName(name); f != nil {
		t.Error(f)
	}
	errs, warns := cfg.Validate(shape)
	if len(errs)+len(warns)+len(ValidateShape(shape)) > 0 {
		t.Errorf("%v\n%v", errs, warns)
	}
	if p := cfg.Plan(shape); p.StepsTotal != 300 || p.OuterSteps != 15 || shape.Nodes != 3 || shape.GPUs != 0 || p.TokensPerStep != 64*64*3 {
		t.Errorf("the sample run is %+v on %v", p, shape)
	}
}
