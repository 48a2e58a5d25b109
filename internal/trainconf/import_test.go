package trainconf

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// pasted is what a person copies from a terminal, a script and a chat.
const pasted = `#!/bin/bash
set -euo pipefail
cd /workspace && source .venv/bin/activate
export GLOBAL_ADDR=10.0.0.1
export GLOBAL_WORLD_SIZE=4 ZERO_BAND_OPTIM_BATCH_SIZE=1024 # all
ZERO_BAND_DILOCO_INNER_STEPS = 50
NCCL_DEBUG: "INFO"
WANDB_API_KEY=hunter2secret
ZERO_BAND_DEV=1
ZERO_BAND_OPTIM_BATCHSIZE=4
ZERO_BAND_TRAIN_MICRO_BS='1' torchrun --nproc_per_node=8 --node-rank 0 \
  --rdzv-endpoint localhost:$PORT --nnodes=1 src/zeroband/train.py \
  @configs/7B/H100.toml --optim.optim.lr 3e-4 --no-train.torch-compile \
  --data.data_rank $i --ckpt.path=/data/x

` + "```toml" + `
name_model = "7B" # model
[optim]
total_steps = 88_000
optim = { lr = 1e-3, betas1 = 0.9 }
[monitor]
auth_token = "hunter2secret"
[data]
seq_length 5
fake = maybe
nope = 1
` + "```" + `
docker run --rm -e ZERO_BAND_DATA_NUM_WORKERS=2 -e HOME image torchrun train.py
`

func TestImportTellsWhatItUnderstoodAndWhatNot(t *testing.T) {
	t.Parallel()
	im := Import([]byte(pasted))
	want := Request{Shape: run.Shape{Nodes: 4, GPUs: 8}, Options: run.Options{Env: map[string]string{"NCCL_DEBUG": "INFO"}},
		Config: with(Config{}, "name_model", "7B", "data.num_workers", "2", "optim.total_steps", "88000", "optim.batch_size", "1024", "optim.optim.lr", "3e-4",
			"optim.optim.betas1", "0.9", "diloco.inner_steps", "50", "train.micro_bs", "1", "train.torch_compile", "false", "monitor.log_flush_interval", "10", "ckpt.path", "/data/x")}
	if diff := cmp.Diff(want, im.Request, cmp.AllowUnexported(Config{})); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	lines := func(all []Line) (out []string) {
		for _, l := range all {
			out = append(out, fmt.Sprintf("%d %s: %s", l.Number, l.Text, l.Why))
		}
		return out
	}
	const nothing, own = "is neither configuration nor a variable or an argument of the core", "CoTrain sets it for each worker"
	if diff := cmp.Diff([]string{
		"5 GLOBAL_WORLD_SIZE=4: nodes",
		"5 ZERO_BAND_OPTIM_BATCH_SIZE=1024: optim.batch_size",
		"6 ZERO_BAND_DILOCO_INNER_STEPS=50: diloco.inner_steps",
		"7 NCCL_DEBUG=INFO: env",
		"8 WANDB_API_KEY=(hidden): WANDB_API_KEY, taken out: a secret",
		"11 --nproc_per_node 8: gpus",
		"11 ZERO_BAND_TRAIN_MICRO_BS=1: train.micro_bs",
		"13 --optim.optim.lr 3e-4: optim.optim.lr",
		"13 --no-train.torch-compile: train.torch_compile",
		"14 --ckpt.path /data/x: ckpt.path",
		`17 name_model = "7B" # model: name_model`,
		"19 total_steps = 88_000: optim.total_steps",
		"20 optim = { lr = 1e-3, betas1 = 0.9 }: optim.optim.lr, optim.optim.betas1",
		"22 auth_token = (hidden): monitor.auth_token, taken out: a secret",
		"28 ZERO_BAND_DATA_NUM_WORKERS=2: data.num_workers",
	}, lines(im.Understood)); diff != "" {
		t.Errorf("understood (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{
		"2 set -euo pipefail: " + nothing,
		"3 cd /workspace && source .venv/bin/activate: " + nothing,
		"4 GLOBAL_ADDR=10.0.0.1: " + own,
		"9 ZERO_BAND_DEV=1: ZERO_BAND_DEV is not known to CotrainCore, which would refuse to start with it",
		"11 --node-rank 0: " + own,
		"12 --rdzv-endpoint localhost:$PORT: " + own,
		"12 --nnodes 1: " + own,
		"13 @configs/7B/H100.toml: names a file: paste what it holds as well",
		"14 --data.data_rank $i: CoTrain gives each worker its own",
		"28 --rm: is not an argument of the core",
		"28 HOME: takes its value from the shell, which is not known here",
	}, lines(im.Ignored)); diff != "" {
		t.Errorf("ignored (-want +got):\n%s", diff)
	}
	var errs []string
	for _, e := range im.Errors {
		errs = append(errs, e.Field+" "+e.Rule)
	}
	if diff := cmp.Diff([]string{
		"ZERO_BAND_OPTIM_BATCHSIZE line 10: is not known to CotrainCore, which would refuse to start with it",
		"config line 24: is not TOML: expected '.' or '=', but got '5' instead",
		`config line 25: is not TOML: expected value but found "maybe" instead`,
		"data.nope line 26: is not a setting that CotrainCore knows",
	}, errs); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]SecretFound{{"monitor.auth_token", 22, "ZERO_BAND_MONITOR_AUTH_TOKEN", ""}, {"env", 8, "WANDB_API_KEY", ""}}, im.Secrets); diff != "" {
		t.Errorf("secrets (-want +got):\n%s", diff)
	}
	if strings.Contains(fmt.Sprintf("%+v", im), "hunter2") {
		t.Error("a secret is in what was returned")
	}
}

func TestImportReadsAssignmentsHoweverTheyAreWritten(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, field, want string }{
		{"ZERO_BAND_RUN_NAME=a", "run_name", "a"},
		{"export ZERO_BAND_RUN_NAME=a", "run_name", "a"},
		{"  export ZERO_BAND_RUN_NAME='a b' # why", "run_name", "a b"},
		{`$ export ZERO_BAND_RUN_NAME="a \"b\""`, "run_name", `a "b"`},
		{`ZERO_BAND_RUN_NAME=a\ b`, "run_name", "a b"},
		{"ZERO_BAND_RUN_NAME = a", "run_name", "a"},
		{"- ZERO_BAND_RUN_NAME=a", "run_name", "a"},
		{"ZERO_BAND_RUN_NAME: 'a'", "run_name", "a"},
		{"  -e ZERO_BAND_RUN_NAME=a \\\n", "run_name", "a"},
		{"-e ZERO_BAND_RUN_NAME='$HOME'", "run_name", "$HOME"},
		{"docker run -eZERO_BAND_RUN_NAME=a x", "run_name", "a"},
		{"docker run --env ZERO_BAND_RUN_NAME=a x", "run_name", "a"},
		{"docker run --env=ZERO_BAND_RUN_NAME=a x", "run_name", "a"},
		{"FOO=1 ZERO_BAND_RUN_NAME=a torchrun x", "run_name", "a"},
		{"env ZERO_BAND_RUN_NAME=a python -m torch.distributed.run x", "run_name", "a"},
		{"export A=1; export ZERO_BAND_RUN_NAME=a&&b", "run_name", "a"},
		{"export \\\n ZERO_BAND_RUN_NAME=\\\na", "run_name", "a"},
		{"torchrun x --run_name a", "run_name", "a"},
		{"torchrun x --run-name=a", "run_name", "a"},
		{"--run_name a \\\n --data.fake", "data.fake", "true"},
		{"python train.py --no-data.sequence_packing", "data.sequence_packing", "false"},
		{"run_name='a'\nZERO_BAND_RUN_NAME=b", "run_name", "b"},
		{"ZERO_BAND_RUN_NAME=b\nrun_name='a'", "run_name", "b"},
		{"ZERO_BAND_RUN_NAME=c\ntorchrun x --run_name b\nrun_name='a'", "run_name", "c"},
		{"torchrun x --run_name b\nrun_name='a'", "run_name", "b"},
		{"run_name = '''\nZERO_BAND_X=1'''\nname_model='1B'", "name_model", "1B"},
		{"run_name=\"a --b\"", "run_name", "a --b"},
		{"\"name_model\" = '1B'", "name_model", "1B"},
		{"torchrun --nproc-per-node 4 x", "gpus", "4"},
		{"torchrun --nnodes 2 x", "nodes", "2"},
		{"torchrun --standalone x.py --data.seq_length 8", "data.seq_length", "8"},
		{"GLOBAL_WORLD_SIZE=3", "nodes", "3"},
		{"ckpt.resume = 'a/step_1'", "ckpt.resume", "a/step_1"},
		{"ZERO_BAND_CKPT_RESUME=a/step_1", "ckpt.resume", "a/step_1"},
		{"\xef\xbb\xbfname_model = '1B'\r\nZERO_BAND_RUN_NAME=a\r\n", "run_name", "a"},
		{"TOKENIZERS_PARALLELISM=false", "env", "TOKENIZERS_PARALLELISM=false"},
		{"ckpt.token_count = 5", "ckpt.token_count", "5"},
	} {
		im := Import([]byte(tt.text))
		if got := im.Request.Get(tt.field); got != tt.want || !strings.Contains(tt.text, "'''") && len(im.Errors) > 0 || len(im.Understood) == 0 {
			t.Errorf("%q: %s is %q, want %q; errors %v", tt.text, tt.field, got, tt.want, im.Errors)
		}
	}
}

func TestImportIgnoresWithAReason(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, why string }{
		{"ZERO_BAND_RUN_NAME=$NAME", "only the shell knows"},
		{`ZERO_BAND_RUN_NAME="$(date)"`, "only the shell knows"},
		{"ZERO_BAND_RUN_NAME=`date`", "only the shell knows"},
		{"torchrun x --run_name $NAME", "only the shell knows"},
		{"torchrun --nproc_per_node=gpu x", "must be a whole number"},
		{"torchrun --nproc_per_node=$N x", "only the shell knows"},
		{"GLOBAL_RANK=$i", "CoTrain sets it"},
		{"NOMAD_ADDR=x", "CoTrain sets it"},
		{"MASTER_ADDR=x", "CoTrain or torchrun sets it"},
		{"ZERO_BAND_DATA_DATA_RANK=1", "gives each worker its own"},
		{"ZERO_BAND_GLOBAL_PG_TIMEOUT_SECONDS=600", "not known to CotrainCore"},
		{"GLOBAL_WORLD_SIZE=5000", "from 1 to 1024"},
		{"A=" + strings.Repeat("x", 5000), "at most 4096 bytes"},
		{"echo hello", "neither configuration"},
	} {
		im := Import([]byte(tt.text))
		if len(im.Ignored) != 1 || !strings.Contains(im.Ignored[0].Why, tt.why) || im.Ignored[0].Number != 1 || len(im.Errors) > 0 || len(im.Ignored[0].Text) > fault.MaxQuoted {
			t.Errorf("%.50q: ignored %v, errors %v, want %q", tt.text, im.Ignored, im.Errors, tt.why)
		}
	}
}

func TestImportNumbersLinesOfTheTextThatWasPasted(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, field, rule string }{
		{"export A=1\n\nZERO_BAND_OPTIM_BATCH_SIZE=many\n", "optim.batch_size", "line 3: must be a whole number"},
		{"export A=1\n# c\nname_model = '1B'\nnope = 1\n", "nope", "line 4: is not a setting"},
		{"export A=1 \\\n B=2 \\\n ZERO_BAND_DATA_FAKE=x\n", "data.fake", "line 3: must be true or false"},
		{"A=1\n\n--optim.batch_size \\\n x", "optim.batch_size", "line 3: must be a whole number"},
		{"A=1\ntorchrun x \\\n --optim.nope 1", "optim.nope", "line 3: is not a setting"},
		{"A=1\nname_model\n", "config", "line 2: is not TOML"},
		{"A=1\nrun_name = '''\n\n''' x\n", "config", "line 4: is not TOML"},
		{"A=1\nname_model = '1B'\nname_model = '7B'", "config", "line 3: is not TOML"},
		{"ZERO_BAND_OPTIM_BATCH_SIZE=", "optim.batch_size", "line 1: is empty"},
		{"A=1\n[diloco]\nouter_lr = 1\n[[ckpt]]\n", "ckpt", "line 4: must be a table"},
	} {
		im := Import([]byte(tt.text))
		if len(im.Errors) != 1 || im.Errors[0].Field != tt.field || !strings.HasPrefix(im.Errors[0].Rule, tt.rule) {
			t.Errorf("%q: got %v, want one error of %s with %q", tt.text, im.Errors, tt.field, tt.rule)
		}
	}
}

func TestImportNeverShowsASecret(t *testing.T) {
	t.Parallel()
	const secret = "hunter2secret"
	for _, text := range []string{
		"[monitor]\nauth_token = 'SECRET'", "monitor.auth_token = \"SECRET\"", "monitor = { base_url = 'x', auth_token = 'SECRET' }",
		"[monitor]\nauth_token = SECRET", "[monitor]\nauth_token SECRET", "[monitor]\nauth_token =\n'SECRET'", "[monitor]\nauth_token = 'SECRET", "[monitor]\nauth_token: SECRET",
		"[monitor]\nauth_token = '''\nSECRET'''", "[monitor]\nauth_token = '''\nSECRET\n", "[monitor]\nauth_token = [\n'SECRET',\n SECRET]", "[monitor]\nauth_token = ['SECRET']",
		"[monitor]\nauthtoken = 'SECRET'", "auth_token = 'SECRET'", "[monitor]\nauth_token = 'SECRET'\nauth_token = 'SECRET'", "[monitor]\nauth_token = { SECRET = 'SECRET' }",
		"[monitor]\n\"auth_token\" = \"SECRET\" SECRET", "[monitor]\nauth_token = \"\"\"\n\\\nSECRET\nx = 'SECRET'\n",
		"ZERO_BAND_MONITOR_AUTH_TOKEN=SECRET", "export ZERO_BAND_MONITOR_AUTH_TOKEN='SECRET", "ZERO_BAND_MONITOR_AUTH_TOKEN=\"SECRET\" torchrun x", "ZERO_BAND_MONITOR_AUTH_TOKEN: SECRET",
		"ZERO_BAND_MONITOR_AUTH_TOKENS=SECRET", "docker run -e ZERO_BAND_MONITOR_AUTH_TOKEN=SECRET x", "-e HF_TOKEN=SECRET \\\n x", "AWS_SECRET_ACCESS_KEY=SECRET$X", "PASSWORD=SECRET",
		"torchrun x --monitor.auth_token SECRET", "torchrun x --monitor.auth_token=SECRET", "torchrun x --monitor.auth-token SECRET --data.fake", "torchrun x --monitor.auth_token \\\n SECRET",
		"--monitor.token SECRET", "--monitor.auth_token\nSECRET = 'SECRET", "--token SECRET", "curl -H 'token: SECRET'", "export TOKEN = SECRET",
	} {
		text = strings.ReplaceAll(text, "SECRET'", secret+"'")
		for _, mark := range []string{"SECRET\"", "SECRET\n", "SECRET,", "SECRET]", "SECRET ", "SECRET$"} {
			text = strings.ReplaceAll(text, mark, secret+mark[6:])
		}
		text = strings.TrimSuffix(text, "SECRET")
		if !strings.Contains(text, secret) {
			text += secret
		}
		im := Import([]byte(text))
		if out := fmt.Sprintf("%+v\n%s", im, im.Request.CommandLine("")); strings.Contains(out, secret) {
			t.Errorf("%q: the secret is in\n%s", text, out)
		}
		if _, err := Parse([]byte(text)); err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("%q: Parse says %v", text, err)
		}
	}
	im := Import([]byte("[monitor]\nauth_token = 'hunter2'\n"))
	im.Request.Name = "x"
	if !im.Request.Config.uses("monitor") || im.Request.Config.has("monitor.auth_token") || len(im.Secrets) != 1 {
		t.Errorf("the core would refuse the variable, since [monitor] is gone: %s", im.Request.Config.TOML())
	}
	if errs, _ := im.Request.Check(); len(errs) > 0 {
		t.Error(errs)
	}
}

func TestImportIsBounded(t *testing.T) {
	t.Parallel()
	repeat := strings.Repeat
	for _, tt := range []struct{ name, text, rule string }{
		{"size", repeat("#", MaxTOML+1), "at most 65536 bytes"},
		{"lines", repeat("\n", maxImportLines), "at most 5000 lines"},
		{"encoding", "a\xff", "UTF-8"},
		{"nesting", "x = " + repeat("{a=", 12000) + "1" + repeat("}", 12000), "nests keys too deeply"},
		{"lines that are not TOML", "[data]\n" + repeat("nonsense\n", 4000), "line 9: is not TOML"},
		{"lines that are nothing", repeat("nonsense\n", 4000), ""},
		{"quotes without an end", repeat("echo \"\n", 4999), ""},
		{"commands without an end", repeat("$(", 32000), ""},
		{"here-documents without an end", repeat("cat <<EOF\n", 4999), ""},
		{"unknown variables", repeat("ZERO_BAND_OPTIM_BATCH_SIZES=1\n", 2000), "more problems"},
		{"many variables", func() (s string) {
			for i := range 4000 {
				s += fmt.Sprintf("V%d=1\n", i)
			}
			return s
		}(), ""},
		{"one long command", "torchrun " + repeat("--optim.y 1 \\\n", 4000), "more problems"},
		{"assignments with spaces", repeat("A = 1\n", 4999), ""},
	} {
		im := Import([]byte(tt.text))
		if tt.rule != "" && !strings.Contains(im.Errors.Error(), tt.rule) {
			t.Errorf("%s: got %v, want %q", tt.name, im.Errors, tt.rule)
		}
		if len(im.Errors) > maxFaults+1 || len(im.Ignored) > maxListed || len(im.Understood) > maxListed || len(im.Request.Options.Env) > MaxEnv {
			t.Errorf("%s: %d errors, %d ignored, %d understood", tt.name, len(im.Errors), len(im.Ignored), len(im.Understood))
		}
	}
}

// anyWriting writes a configuration with each field at random as TOML, as an argument or as a variable.
func anyWriting(t *rapid.T, c Config) string {
	var toml Config
	var shell []string
	for _, path := range c.Paths() {
		text, _ := c.Get(path)
		switch rapid.IntRange(0, 6).Draw(t, path+" form") {
		case 0:
			shell = append(shell, "export "+EnvName(path)+"="+shellQuote(text))
		case 1:
			shell = append(shell, EnvName(path)+"="+shellQuote(text)+" FOO=1 torchrun x.py")
		case 2:
			if !strings.HasPrefix(text, "--") { // which would be the next argument
				shell = append(shell, "torchrun x.py --"+path+" \\", "  "+shellQuote(text))
				break
			}
			fallthrough
		case 3:
			shell = append(shell, "docker run -e "+EnvName(path)+"="+shellQuote(text)+" x")
		default:
			toml.values[schemaIndex[path]] = text
		}
	}
	tomlText := strings.Split(strings.TrimSuffix(string(toml.TOML()), "\n"), "\n")
	// Shell lines go to any place between lines of the TOML; a continued one stays whole.
	for i := 0; i < len(shell); i++ {
		block := shell[i : i+1]
		if strings.HasSuffix(shell[i], " \\") {
			block = shell[i : i+2]
			i++
		}
		at := rapid.IntRange(0, len(tomlText)).Draw(t, "line")
		for at > 0 && at < len(tomlText) && strings.HasSuffix(tomlText[at-1], " \\") {
			at++
		}
		tomlText = slices.Insert(tomlText, at, block...)
	}
	return strings.Join(tomlText, "\n")
}

func TestImportThenExportChangesNoMeaning(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := anyConfig(t)
		for _, path := range []string{"monitor.auth_token", "data.data_rank", "data.data_world_size", "ckpt.live_recovery_rank_src"} {
			_ = c.Set(path, "") // these are taken out on purpose
		}
		text := anyWriting(t, c)
		im := Import([]byte(text))
		if len(im.Errors) > 0 || im.Request.Config != c {
			t.Fatalf("%v\n%s\nbecame\n%s\nwant\n%s", im.Errors, text, im.Request.Config.TOML(), c.TOML())
		}
		again := Import(im.Request.Config.TOML())
		if len(again.Errors) > 0 || len(again.Ignored) > 0 || again.Request.Config != c {
			t.Fatalf("the export is read as something else: %v\n%s", again.Errors, im.Request.Config.TOML())
		}
		n := 0
		for _, l := range again.Understood {
			n += strings.Count(l.Why, ",") + 1
		}
		if n != len(c.Paths()) {
			t.Fatalf("%d of %d fields are listed as understood", n, len(c.Paths()))
		}
	})
}

func FuzzImport(f *testing.F) {
	f.Add([]byte(pasted))
	for _, p := range Presets() {
		f.Add(p.Config.TOML())
	}
	f.Add([]byte("run_name = \"\"\"\nA=1\n\\\"\"\"\"\nexport X='a\n-e Y=\"$(b)\" \\\n--a.b \\"))
	f.Add([]byte("ZERO_BAND_A: 'x'\n- B=1\n\"C\" = 2\n[[\n{{\n}]=[\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		im := Import(data)
		if len(im.Errors) > maxFaults+1 || len(im.Understood) > maxListed || len(im.Ignored) > maxListed || len(im.Secrets) > MaxEnv {
			t.Fatalf("%d errors, %d understood, %d ignored", len(im.Errors), len(im.Understood), len(im.Ignored))
		}
		if _, set := im.Request.Config.Get("monitor.auth_token"); set {
			t.Fatal("a secret was kept")
		}
		lines := strings.Count(string(data), "\n") + 1
		for _, l := range slices.Concat(im.Understood, im.Ignored) {
			if l.Number < 1 || l.Number > lines || len(l.Text) > fault.MaxQuoted || l.Why == "" {
				t.Fatalf("%+v of %d lines", l, lines)
			}
		}
		if errs := ValidateOptions(im.Request.Options); len(errs) > 0 {
			t.Fatalf("the options break a rule: %v", errs)
		}
		back, err := Parse(im.Request.Config.TOML())
		if err != nil || back != im.Request.Config {
			t.Fatalf("%q does not survive: %v\n%s", data, err, im.Request.Config.TOML())
		}
	})
}

func TestImportAsksForRegisteredSecrets(t *testing.T) {
	t.Parallel()
	im := Import([]byte("export WANDB_API_KEY=x\nexport HF_TOKEN=y\n[monitor]\nauth_token = \"z\"\n"))
	im.UseSecrets([]run.Secret{{Name: "hub", Env: "HF_TOKEN"}, {Name: "later", Env: "HF_TOKEN"}, {Name: "everything"}, {Name: "watch", Env: "ZERO_BAND_MONITOR_AUTH_TOKEN"}})
	names := map[string]string{}
	for _, found := range im.Secrets {
		names[found.Env] = found.Name
	}
	want := map[string]string{"WANDB_API_KEY": "", "HF_TOKEN": "hub", "ZERO_BAND_MONITOR_AUTH_TOKEN": "watch"}
	if diff := cmp.Diff(want, names); diff != "" || !slices.Equal(im.Request.Options.Secrets, run.SecretNames{"hub", "watch"}) {
		t.Errorf("asks for %q (-want +got):\n%s", im.Request.Options.Secrets, diff)
	}
}
