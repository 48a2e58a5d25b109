package trainconf

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/run"
)

// TestRules holds, for each rule between fields, a configuration that breaks it and one that does not.
func TestRulesBetweenFields(t *testing.T) {
	t.Parallel()
	diloco := []string{"diloco.inner_steps", "50"}
	for _, tt := range []struct {
		name  string
		gpus  int
		bad   []string // pairs that break the rule
		field string
		rule  string // part of the rule
		fix   string // part of the fix
		warn  bool
		good  []string // pairs set on top of bad that make it pass; "" unsets
	}{
		{name: "inner steps with DiLoCo", bad: []string{"diloco.outer_lr", "0.5"}, field: "diloco.inner_steps", rule: "[diloco]", fix: "use 100",
			good: []string{"diloco.inner_steps", "100"}},
		{name: "snapshot folder with the memory profiler", bad: []string{"train.memory_profiler.freq", "5"}, field: "train.memory_profiler.snapshot_dir",
			rule: "must be set", fix: "logs/memory", good: []string{"train.memory_profiler.snapshot_dir", "x"}},
		{name: "interval of remote checkpoints", bad: []string{"ckpt.path", "a", "ckpt.interval", "5", "ckpt.remote.path", "s3://b"},
			field: "ckpt.remote.interval", rule: "must be set", fix: "use 1000", good: []string{"ckpt.remote.interval", "10"}},
		{name: "path of remote checkpoints", bad: []string{"ckpt.path", "a", "ckpt.interval", "5", "ckpt.remote.interval", "5"},
			field: "ckpt.remote.path", rule: "must be set", fix: "s3://", good: []string{"ckpt.remote.path", "s3://b"}},
		{name: "batch over GPUs", gpus: 8, bad: []string{"optim.batch_size", "500"}, field: "optim.batch_size",
			rule: "multiple of the GPUs per worker (8)", fix: "use 496 or 504", good: []string{"optim.batch_size", "504"}},
		{name: "batch smaller than the GPUs", gpus: 8, bad: []string{"optim.batch_size", "4"}, field: "optim.batch_size",
			rule: "multiple of the GPUs per worker (8)", fix: "use 8", good: []string{"optim.batch_size", "8"}},
		{name: "batch over micro-batch on many GPUs", gpus: 8, bad: []string{"train.micro_bs", "48"}, field: "optim.batch_size",
			rule: "is 64 samples on each of 8 GPUs, which must be a multiple of train.micro_bs (48)", fix: "use 384 or 768, or set train.micro_bs to 32",
			good: []string{"train.micro_bs", "32"}},
		{name: "batch over micro-batch without GPUs", bad: []string{"optim.batch_size", "20", "train.micro_bs", "8"}, field: "optim.batch_size",
			rule: "must be a multiple of train.micro_bs (8)", fix: "use 16 or 24, or set train.micro_bs to 5", good: []string{"optim.batch_size", "24"}},
		{name: "stable steps of wsd-sqrt", bad: []string{"optim.sched_type", "wsd-sqrt", "optim.total_steps", "80000"}, field: "optim.stable_steps",
			rule: "less than optim.total_steps (80000)", fix: "use 79999 or less", good: []string{"optim.stable_steps", "79999"}},
		{name: "warm-up of wsd-sqrt", bad: []string{"optim.sched_type", "wsd-sqrt", "optim.warmup_steps", "80001"}, field: "optim.warmup_steps",
			rule: "at most optim.stable_steps (80000)", fix: "use 80000 or less", good: []string{"optim.warmup_steps", "80000"}},
		{name: "stable steps of other schedules", bad: []string{"optim.total_steps", "1000"}, field: "optim.warmup_steps", warn: true,
			rule: "never reaches its full value", fix: "such as 100", good: []string{"optim.warmup_steps", "999"}},
		{name: "chunks with the fused loss", bad: []string{"train.fused_linear_ce", "true", "optim.num_chunks", "8"}, field: "optim.num_chunks", warn: true,
			rule: "together with train.fused_linear_ce", fix: "remove it", good: []string{"optim.num_chunks", ""}},
		{name: "soap's settings with adam", bad: []string{"optim.optim.precondition_frequency", "10"}, field: "optim.optim.precondition_frequency",
			rule: "soap only", fix: "set optim.optim.type to soap", good: []string{"optim.optim.type", "soap"}},
		{name: "parts of the mix of datasets", bad: []string{"data.dataset_ratio", "55:45"}, field: "data.dataset_ratio",
			rule: "has 2 parts, and must have as many as data.dataset_name_or_paths has datasets (1)", fix: "use 1 ", good: []string{"data.dataset_name_or_paths", "a,b"}},
		{name: "datasets with made-up data", bad: []string{"data.fake", "true", "data.dataset_name_or_paths", "a"}, field: "data.dataset_name_or_paths", warn: true,
			rule: "not read", fix: "remove the datasets", good: []string{"data.dataset_name_or_paths", ""}},
		{name: "debugmodel with real data", bad: []string{"name_model", "debugmodel"}, field: "data.fake", warn: true,
			rule: "debugmodel", fix: "use true", good: []string{"data.fake", "true"}},
		{name: "data rank alone", bad: []string{"data.data_rank", "0"}, field: "data.data_world_size", rule: "go together", fix: "use 3",
			good: []string{"data.data_rank", ""}},
		{name: "data parts alone", bad: []string{"data.data_world_size", "3"}, field: "data.data_rank", rule: "go together", fix: "use 0",
			good: []string{"data.data_world_size", ""}},
		{name: "data rank beyond the parts", bad: []string{"data.data_rank", "3", "data.data_world_size", "3"}, field: "data.data_rank",
			rule: "less than data.data_world_size (3)", fix: "use 0", good: []string{"data.data_rank", "2"}},
		{name: "data rank that is replaced", bad: []string{"data.data_rank", "1", "data.data_world_size", "3"}, field: "data.data_rank", warn: true,
			rule: "is replaced", fix: "remove", good: []string{"data.data_rank", "", "data.data_world_size", ""}},
		{name: "live recovery without DiLoCo", bad: []string{"ckpt.live_recovery_rank_src", "0"}, field: "ckpt.live_recovery_rank_src",
			rule: "needs [diloco]", fix: "set diloco.inner_steps", good: diloco},
		{name: "live recovery from the start", bad: []string{"ckpt.live_recovery_rank_src", "0", "diloco.inner_steps", "50"}, field: "ckpt.live_recovery_rank_src", warn: true,
			rule: "wait for a peer", fix: "remove it", good: []string{"ckpt.live_recovery_rank_src", ""}},
		{name: "steps that end within an outer step", bad: []string{"optim.total_steps", "1010", "diloco.inner_steps", "50"}, field: "optim.total_steps", warn: true,
			rule: "after step 1050", fix: "use 1000 or 1050", good: []string{"optim.total_steps", "1050"}},
		{name: "remote checkpoints without local ones", bad: []string{"ckpt.remote.path", "a", "ckpt.remote.interval", "5"}, field: "ckpt.path",
			rule: "[ckpt.remote]", fix: "models/checkpoints", good: []string{"ckpt.path", "a", "ckpt.interval", "5"}},
		{name: "remote data state without its place", bad: []string{"ckpt.remote_data_load", "true"}, field: "ckpt.remote_data_path",
			rule: "ckpt.remote_data_load is true", fix: "s3://", good: []string{"ckpt.remote_data_path", "s3://b"}},
		{name: "remote data state and a folder", bad: []string{"ckpt.remote_data_load", "true", "ckpt.remote_data_path", "a", "ckpt.data_path", "b"},
			field: "ckpt.data_path", rule: "excludes ckpt.remote_data_load", fix: "remove it", good: []string{"ckpt.data_path", ""}},
		{name: "resuming from the parent of the steps", bad: []string{"ckpt.resume", "/data/run/"}, field: "ckpt.resume",
			rule: "not its parent", fix: "use /data/run/step_100", good: []string{"ckpt.resume", "/data/run/step_100/"}},
		{name: "resuming from a step without a number", bad: []string{"ckpt.resume", "step_latest"}, field: "ckpt.resume",
			rule: "not its parent", fix: "/step_100", good: []string{"ckpt.resume", "step_0"}},
		{name: "keeping the newest checkpoints", bad: []string{"ckpt.topk", "3"}, field: "ckpt.topk", warn: true, rule: "fail at its first save", fix: "remove it",
			good: []string{"ckpt.topk", ""}},
		{name: "checkpoint folder without interval", bad: []string{"ckpt.path", "a", "diloco.inner_steps", "50"}, field: "ckpt.interval",
			rule: "must be set when ckpt.path is", fix: "use 8800", good: []string{"ckpt.interval", "8800"}},
		{name: "checkpoint interval without folder", bad: []string{"ckpt.interval", "50"}, field: "ckpt.path",
			rule: "must be set when ckpt.interval is", fix: "models/checkpoints", good: []string{"ckpt.path", "a"}},
		{name: "checkpoint interval within an outer step", bad: []string{"ckpt.path", "a", "ckpt.interval", "120", "diloco.inner_steps", "50"}, field: "ckpt.interval",
			rule: "multiple of diloco.inner_steps (50)", fix: "use 100 or 150", good: []string{"ckpt.interval", "150"}},
		{name: "checkpoint interval beyond the end", bad: []string{"ckpt.path", "a", "ckpt.interval", "88001"}, field: "ckpt.interval", warn: true,
			rule: "no checkpoint is saved", fix: "use 88000", good: []string{"ckpt.interval", "88000"}},
		{name: "remote interval between checkpoints", bad: []string{"ckpt.path", "a", "ckpt.interval", "100", "ckpt.remote.path", "b", "ckpt.remote.interval", "250"},
			field: "ckpt.remote.interval", warn: true, rule: "multiples of both", fix: "use 200 or 300", good: []string{"ckpt.remote.interval", "300"}},
		{name: "a model that the architecture lacks", bad: []string{"type_model", "llama3"}, field: "type_model", warn: true, rule: "has no 150M", fix: "use llama2",
			good: []string{"name_model", "10B"}},
		{name: "no report at all", bad: []string{"log_level", "ERROR", "metric_logger_type", "dummy"}, field: "log_level", warn: true, rule: "no progress",
			fix: "use INFO", good: []string{"log_level", "INFO"}},
		{name: "a secret in the configuration", bad: []string{"monitor.auth_token", "x"}, field: "monitor.auth_token", rule: "is a secret", fix: "remove it",
			good: []string{"monitor.auth_token", ""}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			shape := run.Shape{Nodes: 3, GPUs: tt.gpus}
			c := with(Config{}, append([]string{"type_model", "llama2"}, tt.bad...)...)
			errs, warns := c.Validate(shape)
			found, others := errs, warns
			if tt.warn {
				found, others = warns, errs
			}
			i := slices.IndexFunc(found, func(f run.FieldError) bool { return f.Field == tt.field && strings.Contains(f.Rule, tt.rule) })
			if i < 0 {
				t.Fatalf("no problem with %s that says %q among\n%v\n%v", tt.field, tt.rule, errs, warns)
			}
			if !strings.Contains(found[i].Fix, tt.fix) {
				t.Errorf("the fix is %q, want %q", found[i].Fix, tt.fix)
			}
			if tt.warn && len(others) > 0 {
				t.Errorf("a warning came with errors: %v", others)
			}
			errs, warns = with(c, tt.good...).Validate(shape)
			for _, f := range append(errs, warns...) {
				if f.Field == tt.field && strings.Contains(f.Rule, tt.rule) {
					t.Errorf("still reported after the fix: %v", f)
				}
			}
			if len(errs) > 0 {
				t.Errorf("errors after the fix: %v", errs)
			}
		})
	}
}

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
