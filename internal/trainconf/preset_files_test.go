package trainconf

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/run"
)

// presetFiles are CotrainCore's own presets, rebuilt, with the GPUs of a worker that each is for and the warnings that it gets.
var presetFiles = map[string]struct {
	gpus  int
	warns string
}{
	"debug": {1, "optim.warmup_steps"}, "debug-diloco": {1, "optim.warmup_steps optim.total_steps"}, "70M": {4, ""},
	"150M-h100": {8, ""}, "150M-a40": {8, ""}, "150M-3090": {8, ""}, "150M-h100-short": {8, ""}, "150M-a40-short": {8, ""}, "150M-3090-short": {8, ""},
	"1B": {8, ""}, "7B": {8, ""}, "7B-diloco": {8, ""}, "10B-diloco": {8, "ckpt.topk"}, "10B-cooldown": {8, "ckpt.topk"}, "10B-devel": {8, ""},
	"13B": {8, "type_model"}, // the core leaves it at llama3, which has no 13B
}

func TestEveryPresetFileOfTheCoreIsImportedValidatedAndExportedUnchanged(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/presets/*.toml")
	if err != nil || len(files) != len(presetFiles) {
		t.Fatalf("%d files for %d presets: %v", len(files), len(presetFiles), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".toml")
		want, ok := presetFiles[name]
		if !ok {
			t.Errorf("%s is not expected", file)
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		im := Import(text)
		if len(im.Errors)+len(im.Ignored)+len(im.Secrets) > 0 {
			t.Errorf("%s: %v %v", name, im.Errors, im.Ignored)
		}
		r := im.Request
		r.Name, r.Shape = name, run.Shape{Nodes: 2, GPUs: want.gpus}
		errs, warns := r.Check()
		if len(errs) > 0 {
			t.Errorf("%s: %v", name, errs)
		}
		var fields []string
		for _, w := range warns {
			fields = append(fields, w.Field)
		}
		if got := strings.Join(fields, " "); got != want.warns {
			t.Errorf("%s warns about %q, want %q", name, got, want.warns)
		}
		parsed, err := Parse(text)
		if err != nil || parsed != r.Config {
			t.Errorf("%s: Parse and Import differ: %v", name, err)
		}
		back, err := RequestOf(r.Submission())
		if err != nil || back.Config != r.Config {
			t.Errorf("%s does not survive its export: %v", name, err)
		}
		if n := strings.Count(string(text), "=") - strings.Count(string(text), "= {"); n != len(r.Config.Paths()) {
			t.Errorf("%s sets %d fields, and %d were understood: %v", name, n, len(r.Config.Paths()), r.Config.Paths())
		}
	}
}

func TestTheBuiltInPresetsSayWhatTheFilesOfTheCoreSay(t *testing.T) {
	t.Parallel()
	// What a site sets for itself, and what the built-in presets leave out or choose on purpose (see Presets).
	own := []string{"project", "metric_logger_type", "data.dataset_name_or_paths", "data.reverse_data_files", "data.split_by_data_rank", "ckpt.path", "ckpt.topk",
		"ckpt.remote_data_path", "type_model"}
	for _, p := range Presets() {
		text, err := os.ReadFile("testdata/presets/" + p.Name + ".toml")
		if err != nil {
			t.Fatal(err)
		}
		file := Import(text).Request.Config
		for _, path := range file.Paths() {
			if slices.Contains(own, path) || p.Name == "10B-diloco" && path == "optim.total_steps" {
				continue
			}
			if strings.HasPrefix(p.Name, "debug") && (path == "optim.warmup_steps" || path == "optim.total_steps") {
				continue // the core's own never reach the learning rate, and end within an outer step
			}
			if got, want := p.Config.Effective(path), file.Effective(path); got != want {
				t.Errorf("%s: %s is %s, and the core's own preset has %s", p.Name, path, got, want)
			}
		}
	}
}

func TestTheBuiltInPresetsHaveNoWarnings(t *testing.T) {
	t.Parallel()
	requests := map[string]Request{}
	for _, p := range Presets() {
		requests[p.Name] = RequestOfPreset(p)
	}
	name, cfg, shape := Sample()
	requests[name] = Request{Config: cfg, Shape: shape}
	for name, r := range requests {
		errs, warns := r.CheckUnnamed()
		if warns = append(warns, r.Estimate(EstimateInput{}).Warnings...); len(errs)+len(warns) > 0 {
			t.Errorf("%s: %v %v", name, errs, warns)
		}
	}
}
