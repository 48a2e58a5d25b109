package trainconf

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/run"
)

func TestAnEmptyConfigurationHasNoErrors(t *testing.T) {
	t.Parallel()
	for _, shape := range []run.Shape{{}, {Nodes: 1}, {Nodes: 4, GPUs: 8}} {
		if errs, _ := (Config{}).Validate(shape); len(errs) > 0 {
			t.Errorf("%+v: %v", shape, errs)
		}
	}
}

func TestAConfigurationThatNomadWouldRefuseIsTooLong(t *testing.T) {
	t.Parallel()
	c := Config{}
	for _, path := range []string{"run_id", "run_name", "project"} {
		c = with(c, path, strings.Repeat("x", maxText))
	}
	if errs, _ := c.Validate(run.Shape{Nodes: 1}); len(errs) > 0 {
		t.Errorf("%d bytes: %v", len(c.TOML()), errs)
	}
	c = with(c, "ckpt.data_path", strings.Repeat("x", maxText))
	errs, _ := c.Validate(run.Shape{Nodes: 1})
	if len(errs) != 1 || errs[0].Field != FieldConfig || errs[0].Value != fmt.Sprintf("%d bytes", len(c.TOML())) || !strings.Contains(errs[0].Rule, "16384") {
		t.Errorf("got %v", errs)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, rule string }{
		{"first try", ""},
		{"  trimmed  ", ""},
		{strings.Repeat("é", 100), ""},
		{"تجربة أولى", ""},
		{"👩‍🚀 run", ""},
		{`<script>alert("x")</script>`, ""},
		{"right\u200fleft marks", ""},
		{"", "must not be empty"},
		{" \t ", "must not be empty"},
		{"\u200b\u200d", "must not be empty"},
		{strings.Repeat("x", 101), "101 characters"},
		{strings.Repeat("x", 1000), "1000 characters"},
		{"two\nlines", "line breaks"},
		{"nul\x00", "line breaks"},
		{"\x1b[31mred", "line breaks"},
		{"del\x7f", "line breaks"},
		{"a\u202eb", "direction"},
		{"a\u2066b", "direction"},
		{"a\u2028b", "line breaks"},
		{"bad\xff", "UTF-8"},
	} {
		f := ValidateName(tt.name)
		switch {
		case tt.rule == "" && f != nil:
			t.Errorf("%q is refused: %v", tt.name, f)
		case tt.rule != "" && (f == nil || f.Field != "name" || f.Fix == "" || !strings.Contains(f.Rule, tt.rule) || len(f.Value) > 200):
			t.Errorf("%.30q: got %v, want a rule with %q", tt.name, f, tt.rule)
		}
	}
}

func TestANameThatIsNotTextIsOfferedWithoutWhatIsNot(t *testing.T) {
	t.Parallel()
	for name, fix := range map[string]string{"caf\xe9 1": `use "caf 1"`, "\xff ": "type it again"} {
		if f := ValidateName(name); f == nil || f.Fix != fix {
			t.Errorf("%q: %v", name, f)
		}
	}
}

func TestShapes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		shape  run.Shape
		fields string // those that are wrong
	}{
		{run.Shape{Nodes: 1}, ""},
		{run.Shape{Nodes: 1024, GPUs: 64, GPUModel: "NVIDIA H100 80GB HBM3", GPUMinMemory: 1048576, CPU: 4000, Memory: 10}, ""},
		{run.Shape{Nodes: 1, GPUs: 1, GPUModel: "nvidia/gpu/A100-SXM4_80.1"}, ""},
		{run.Shape{}, "nodes"},
		{run.Shape{Nodes: -1, GPUs: -1, CPU: -1, Memory: -1, GPUMinMemory: -1}, "nodes gpus gpu_min_memory cpu memory"},
		{run.Shape{Nodes: 1025, GPUs: 65, GPUMinMemory: 1048577, CPU: MaxCPU + 1, Memory: MaxMemory + 1}, "nodes gpus gpu_min_memory cpu memory"},
		{run.Shape{Nodes: 1, GPUModel: "A100", GPUMinMemory: 1}, "gpu_model gpu_min_memory"},
		{run.Shape{Nodes: 1, GPUs: 1, GPUModel: "A100; rm -rf"}, "gpu_model"},
		{run.Shape{Nodes: 1, GPUs: 1, GPUModel: "${meta}"}, "gpu_model"},
		{run.Shape{Nodes: 1, GPUs: 1, GPUModel: "É"}, "gpu_model"},
		{run.Shape{Nodes: 1, GPUs: 1, GPUModel: " A100"}, "gpu_model"},
		{run.Shape{Nodes: 1, GPUs: 1, GPUModel: strings.Repeat("A", 101)}, "gpu_model"},
		{run.Shape{Nodes: 1, Memory: 9}, "memory"},
	} {
		var got []string
		for _, f := range ValidateShape(tt.shape) {
			got = append(got, f.Field)
			if f.Fix == "" || f.Rule == "" {
				t.Errorf("%+v lacks a rule or a fix", f)
			}
		}
		if strings.Join(got, " ") != tt.fields {
			t.Errorf("%+v: wrong fields are %q, want %q", tt.shape, got, tt.fields)
		}
	}
}
