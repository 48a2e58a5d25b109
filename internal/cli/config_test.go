package cli

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/draft"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/internal/trainconf/trainconftest"
)

func TestEveryRuleBetweenFieldsIsToldByConfigValidate(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.url = "" // offline
	for _, tc := range trainconftest.Cases() {
		for _, text := range []string{tc.Bad, tc.Good} {
			req, err := trainconf.RequestOf(run.Submission{Name: "x", Config: text, Shape: tc.Shape})
			if err != nil {
				t.Fatal(err)
			}
			errs, warns := req.CheckUnnamed()
			c.stdin = text
			args := []string{"config", "validate", "-", "--nodes", strconv.Itoa(tc.Shape.Nodes), "--gpus", strconv.Itoa(tc.Shape.GPUs)}
			if tc.Shape.GPUMinMemory > 0 {
				args = append(args, "--gpu-min-memory", strconv.Itoa(tc.Shape.GPUMinMemory))
			}
			code := exitDone
			if len(errs) > 0 {
				code = exitFailed
			}
			r := c.cotrain(args...).want(t, code)
			for _, e := range errs {
				if !strings.Contains(r.out, "error: "+printable(e.Error())+"\n") {
					t.Errorf("%s: no %q in\n%s", tc.Name, e.Error(), r.out)
				}
			}
			for _, w := range warns {
				if !strings.Contains(r.out, "warning: "+printable(w.Error())+"\n") {
					t.Errorf("%s: no warning %q in\n%s", tc.Name, w.Error(), r.out)
				}
			}
			if got := strings.Count(r.out, "error: "); got != len(errs) {
				t.Errorf("%s: %d errors in\n%s", tc.Name, got, r.out)
			}
			if v := fromJSON[draft.Validation](t, c.cotrain(append(args, "--format", "json")...).want(t, code)); !slices.Equal(v.Errors, []run.FieldError(errs)) {
				t.Errorf("%s: %v", tc.Name, v.Errors)
			}
		}
	}
}

func TestConfigValidateNamesLines(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.url = ""
	c.files["a.toml"] = "name_model = \"70M\"\ntype_model = \"llama2\"\n\n[optim]\nbatch_size = 500\n\n[train]\nmicro_bs = 4\n"
	r := c.cotrain("config", "validate", "a.toml", "--gpus", "8").want(t, exitFailed, "a.toml: not valid, 1 error, 0 warnings\n")
	if !strings.HasPrefix(r.out, `a.toml:5: error: optim.batch_size = "500": must be a multiple of the GPUs per worker (8); use 480 or 512`+"\n") {
		t.Errorf("%s", r.out)
	}
	c.cotrain("config", "validate", "a.toml").want(t, exitDone, "a.toml: valid, 0 errors, 0 warnings\n")
	c.files["b.toml"] = "[train]\nmicro_bs = 0\nmicro = 1\n"
	if r := c.cotrain("config", "validate", "b.toml").want(t, exitFailed, "2 errors"); !strings.HasPrefix(r.out, "b.toml:2: error: train.micro_bs") || !strings.Contains(r.out, "\nb.toml:3: error: train.micro") {
		t.Errorf("%s", r.out)
	}
	c.files["c.toml"] = "[train]\n[optim]\ntotal_steps = 100\n"
	c.cotrain("config", "validate", "c.toml").want(t, exitDone, "warning: optim.warmup_steps", "c.toml: valid, 0 errors, ")
	c.cotrain("config", "validate", "c.toml", "--strict").want(t, exitFailed)
	c.files["default.toml"] = "[train]\nmicro_bs = 3\n"
	if r := c.cotrain("config", "validate", "default.toml").want(t, exitFailed); !strings.HasPrefix(r.out, "default.toml: error: optim.batch_size: is 512 by default, and must be a multiple of train.micro_bs (3); ") {
		t.Errorf("a value that nobody wrote is told as one: %s", r.out)
	}
	c.files["huge.toml"] = "[train]\nmicro_bs = 99999999999999999999\n"
	if r := c.cotrain("config", "validate", "huge.toml").want(t, exitFailed, "1 error"); !strings.HasPrefix(r.out, `huge.toml:2: error: train.micro_bs = "99999999999999999999": must be a whole number from 1 to 65536; use 65536`+"\n") {
		t.Errorf("%s", r.out)
	}
	c.files["evil.toml"] = "[train]\n\"\\u001b[2J\" = 1\n"
	if r := c.cotrain("config", "validate", "evil.toml").want(t, exitFailed); strings.Contains(r.out, "\x1b") {
		t.Errorf("%q", r.out)
	}
	c.files["not.toml"] = "]["
	c.cotrain("config", "validate", "not.toml").want(t, exitFailed, "not.toml:1: error: config = \"][\": is not TOML")
	c.cotrain("config", "validate", "a.toml", "--env", "ZERO_BAND_OPTIM_BATCH_SIZE=6").want(t, exitFailed, "multiple of train.micro_bs", "ZERO_BAND_OPTIM_BATCH_SIZE in env")
}

func TestConfigImportPrintsTOMLWithoutSecrets(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.url = ""
	c.files["run.sh"] = "export ZERO_BAND_OPTIM_BATCH_SIZE=64\nexport GLOBAL_WORLD_SIZE=3\nexport GLOBAL_ADDR=10.0.0.1\nexport ZERO_BAND_MONITOR_AUTH_TOKEN=hunter2\n[train]\nmicro_bs = 4\n"
	r := c.cotrain("config", "import", "run.sh").want(t, exitDone, "line 3 ignored", "line 4: a secret was taken out", "ZERO_BAND_MONITOR_AUTH_TOKEN", "not part of the TOML: nodes = 3")
	if strings.Contains(r.out+r.errOut, "hunter2") {
		t.Errorf("the secret is in %s %s", r.out, r.errOut)
	}
	cfg, err := trainconf.Parse([]byte(r.out))
	if err != nil || cfg.Effective("optim.batch_size") != "64" || cfg.Effective("train.micro_bs") != "4" {
		t.Errorf("%v in %s", err, r.out)
	}
	if im := fromJSON[draft.Import](t, c.cotrain("config", "import", "run.sh", "--format", "json").want(t, exitDone)); len(im.Secrets) != 1 || im.Shape.Nodes != 3 || im.Config != r.out {
		t.Errorf("%+v", im)
	}
	c.stdin = "#!/bin/sh\nnvidia-smi\nx=$(hostname)\n"
	c.cotrain("config", "import", "-").want(t, exitDone, "line 2 ignored: nvidia-smi: is neither", "line 3 ignored", "nothing in it is a setting")
	c.stdin = "[train]\nmicro = 4\n"
	c.cotrain("config", "import", "-").want(t, exitFailed, "error: train.micro", "line 2")
	c.stdin = "[ -f x ] && export ZERO_BAND_OPTIM_BATCH_SIZE=64\n"
	c.cotrain("config", "import", "-").want(t, exitDone, "line 1: ZERO_BAND_OPTIM_BATCH_SIZE=64 stands under a condition, and was taken")
	c.stdin = "torchrun train.py --ckpt.path /data/$USER/ckpt --ckpt.interval 500\n"
	if r := c.cotrain("config", "import", "-").want(t, exitFailed, "not valid as it stands: ckpt.path: must be set"); !strings.Contains(r.out, "interval = 500") {
		t.Errorf("what was understood is missing in %s", r.out)
	}
}

func TestConfigEstimateTellsWhatARunNeeds(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.url = ""
	args := []string{"config", "estimate", "--preset", "7B-diloco", "--bandwidth", "1Gbit/s", "--gpu-model", "NVIDIA H100 80GB HBM3", "--memory", "300"}
	c.cotrain(args...).want(t, exitDone, "outer steps of 50", "Tokens", "Checkpoints", "Sync", "% of the time", "GPU memory", "Learning rate", "warning: ")
	c.cotrain("config", "estimate", "--preset", "7B-diloco").want(t, exitDone, "--bandwidth tells")
	v := fromJSON[draft.Validation](t, c.cotrain(append(args, "--format", "json")...).want(t, exitDone))
	if v.Estimate.SyncSeconds <= 0 || v.Plan.OuterSteps == 0 || len(v.Estimate.Curve) == 0 {
		t.Errorf("%+v", v)
	}
	c.cotrain("config", "estimate").want(t, exitDone, "88000")
	c.stdin = "[optim]\nbatch_size = 5\n[train]\nmicro_bs = 2\n"
	c.cotrain("config", "estimate", "-").want(t, exitFailed, "-:2: error: optim.batch_size")
	c.cotrain("config", "estimate", "--preset", "nope").want(t, exitNotFound, `No preset is called "nope"`)
}

func TestBandwidthsAreRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]float64{"": 0, "1Gbit/s": 1e9, "500 Mbps": 5e8, "125MB/s": 1e9, "1e9": 1e9, "1.5kb/s": 1500, "2T": -1, "0": -1, "-1": -1, "1e400": -1, "fast": -1, "1Gibit/s": -1, "0x10": -1} {
		got, err := parseBandwidth(text)
		if (err != nil) != (want < 0) || err == nil && got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

func TestBytesAreReadable(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0 B", 1023: "1,023 B", 1024: "1.00 KiB", 1_000_000: "977 KiB", 1023 << 10: "0.999 MiB", 12 << 20: "12.0 MiB", 123 << 30: "123 GiB", 1<<63 - 1: "8.00 EiB"} {
		if got := bytesText(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

func TestThroughputsAreReadable(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{0: "-", 12.34: "12.3 tok/s", 999.6: "1.00 k tok/s", 5120: "5.12 k tok/s", 999_950: "1.00 M tok/s", 2.5e9: "2.50 G tok/s"} {
		if got := rate(v); got != want {
			t.Errorf("%v: %q, want %q", v, got, want)
		}
	}
}

func TestSchemaAndReferenceArePrinted(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.url = ""
	var schema map[string]any
	if err := json.Unmarshal([]byte(c.cotrain("config", "schema").want(t, exitDone).out), &schema); err != nil || schema["properties"] == nil {
		t.Errorf("%v %v", schema, err)
	}
	c.cotrain("config", "reference").want(t, exitDone, "optim.batch_size", "max_duration")
}

func TestSweepListsAreReadFromJSONAndTOML(t *testing.T) {
	t.Parallel()
	want := []map[string]string{{"optim.optim.lr": "1e-4", "nodes": "2", "data.fake": "true"}, {"optim.optim.lr": "3e-4", "description": "x"}}
	for _, text := range []string{
		"{\"optim.optim.lr\": 1e-4, \"nodes\": 2, \"data\": {\"fake\": true}}\n{\"optim.optim.lr\": \"3e-4\", \"description\": \"x\"}\n",
		"[[runs]]\n\"optim.optim.lr\" = \"1e-4\"\nnodes = 2\ndata.fake = true\n\n[[runs]]\noptim.optim.lr = \"3e-4\"\ndescription = \"x\"\n",
	} {
		got, err := parsePoints([]byte(text))
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%v %v of %s", got, err, text)
		}
	}
	for _, text := range []string{`{"nodes": 1, "nodes": 2}`, `{"data.fake": true, "data": {"fake": false}}`, "{", "{\"a\":[1]}", "[[run]]\na = 1", "a = 1", "x", "[[runs]]\na = [1]", "[[runs]]\na = 2020-01-01"} {
		if got, err := parsePoints([]byte(text)); err == nil || exitCode(err) != exitUsage {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}
