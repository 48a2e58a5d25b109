package trainconf

import (
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// requestWith returns a valid request with fields set from pairs.
func requestWith(t interface {
	Helper()
	Fatal(...any)
}, pairs ...string) Request {
	t.Helper()
	r := NewRequest()
	r.Name = "test"
	r.Config = with(Config{}, "type_model", "llama2")
	for i := 0; i+1 < len(pairs); i += 2 {
		if err := r.Set(pairs[i], pairs[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func TestARequestTakesEveryFieldAndGivesItBack(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ field, text, want string }{
		{"name", "  first try ", "first try"},
		{"optim.batch_size", "1_024", "1024"},
		{"nodes", "3", "3"}, {"nodes", "", "1"},
		{"gpus", "8", "8"}, {"gpus", "", "0"},
		{"gpu_model", "NVIDIA H100 80GB HBM3", "NVIDIA H100 80GB HBM3"},
		{"gpu_min_memory", "80000", "80000"},
		{"cpu", "4e3", "4000"}, {"cpu", "0", "100"}, {"cpu", "", "100"},
		{"memory", "65536", "65536"}, {"memory", "", "300"},
		{"site", "dc1", "dc1"},
		{"priority", "70", "70"}, {"priority", "", ""},
		{"max_duration", "2h30m", "2h30m"}, {"max_duration", "36h", "1d12h"}, {"max_duration", "1.5h", "1h30m"}, {"max_duration", "2d 90m", "2d1h30m"}, {"max_duration", "", ""},
		{"retries", "2", "2"}, {"retries", "0", ""},
		{"description", " one\r\ntwo ", "one\ntwo"},
		{"tags", "b, a ,b", "a,b"},
		{"env", " NCCL_DEBUG = INFO \r\n\nA=b=c\nEMPTY=\nPYTHONPATH=/x", "A=b=c\nEMPTY=\nNCCL_DEBUG=INFO\nPYTHONPATH=/x"},
		{"env", "ZERO_BAND_OPTIM_BATCH_SIZE=64", "ZERO_BAND_OPTIM_BATCH_SIZE=64"},
		{"args", "--train.torch_compile=false\n  --optim.optim.lr\n7.5e-5\n--data.fake", "--train.torch_compile=false\n--optim.optim.lr\n7.5e-5\n--data.fake"},
		{"secrets", " WANDB_API_KEY, HF_TOKEN,HF_TOKEN", "HF_TOKEN,WANDB_API_KEY"},
	} {
		r := NewRequest()
		if err := r.Set(tt.field, tt.text); err != nil {
			t.Errorf("Set(%q, %q): %v", tt.field, tt.text, err)
			continue
		}
		got := r.Get(tt.field)
		if got != tt.want {
			t.Errorf("after Set(%q, %q) Get is %q, want %q", tt.field, tt.text, got, tt.want)
		}
		again := NewRequest()
		if err := again.Set(tt.field, got); err != nil || again.Get(tt.field) != got {
			t.Errorf("%s: %q does not stand for itself: %q, %v", tt.field, got, again.Get(tt.field), err)
		}
		if err := r.Set(tt.field, ""); err != nil || r.Changed(tt.field) {
			t.Errorf("%s is still changed after it was unset: %q, %v", tt.field, r.Get(tt.field), err)
		}
	}
}

func TestARequestRefusesWhatBreaksARule(t *testing.T) {
	t.Parallel()
	many := func(n int, line string) string { return strings.Repeat(line+"\n", n) }
	for _, tt := range []struct{ field, text, rule, fix string }{
		{"name", strings.Repeat("x", 101), "101 characters", "shorten"},
		{"nodes", "0", "from 1 to 1024", "use 1"},
		{"gpus", "65", "from 0 to 64", "use 64"},
		{"gpus", "two", "whole number", "use 0"},
		{"gpu_model", "A100; rm", "must hold only letters", "page of nodes"},
		{"memory", "9", "0, or a whole number from 10", "use 10"},
		{"site", "dc 1", "letters A-Z and a-z, digits", "name of a datacenter"},
		{"priority", "101", "from 1 to 100", "use 100"},
		{"priority", "0", "from 1 to 100", "use 1"},
		{"max_duration", "30s", "from 1m to 365d", "use 1m"},
		{"max_duration", "400d", "from 1m to 365d", "use 365d"},
		{"max_duration", "3600", "unit", "use 1h"},
		{"max_duration", "soon", "a duration", "use 12h"},
		{"max_duration", "1.5s", "a duration", "use 12h"},
		{"retries", "21", "from 0 to 20", "use 20"},
		{"description", strings.Repeat("é", 2001), "2001 characters", "shorten"},
		{"description", "a\x1bb", "control characters", "remove"},
		{"tags", strings.TrimSuffix(strings.Repeat("a,", 3), ","), "", ""},
		{"tags", "a,,b", "one is empty", "use a,b"},
		{"tags", strings.Repeat("x", 41), "41 characters", "shorten"},
		{"tags", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21", "21 tags", "remove some"},
		{"env", "NCCL_DEBUG", "line 1 that is not of the form NAME=VALUE", "NCCL_DEBUG=INFO"},
		{"env", "A=1\nA=2", "A is set twice", "remove one"},
		{"env", "1A=2", "must begin with a letter", "NCCL_DEBUG"},
		{"env", "A-B=2", "must begin with a letter", "NCCL_DEBUG"},
		{"env", "GLOBAL_RANK=1", "set by CoTrain or Nomad", "remove it"},
		{"env", "NOMAD_X=1", "set by CoTrain or Nomad", "remove it"},
		{"env", "COTRAIN_X=1", "set by CoTrain or Nomad", "remove it"},
		{"env", "ZERO_BAND_DEV=1", "not known to CotrainCore", "remove it"},
		{"env", "ZERO_BAND_OPTIM_BATCHSIZE=1", "not known to CotrainCore", "use ZERO_BAND_OPTIM_BATCH_SIZE"},
		{"env", "ZERO_BAND_OPTIM_BATCH_SIZE=many", "ZERO_BAND_OPTIM_BATCH_SIZE must be a whole number", "use 512"},
		{"env", "ZERO_BAND_OPTIM_TOTAL_STEPS=1e3", "as the core reads it", "use 1000"},
		{"env", "ZERO_BAND_OPTIM_BATCH_SIZE=", "is empty", "use 512"},
		{"env", "ZERO_BAND_DATA_DATA_RANK=0", "each worker", "remove it"},
		{"env", "A=" + strings.Repeat("x", 4096), "4096 bytes", "shorten"},
		{"args", "train.py", "must begin with --", "--section.field=value"},
		{"args", "--optim.batch_size=1=2", "two =", "two arguments"},
		{"args", "--no-data.fake\ntrue", "must not have a value", "--data.fake=false"},
		{"args", "--optim.batchsize=1", "is not a setting", "use --optim.batch_size"},
		{"args", "--optim.batch_size=1\n--optim.batch-size=2", "given twice", "remove one"},
		{"args", "--data.data_rank\n0", "given twice: CoTrain gives each worker its own", "remove it"},
		{"args", "--ckpt.resume=step_1", "tried again", "in the configuration"},
		{"args", "--train\n@x.toml", "reads a file", "set the fields"},
		{"args", "--optim.batch_size", "must be a whole number", "use 512"},
		{"args", many(101, "--x"), "at most 100 arguments", "configuration"},
		{"secrets", "HF_TOKEN,nomad/jobs", "nomad/jobs, which is a path", "register that path as a secret"},
		{"secrets", "a b", "cannot be the name of a secret", "HF_TOKEN"},
		{"secrets", "A,,B", "one is empty", "A,B"},
		{"secrets", strings.Repeat("a", 65), "cannot be the name of a secret", "HF_TOKEN"},
		{"secrets", strings.TrimSuffix(strings.Repeat("ab,a,", run.MaxSecrets)+strings.Join(strings.Split("bcdefghijklmnopqrstuvwxyz", ""), ","), ","), "at most 20", "remove some"},
		{"node", "3", "not a field of a run", "use nodes"},
		{"gpu-model", "A100", "not a field of a run", "use gpu_model"},
		{"batch_size", "3", "not a setting", "use optim.batch_size"},
		{"colour", "3", "not a setting", "remove it"},
	} {
		r := NewRequest()
		err := r.Set(tt.field, tt.text)
		if tt.rule == "" {
			if err != nil {
				t.Errorf("Set(%q, %.40q): %v", tt.field, tt.text, err)
			}
			continue
		}
		var f run.FieldError
		if !errors.As(err, &f) {
			t.Errorf("Set(%q, %.40q) = %v, want a run.FieldError", tt.field, tt.text, err)
			continue
		}
		if f.Field != tt.field || !strings.Contains(f.Rule, tt.rule) || !strings.Contains(f.Fix, tt.fix) {
			t.Errorf("Set(%q, %.40q) says\n%+v, want rule %q and fix %q", tt.field, tt.text, f, tt.rule, tt.fix)
		}
		if len(f.Value) > 200 || !cmp.Equal(r, NewRequest(), cmp.AllowUnexported(Config{})) {
			t.Errorf("Set(%q, %.40q): the value is too long, or something was set", tt.field, tt.text)
		}
		if fix, ok := strings.CutPrefix(f.Fix, "use "); ok && !strings.ContainsAny(fix, " =_") && len(tt.field) > 4 && tt.field != "env" && tt.field != "args" && tt.field != "batch_size" && tt.field != "gpu-model" {
			if err := r.Set(tt.field, fix); err != nil {
				t.Errorf("%s: the value that should pass does not: %v", tt.field, err)
			}
		}
	}
}

func TestEveryPlacementFieldIsDescribedAndItsOwnExamplesPass(t *testing.T) {
	t.Parallel()
	want := "nodes gpus gpu_model gpu_min_memory cpu memory site priority max_duration retries retry on_hang on_nan on_divergence on_plateau rollback_lr description tags env args secrets mirror_logs"
	var paths []string
	for _, f := range PlacementFields() {
		paths = append(paths, f.Path)
		if f.Label == "" || !strings.HasSuffix(f.Help, ".") || f.Example() == "" || f.Rule() == "" || f.Env() != "" {
			t.Errorf("%s lacks a label, help, example or rule", f.Path)
		}
		if got, err := f.Check(f.Example()); err != nil || got != f.Example() {
			t.Errorf("%s: Check(%q) = %q, %v", f.Path, f.Example(), got, err)
		}
		if got, ok := Lookup(f.Path); !ok || got.Path != f.Path {
			t.Errorf("Lookup(%q) = %q, %v", f.Path, got.Path, ok)
		}
	}
	if got := strings.Join(paths, " "); got != want {
		t.Errorf("fields are\n%s, want\n%s", got, want)
	}
	if f, ok := Lookup("name"); !ok || f.Rule() != "text of 1 to 100 characters on one line" {
		t.Errorf("name is %+v", f)
	}
}

func TestSetNeverChangesWhatACopyHolds(t *testing.T) {
	t.Parallel()
	a := requestWith(t, "env", "A=1", "tags", "x,y", "args", "--data.fake")
	b := a
	for field, text := range map[string]string{"env": "B=2", "tags": "z", "args": "--no-data.fake"} {
		if err := b.Set(field, text); err != nil {
			t.Fatal(err)
		}
	}
	if a.Get("env") != "A=1" || a.Get("tags") != "x,y" || a.Get("args") != "--data.fake" {
		t.Errorf("the copied-from request became %+v", a.Options)
	}
}

func TestNoGPUsAreNoDemandsOnThem(t *testing.T) {
	t.Parallel()
	r := requestWith(t, "gpus", "8", "gpu_model", "A100", "gpu_min_memory", "40000", "gpus", "0")
	if errs, _ := r.Check(); len(errs) > 0 {
		t.Error(errs)
	}
	r = requestWith(t, "gpu_model", "A100")
	if errs, _ := r.Check(); len(errs) != 1 || errs[0].Field != "gpu_model" {
		t.Errorf("got %v", errs)
	}
}

func TestCheckFindsAllThatIsWrongAtOnceAndOnceForEachField(t *testing.T) {
	t.Parallel()
	r := Request{Config: with(Config{}, "optim.batch_size", "500", "ckpt.interval", "5", "monitor.auth_token", "hunter2"),
		Shape:   run.Shape{GPUs: 8, Site: "a b"},
		Options: run.Options{Priority: 101, MaxDuration: 5, Retries: -1, Retry: run.RetryPolicy{"nothing": 1}, Tags: []string{"a,b"}, Env: map[string]string{"ZERO_BAND_X": "1", "ok": "1"}, Args: []string{"x"}, Secrets: run.SecretNames{"nomad/x"}, Description: "\x00"}}
	errs, _ := r.Check()
	var fields []string
	for _, e := range errs {
		fields = append(fields, e.Field)
		if e.Rule == "" || e.Fix == "" || strings.Contains(e.Error(), "hunter2") {
			t.Errorf("%+v lacks something, or holds a secret", e)
		}
	}
	want := "name nodes site priority max_duration retries retry description tags env args secrets optim.batch_size ckpt.path monitor.auth_token"
	slices.Sort(fields)
	sorted := strings.Fields(want)
	slices.Sort(sorted)
	if diff := cmp.Diff(sorted, fields); diff != "" {
		t.Errorf("wrong fields (-want +got):\n%s\n%v", diff, errs)
	}
}

func TestCheckAppliesArgumentsAndEnvironmentAsTheCoreDoes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, field, rule string
		pairs             []string
	}{
		{"a variable that breaks a rule", "optim.batch_size", "multiple of the GPUs per worker (8) (the value is that of ZERO_BAND_OPTIM_BATCH_SIZE in env)",
			[]string{"gpus", "8", "env", "ZERO_BAND_OPTIM_BATCH_SIZE=500"}},
		{"an argument that breaks a rule with a field", "optim.batch_size", "(train.micro_bs is that of --train.micro_bs in args)",
			[]string{"args", "--train.micro_bs\n3"}},
		{"a variable for a table that is absent", "env", "known to the core only when the configuration has [diloco]",
			[]string{"env", "ZERO_BAND_DILOCO_INNER_STEPS=50"}},
		{"a variable for the other optimiser", "env", "only with the optimiser soap", []string{"env", "ZERO_BAND_OPTIM_OPTIM_PRECONDITION_FREQUENCY=5"}},
		{"a variable that changes the optimiser", "env", "cannot change the optimiser, which is adam", []string{"env", "ZERO_BAND_OPTIM_OPTIM_TYPE=soap"}},
		{"environment wins over arguments", "optim.batch_size", "ZERO_BAND_OPTIM_BATCH_SIZE in env",
			[]string{"gpus", "8", "args", "--optim.batch_size=64", "env", "ZERO_BAND_OPTIM_BATCH_SIZE=60"}},
		{"a variable that mends the configuration", "", "", []string{"gpus", "8", "optim.batch_size", "60", "env", "ZERO_BAND_OPTIM_BATCH_SIZE=64"}},
		{"an argument that makes the table", "", "", []string{"args", "--diloco.inner_steps=50", "env", "ZERO_BAND_DILOCO_OUTER_LR=0.5"}},
		{"soap from the start", "", "", []string{"optim.optim.type", "soap", "env", "ZERO_BAND_OPTIM_OPTIM_PRECONDITION_FREQUENCY=5"}},
	} {
		errs, _ := requestWith(t, tt.pairs...).Check()
		if tt.field == "" {
			if len(errs) > 0 {
				t.Errorf("%s: %v", tt.name, errs)
			}
			continue
		}
		if len(errs) != 1 || errs[0].Field != tt.field || !strings.Contains(errs[0].Rule, tt.rule) {
			t.Errorf("%s: got %v, want one error of %s with %q", tt.name, errs, tt.field, tt.rule)
		}
	}
	r := requestWith(t, "optim.batch_size", "8", "args", "--optim.batch_size=16\n--train.micro_bs=2", "env", "ZERO_BAND_OPTIM_BATCH_SIZE=32")
	if c := r.EffectiveConfig(); c.Effective("optim.batch_size") != "32" || c.Effective("train.micro_bs") != "2" || r.Config.Effective("optim.batch_size") != "8" {
		t.Errorf("the core would see %v", c.Paths())
	}
}

func TestSecretsInTheEnvironmentAreToldWithoutTheirValue(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	r := requestWith(t, "env", "AWS_SECRET_ACCESS_KEY="+secret)
	_, warns := r.Check()
	if len(warns) != 1 || warns[0].Field != "env" || strings.Contains(warns.Error(), secret) {
		t.Errorf("got %v", warns)
	}
	for _, text := range []string{"AWS_SECRET_KEY=" + secret + "\nbad line", "ZERO_BAND_MONITOR_AUTH_TOKEN=" + secret} {
		if err := r.Set("env", text); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("want an error without the secret, got %v", err)
		}
	}
	for _, text := range []string{"--monitor.auth_token=" + secret, "--monitor.auth_token\n" + secret} {
		if err := r.Set("args", text); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("want an error without the secret, got %v", err)
		}
	}
}

func TestEveryFieldHasItsOwnVariable(t *testing.T) {
	t.Parallel()
	if len(schemaEnv) != len(schema) {
		t.Errorf("%d fields share %d variables", len(schema), len(schemaEnv))
	}
	for _, f := range Fields() {
		if path := schemaEnv[f.Env()]; path != f.Path {
			t.Errorf("%s is overridden by %s, which is that of %s", f.Path, f.Env(), path)
		}
	}
	if EnvName("optim.batch_size") != "ZERO_BAND_OPTIM_BATCH_SIZE" || EnvName("nodes") != "" || EnvName("optim") != "" {
		t.Error("EnvName is wrong")
	}
}

func TestChangesAreFieldsThatMeanSomethingElse(t *testing.T) {
	t.Parallel()
	a := requestWith(t, "optim.batch_size", "512", "ckpt.path", "x", "priority", "50")
	b := requestWith(t, "name", "other", "optim.batch_size", "64", "nodes", "3", "env", "A=1", "cpu", "100", "diloco.outer_lr", "0.7")
	got := b.Changes(a)
	want := []Change{{"name", "Name", "test", "other"}, {"env", "Environment", "", "A=1"}, {"optim.batch_size", "Batch size", "512", "64"}, {"ckpt.path", "Checkpoint folder", "x", ""},
		{"nodes", "Nodes", "1", "3"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if c := a.Changes(a); len(c) > 0 {
		t.Errorf("a request differs from itself: %v", c)
	}
}

func TestDifferencesAreTheFieldsInWhichAnyOfSeveralDiffers(t *testing.T) {
	t.Parallel()
	same := requestWith(t, "optim.batch_size", "512", "monitor.auth_token", "one")
	got := Differences([]Request{same, same, requestWith(t, "optim.batch_size", "64", "monitor.auth_token", "two")})
	values := map[string][]string{}
	for _, d := range got {
		values[d.Field.Path] = d.Values
	}
	want := map[string][]string{"optim.batch_size": {"512", "512", "64"}, "monitor.auth_token": {fault.Hidden, fault.Hidden, fault.Hidden}}
	if diff := cmp.Diff(want, values); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(Differences(nil)) > 0 || len(Differences([]Request{same})) > 0 {
		t.Error("none or one differ")
	}
}

// runCommandLine does what the command line does with the words of a line.
func runCommandLine(t *testing.T, words []string) Request {
	t.Helper()
	r := NewRequest()
	var env, args, secrets []string
	for i := 3; i < len(words); i++ {
		name, value, joined := strings.Cut(words[i], "=")
		if !joined {
			i++
			value = words[i]
		}
		switch name {
		case "--preset":
			p, ok := PresetByName(value)
			if !ok {
				t.Fatalf("no preset %q", value)
			}
			r = RequestOfPreset(p)
		case "--set":
			if err := r.Assign(value); err != nil {
				t.Fatal(err)
			}
		case "--env":
			env = append(env, value)
		case "--arg":
			args = append(args, value)
		case "--secret":
			secrets = append(secrets, value)
		default:
			if err := r.Set(strings.ReplaceAll(strings.TrimPrefix(name, "--"), "-", "_"), value); err != nil {
				t.Fatal(err)
			}
		}
	}
	for field, lines := range map[string][]string{"env": env, "args": args} {
		if err := r.Set(field, strings.Join(lines, "\n")); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Set("secrets", strings.Join(secrets, ",")); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTheCommandLineMakesTheSameRun(t *testing.T) {
	t.Parallel()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no shell")
	}
	long := requestWith(t, "name", `it's "x" $(rm) \`, "description", "two\nlines", "tags", "a b,c", "env", "A=$HOME 'x'\nB=", "args", "--optim.optim.lr\n1e-3\n--data.fake",
		"secrets", "HF_TOKEN,WANDB_API_KEY", "max_duration", "36h", "retries", "3", "priority", "9", "site", "dc-1", "gpus", "2", "gpu_model", "NVIDIA A40", "gpu_min_memory", "40000", "run_name", "a;b")
	debug, _ := PresetByName("7B-diloco")
	plain := RequestOfPreset(debug)
	plain.Name = "x"
	if got, want := plain.CommandLine("vision"), "cotrain run submit --preset 7B-diloco --project vision --name x"; got != want {
		t.Errorf("of a project: %s", got)
	}
	if got, want := plain.CommandLine(""), "cotrain run submit --preset 7B-diloco --name x"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	noGPUs := plain
	if err := noGPUs.Set("gpus", "0"); err != nil {
		t.Fatal(err)
	}
	noDiLoCo := plain
	noDiLoCo.Config.UnsetTable("diloco")
	noDiLoCo.Config = with(noDiLoCo.Config, "diloco.inner_steps", "7", "optim.optim.lr", "")
	for _, r := range []Request{long, plain, noGPUs, noDiLoCo, {Name: "empty", Shape: run.Shape{Nodes: 1}}} {
		line := r.CommandLine("")
		out, err := exec.CommandContext(t.Context(), sh, "-c", "for w in "+line+"; do printf '%s\\0' \"$w\"; done").Output()
		if err != nil {
			t.Fatal(err)
		}
		words := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
		back := runCommandLine(t, words)
		if c := back.Changes(r); len(c) > 0 || back.Config.DiLoCo() != r.Config.DiLoCo() {
			t.Errorf("%s\nmakes another run: %v", line, c)
		}
	}
}

func TestSubmissionAndRequestAreTheSame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := Request{Name: "x", Config: anyConfig(t), Shape: run.Shape{Nodes: rapid.IntRange(1, 9).Draw(t, "nodes")}, Options: run.Options{Tags: []string{"a"}, Env: map[string]string{"A": "1"}}}
		back, err := RequestOf(r.Submission())
		if err != nil || !cmp.Equal(back, r, cmp.AllowUnexported(Config{})) || len(back.Changes(r)) > 0 {
			t.Fatalf("got %+v, %v", back, err)
		}
	})
	r, err := RequestOfTemplate(run.Template{Config: "name_model = \"1B\"\nnope = 1\n[train]\n", Shape: run.Shape{Nodes: 2}})
	if err == nil || r.Get("name_model") != "1B" || r.Get("nodes") != "2" || len(AsFieldErrors(err)) != 1 {
		t.Errorf("got %+v, %v", r, err)
	}
	if r, err := RequestOfRun(run.Run{Name: "a", Config: "[train]\n"}); err != nil || r.Name != "a" {
		t.Errorf("got %+v, %v", r, err)
	}
}
