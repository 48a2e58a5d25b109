package trainconf

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/run"
)

func TestEveryFieldIsDescribedAndItsOwnExamplesPass(t *testing.T) {
	t.Parallel()
	sections := map[string]bool{}
	for _, s := range Sections() {
		sections[s.Key] = true
	}
	seen := map[string]bool{}
	for _, f := range Fields() {
		if seen[f.Path] {
			t.Errorf("%s is in the table twice", f.Path)
		}
		seen[f.Path] = true
		if f.Label == "" || f.Help == "" || !strings.HasSuffix(f.Help, ".") {
			t.Errorf("%s lacks a label, or a help text that ends with a full stop", f.Path)
		}
		if !sections[f.Section] {
			t.Errorf("%s is in section %q, which does not exist", f.Path, f.Section)
		}
		if f.Example() == "" {
			t.Errorf("%s has no default and no placeholder", f.Path)
		}
		for _, text := range append([]string{f.Example()}, f.Choices...) {
			if got, err := f.Check(text); err != nil || got != text {
				t.Errorf("%s: Check(%q) = %q, %v; its own example should be canonical", f.Path, text, got, err)
			}
		}
		if got, ok := Lookup(f.Path); !ok || got.Path != f.Path {
			t.Errorf("Lookup(%q) = %q, %v", f.Path, got.Path, ok)
		}
		if f.Path != strings.TrimPrefix(f.Table()+"."+f.Key(), ".") {
			t.Errorf("%s splits into %q and %q", f.Path, f.Table(), f.Key())
		}
	}
	n := 0
	for _, s := range Sections() {
		n += len(FieldsOf(s.Key))
	}
	if want := len(Fields()) + len(PlacementFields()); n != want || len(AllFields()) != want {
		t.Errorf("the sections show %d of %d fields, and all are %d", n, want, len(AllFields()))
	}
}

func TestTheFieldsOfTheShortFormAreBasic(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"name_model", "data.dataset_name_or_paths", "optim.batch_size", "train.micro_bs", "optim.optim.lr",
		"optim.total_steps", "diloco.inner_steps", "ckpt.path", "ckpt.interval"} {
		if f, ok := Lookup(path); !ok || !f.Basic {
			t.Errorf("%s should be basic", path)
		}
	}
	if f, _ := Lookup("train.reduce_fp32"); f.Basic {
		t.Error("train.reduce_fp32 should be folded")
	}
}

func TestTheTableHoldsTheWholeSchemaOfTheCore(t *testing.T) {
	t.Parallel()
	// The fields of config.py of the core, by table.
	core := map[string]string{
		"":                      "name_model type_model project run_id run_name metric_logger_type wandb_resume log_level log_all_rank",
		"data":                  "dataset_name_or_paths val_dataset_name_or_paths sequence_packing seq_length fake num_workers max_train_samples max_eval_samples dataset_ratio data_rank data_world_size reverse_data_files split_by_data_rank",
		"optim":                 "sched_type warmup_steps stable_steps total_steps batch_size z_loss z_loss_weight num_chunks",
		"optim.optim":           "type lr weight_decay betas1 betas2 max_preconditioner_dim precondition_frequency",
		"diloco":                "outer_lr inner_steps compression retry_all_reduce",
		"train":                 "micro_bs ac_ckpt reshard_after_forward reduce_fp32 log_model_hash torch_profiler torch_compile fused_linear_ce fsdp_cpu_offload attn_fn",
		"train.memory_profiler": "freq snapshot_dir",
		"monitor":               "log_flush_interval base_url auth_token",
		"ckpt":                  "path interval topk remote_data_path remote_data_load resume skip_dataloader live_recovery_rank_src data_path token_count",
		"ckpt.remote":           "path interval",
	}
	n := 0
	for table, keys := range core {
		for key := range strings.FieldsSeq(keys) {
			n++
			if _, ok := Lookup(strings.TrimPrefix(table+"."+key, ".")); !ok {
				t.Errorf("%s.%s is missing", table, key)
			}
		}
	}
	if n != len(Fields()) {
		t.Errorf("the table has %d fields, the core %d", len(Fields()), n)
	}
}

func TestFieldsGivesACopy(t *testing.T) {
	t.Parallel()
	Fields()[0].Path = "broken"
	if Fields()[0].Path != "name_model" {
		t.Error("a caller changed the schema")
	}
}

func TestValuesBecomeCanonical(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ path, text, want string }{
		{"optim.total_steps", "88_000", "88000"},
		{"optim.total_steps", " 1e3 ", "1000"},
		{"optim.total_steps", "88000.0", "88000"},
		{"optim.total_steps", "007", "7"},
		{"optim.optim.lr", "4e-4", "0.0004"},
		{"optim.optim.lr", "7.5e-05", "7.5e-5"},
		{"optim.optim.lr", "1", "1"},
		{"optim.optim.weight_decay", "-0.0", "0"},
		{"data.fake", "on", "true"},
		{"data.fake", "No", "false"},
		{"train.ac_ckpt", "true", "true"},
		{"train.ac_ckpt", "2", "2"},
		{"data.dataset_name_or_paths", " a , b ", "a,b"},
		{"data.dataset_ratio", "55 : 45", "55:45"},
		{"run_name", "  πρώτο 🚀 ", "πρώτο 🚀"},
		{"run_name", "   ", ""},
		{"log_level", "DEBUG", "DEBUG"},
	} {
		var c Config
		if err := c.Set(tt.path, tt.text); err != nil {
			t.Errorf("Set(%q, %q): %v", tt.path, tt.text, err)
			continue
		}
		if got, set := c.Get(tt.path); got != tt.want || set != (tt.want != "") {
			t.Errorf("after Set(%q, %q) Get is %q, %v, want %q", tt.path, tt.text, got, set, tt.want)
		}
	}
}

func TestValuesThatBreakARuleAreRefusedWithOneThatPasses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, path, text, rule, fix string }{
		{"text for a number", "optim.batch_size", "many", "whole number", "use 512"},
		{"a fraction for a whole number", "optim.batch_size", "2.5", "whole number", "use 3"},
		{"below the range", "optim.batch_size", "0", "from 1 to", "use 1"},
		{"above the range", "data.num_workers", "5000", "to 1024", "use 1024"},
		{"beyond 64 bits", "optim.total_steps", "99999999999999999999", "whole number", "use 1000000000000000"},
		{"a misplaced underscore", "optim.total_steps", "1__0", "whole number", "use 88000"},
		{"hexadecimal", "optim.total_steps", "0x10", "whole number", "use 88000"},
		{"not a number", "optim.optim.lr", "NaN", "a number", "use 0.0004"},
		{"infinity", "optim.optim.lr", "inf", "a number", "use 0.0004"},
		{"zero where it must be more", "optim.optim.lr", "0", "more than 0", "use 0.0004"},
		{"one where it must be less", "optim.optim.betas1", "1", "less than 1", "use 0.9"},
		{"an unknown choice near a known one", "optim.sched_type", "Cosine", "one of cosine", "use cosine"},
		{"an unknown choice far from all", "log_level", "loud and clear", "one of NOTSET", "use INFO"},
		{"neither true nor false", "data.fake", "maybe", "true or false", "use false"},
		{"zero layers between checkpoints", "train.ac_ckpt", "0", "true, false, or a whole number", "use 1"},
		{"an empty list item", "data.dataset_name_or_paths", "a,,b", "one is empty", "use a,b"},
		{"a ratio of zero", "data.dataset_ratio", "10:0", "positive numbers", "use 55:45"},
		{"a control character", "run_name", "a\x1bb", "text of at most", "remove them"},
		{"a line break", "ckpt.path", "a\nb", "on one line", "remove them"},
		{"a text direction override", "ckpt.path", "a\u202eb", "on one line", "remove them"},
		{"text that is too long", "ckpt.path", strings.Repeat("x", maxText+1), "has 4097 bytes, and must have at most 4096", "shorten it"},
		{"invalid UTF-8", "ckpt.path", "a\xff", "text of at most", "use models/"},
		{"a near unknown path", "optim.batchsize", "1", "not a setting", "use optim.batch_size"},
		{"a path without its table", "batch_size", "1", "not a setting", "use optim.batch_size"},
		{"a path in the wrong table", "train.batch_size", "1", "not a setting", "use optim.batch_size"},
		{"a path that is far from all", "colour", "red", "not a setting", "remove it"},
		{"a table", "diloco", "true", "is a table", "diloco.outer_lr"},
		{"a very long path", strings.Repeat("x", 100000), "1", "not a setting", "remove it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var c Config
			err := c.Set(tt.path, tt.text)
			var f run.FieldError
			if !errors.As(err, &f) {
				t.Fatalf("Set(%.50q, %.50q) = %v, want a run.FieldError", tt.path, tt.text, err)
			}
			if !strings.Contains(f.Rule, tt.rule) || !strings.Contains(f.Fix, tt.fix) {
				t.Errorf("got rule %q and fix %q, want %q and %q", f.Rule, f.Fix, tt.rule, tt.fix)
			}
			if len(f.Field) > 200 || len(f.Value) > 200 {
				t.Errorf("the error repeats %d and %d bytes", len(f.Field), len(f.Value))
			}
			if c != (Config{}) {
				t.Error("a refused value was stored")
			}
			if fix, ok := strings.CutPrefix(f.Fix, "use "); ok && schemaIndex[tt.path] != 0 {
				if err := c.Set(tt.path, fix); err != nil {
					t.Errorf("the value that should pass does not: %v", err)
				}
			}
		})
	}
}

func TestLongValuesInErrorsAreCutBetweenCharacters(t *testing.T) {
	t.Parallel()
	var c Config
	var f run.FieldError
	if !errors.As(c.Set("optim.batch_size", "x"+strings.Repeat("é", 300)), &f) {
		t.Fatal("no error")
	}
	if len(f.Value) < 199 || strings.Contains(f.Value, "?") || !strings.HasSuffix(f.Value, "é…") {
		t.Errorf("the value has %d bytes: %q", len(f.Value), f.Value)
	}
}

func TestSecretsNeverAppearInErrors(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	var c Config
	errs := []error{c.Set("monitor.auth_token", secret+"\n"+secret), c.Set("monitor.auth_tokn", secret), c.Assign("api_key=" + secret)}
	_, err := Parse([]byte("[monitor]\nauth_token = ['" + secret + "']\npassword = '" + secret + "'\n"))
	errs = append(errs, err)
	if err := c.Set("monitor.auth_token", secret); err != nil {
		t.Fatal(err)
	}
	bad, _ := c.Validate(run.Shape{Nodes: 1})
	for _, err := range append(errs, bad) {
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("want an error without the secret, got %v", err)
		}
	}
}

func TestAssignTakesWhatACommandLineHas(t *testing.T) {
	t.Parallel()
	var c Config
	if err := c.Assign("run_name=a=b"); err != nil {
		t.Fatal(err)
	}
	if got, _ := c.Get("run_name"); got != "a=b" {
		t.Errorf("got %q", got)
	}
	if err := c.Assign("run_name"); err == nil {
		t.Error("an assignment without = was taken")
	}
}

func TestConfigIsAValueWithDefaults(t *testing.T) {
	t.Parallel()
	var c Config
	if got := c.Effective("optim.batch_size"); got != "512" {
		t.Errorf("Effective = %q", got)
	}
	d := c
	for path, text := range map[string]string{"optim.batch_size": "64", "optim.optim.type": "soap", "diloco.inner_steps": "5", "diloco.outer_lr": "0.7"} {
		if err := d.Set(path, text); err != nil {
			t.Fatal(err)
		}
	}
	if c != (Config{}) || c.DiLoCo() {
		t.Error("the copy changed the original")
	}
	if got := d.Effective("optim.optim.weight_decay"); got != "1e-5" {
		t.Errorf("the weight decay of soap is %q", got)
	}
	if !d.DiLoCo() || !d.Changed("optim.batch_size") || d.Changed("diloco.outer_lr") || d.Changed("optim.total_steps") {
		t.Error("DiLoCo or Changed is wrong")
	}
	if want := []string{"optim.batch_size", "optim.optim.type", "diloco.outer_lr", "diloco.inner_steps"}; !slices.Equal(d.Paths(), want) {
		t.Errorf("Paths = %v", d.Paths())
	}
	d.UnsetTable("diloco")
	d.UnsetTable("optim")
	if !d.Equal(c) {
		t.Errorf("still set: %v", d.Paths())
	}
	if _, set := c.Get("nope"); set || c.Effective("nope") != "" || c.Default("nope") != "" {
		t.Error("an unknown path has a value")
	}
}

// TestEveryPathIsKnownToBeOne has the help of a field tell whether it names a place: what is none of [PathFields] is kept in no folder.
func TestEveryPathIsKnownToBeOne(t *testing.T) {
	t.Parallel()
	paths := PathFields()
	for _, f := range Fields() {
		named := (f.Type == String || f.Type == StringList) && (strings.Contains(f.Path, "path") || strings.Contains(f.Path, "dir") ||
			strings.Contains(f.Default+f.Placeholder, "/")) && !strings.HasPrefix(f.Placeholder, "http://")
		if named && !slices.Contains(paths, f.Path) {
			t.Errorf("%s is not in PathFields", f.Path)
		}
	}
}
