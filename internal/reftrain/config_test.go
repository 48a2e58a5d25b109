package reftrain

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func load(t *testing.T, text string, flags []string, env map[string]string) (config, error) {
	t.Helper()
	return loadConfig(append([]string{"@" + writeConfig(t, text)}, flags...), func(k string) string { return env[k] },
		slices.Collect(maps.Keys(env)))
}

const everySection = `
name_model = "10B"
type_model = "llama2"
project = "p"
run_id = "1"
run_name = "n"
metric_logger_type = "dummy"
wandb_resume = true
log_level = "DEBUG"
log_all_rank = true
[data]
dataset_name_or_paths = "a,b"
val_dataset_name_or_paths = "c"
sequence_packing = false
seq_length = 8
fake = true
num_workers = 2
max_train_samples = 5
max_eval_samples = 5
dataset_ratio = "55:10"
data_rank = 1
data_world_size = 2
reverse_data_files = true
split_by_data_rank = false
[optim]
sched_type = "wsd-sqrt"
warmup_steps = 1
stable_steps = 2
total_steps = 3
batch_size = 4
z_loss = true
z_loss_weight = 1e-4
num_chunks = 2
[optim.optim]
type = "soap"
lr = 1
betas1 = 0.8
betas2 = 0.9
max_preconditioner_dim = 10
precondition_frequency = 10
[diloco]
outer_lr = 0.5
inner_steps = 5
compression = "uint8"
retry_all_reduce = 2
[train]
micro_bs = 2
ac_ckpt = 4
reshard_after_forward = false
reduce_fp32 = true
log_model_hash = true
torch_profiler = true
torch_compile = false
fused_linear_ce = true
fsdp_cpu_offload = true
attn_fn = "math"
[train.memory_profiler]
snapshot_dir = "x"
[monitor]
base_url = "http://127.0.0.1"
auth_token = "x"
[ckpt]
path = "/nowhere"
interval = 10
topk = 2
remote_data_path = "x"
remote_data_load = true
resume = "/nowhere/step_5"
skip_dataloader = true
live_recovery_rank_src = 1
token_count = 7
[ckpt.remote]
path = "/elsewhere"
interval = 20
`

func TestEveryFieldOfCotrainCoreIsKnown(t *testing.T) {
	t.Parallel()
	c, err := load(t, everySection, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Optim.Optim.LR != 1 || c.Optim.Optim.weightDecay() != 1e-5 || c.Train.MemoryProfiler.Freq != 10 ||
		c.Monitor.LogFlushInterval != 10 || c.Train.ACCkpt != int64(4) || *c.Ckpt.TokenCount != 7 {
		t.Errorf("fields were read as %+v", c)
	}
}

func TestFlagsOverrideTheFileAndVariablesOverrideFlags(t *testing.T) {
	t.Parallel()
	flags := []string{"--optim.batch_size", "32", "--train.micro-bs=16", "--data.fake", "--diloco.inner_steps", "7",
		"--ckpt.live_recovery_rank_src", "0", "--optim.optim.lr=-0", "--run_name", "x=y"}
	env := map[string]string{"ZERO_BAND_TRAIN_MICRO_BS": "8", "ZERO_BAND_OPTIM_OPTIM_LR": "0.25", "ZERO_BAND_LOG_LEVEL": "DEBUG", "HOME": "/"}
	c, err := load(t, "[train]\nmicro_bs = 4\n", flags, env)
	if err != nil {
		t.Fatal(err)
	}
	if c.Optim.BatchSize != 32 || c.Train.MicroBS != 8 || !c.Data.Fake || c.DiLoCo.InnerSteps != 7 || c.DiLoCo.OuterLR != 0.7 ||
		*c.Ckpt.LiveRecoveryRankSrc != 0 || c.Optim.Optim.LR != 0.25 || c.LogLevel != "DEBUG" || *c.RunName != "x=y" {
		t.Errorf("read as %+v, train %+v, diloco %+v", c, c.Train, c.DiLoCo)
	}
}

func TestConfigurationErrorsNameTheField(t *testing.T) {
	t.Parallel()
	const train = "[train]\nmicro_bs = 2\n"
	for name, tt := range map[string]struct {
		text  string
		flags []string
		env   map[string]string
		want  string
	}{
		"unknown key":                    {text: train + "x = 1\n", want: "train.x: Extra inputs"},
		"unknown section":                {text: train + "[nope]\ny = 1\n", want: "nope"},
		"no train section":               {text: "", want: "train: Field required"},
		"a syntax error":                 {text: "[train\n", want: "toml"},
		"a wrong type":                   {text: "[train]\nmicro_bs = \"two\"\n", want: "micro_bs"},
		"an unknown model":               {text: "name_model = \"5B\"\n" + train, want: "name_model"},
		"a batch that does not divide":   {text: train + "[optim]\nbatch_size = 3\n", want: "optim.batch_size = 3"},
		"diloco without inner steps":     {text: train + "[diloco]\n", want: "diloco.inner_steps"},
		"an interval off the boundary":   {text: train + "[diloco]\ninner_steps = 3\n[ckpt]\npath = \"x\"\ninterval = 4\n", want: "ckpt.interval = 4"},
		"a path without an interval":     {text: train + "[ckpt]\npath = \"x\"\n", want: "path and interval"},
		"recovery without diloco":        {text: train + "[ckpt]\nlive_recovery_rank_src = 0\n", want: "live_recovery_rank_src"},
		"a wsd schedule without decay":   {text: train + "[optim]\nsched_type = \"wsd-sqrt\"\nstable_steps = 88000\n", want: "wsd-sqrt"},
		"a wsd schedule out of order":    {text: train + "[optim]\nsched_type = \"wsd-sqrt\"\nwarmup_steps = 90000\n", want: "wsd-sqrt"},
		"a wsd schedule that is left":    {text: train + "[diloco]\ninner_steps = 3000\n[optim]\nsched_type = \"wsd-sqrt\"\nstable_steps = 88001\n", want: "wsd-sqrt"},
		"ratios that do not fit":         {text: train + "[data]\ndataset_ratio = \"1:2\"\n", want: "dataset_ratio"},
		"a rank without a world":         {text: train + "[data]\ndata_rank = 1\n", want: "data_world_size"},
		"a learning rate that is no one": {text: train + "[optim.optim]\nlr = nan\n", want: "optim.optim.lr"},
		"ac_ckpt as text":                {text: train + "ac_ckpt = \"all\"\n", want: "ac_ckpt"},
		"a huge count":                   {text: train + "[optim]\nbatch_size = 9223372036854775806\n", want: "batch_size"},
		"an unknown flag":                {text: train, flags: []string{"--data.nope", "1"}, want: "data.nope"},
		"a flag without a value":         {text: train, flags: []string{"--optim.batch_size"}, want: "needs a value"},
		"a flag for a section":           {text: train, flags: []string{"--data", "1"}, want: "section"},
		"a flag below a value":           {text: train, flags: []string{"--project.x", "1"}, want: "not a section"},
		"a flag of the wrong type":       {text: train, flags: []string{"--data.fake=maybe"}, want: "maybe"},
		"a stray argument":               {text: train, flags: []string{"word"}, want: "word"},
		"two files":                      {text: train, flags: []string{"@b.toml"}, want: "one configuration file"},
		"a variable that is no field":    {text: train, env: map[string]string{"ZERO_BAND_DEV": "1"}, want: "invalid environment variables with ZERO_BAND_ prefix: ZERO_BAND_DEV"},
		"a variable of an absent section": {text: train, env: map[string]string{"ZERO_BAND_DILOCO_INNER_STEPS": "5"},
			want: "ZERO_BAND_DILOCO_INNER_STEPS"},
		"a variable of the wrong type": {text: train, env: map[string]string{"ZERO_BAND_OPTIM_BATCH_SIZE": "many"}, want: "ZERO_BAND_OPTIM_BATCH_SIZE"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := load(t, tt.text, tt.flags, tt.env)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestTextComesFromTheFileThatTheUserNames(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "my text.txt")
	if err := os.WriteFile(file, []byte(strings.Repeat("ab\xff\x00", 50)), 0o600); err != nil {
		t.Fatal(err)
	}
	d := defaultConfig().Data
	d.SeqLength = 32
	d.DatasetNameOrPaths = "allenai/c4, " + file
	c, err := loadCorpus(d, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	if string(c.vocab) != "\x00ab\xff" || len(c.tokens) != 200 {
		t.Errorf("vocabulary %q and %d tokens", c.vocab, len(c.tokens))
	}
	d.Fake = true
	if c, err = loadCorpus(d, 0, 1); err != nil || len(c.tokens) != len(builtinText) {
		t.Errorf("fake data: %d tokens, error %v", len(c.tokens), err)
	}
	if err := os.WriteFile(file, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.Fake = false
	if _, err = loadCorpus(d, 0, 1); err == nil || !strings.Contains(err.Error(), "5 bytes") {
		t.Errorf("a text of 5 bytes: error %v", err)
	}
}

func TestTextComesFromTheTextFilesOfAFolderByName(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, content := range map[string]string{"b.txt": strings.Repeat("b", 40), "a.txt": strings.Repeat("a", 40), "notes.md": "never", "sub/c.txt": "never"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d := defaultConfig().Data
	d.SeqLength, d.DatasetNameOrPaths = 32, dir+", no-such-dataset"
	c, err := loadCorpus(d, 0, 1)
	if err != nil || string(c.vocab) != "ab" || len(c.tokens) != 80 || c.tokens[0] != 0 || c.tokens[79] != 1 {
		t.Errorf("vocabulary %q, %d tokens, %v", c.vocab, len(c.tokens), err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "a.txt")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "b.txt")); err != nil {
		t.Fatal(err)
	}
	if c, err = loadCorpus(d, 0, 1); err != nil || len(c.tokens) != len(builtinText) {
		t.Errorf("a folder without text: %d tokens, %v", len(c.tokens), err)
	}
}

func TestBadUsageLeavesWithCode2(t *testing.T) {
	t.Parallel()
	good := writeConfig(t, tiny(4, ""))
	for name, tt := range map[string]struct {
		args []string
		env  map[string]string
		want string
	}{
		"no arguments":   {want: "train: Field required"},
		"a missing file": {args: []string{"@/nowhere/x.toml"}, want: "no such file"},
		"a rank of text": {args: []string{"@" + good}, env: map[string]string{"GLOBAL_RANK": "x"}, want: "GLOBAL_RANK"},
		"a world with no address": {args: []string{"@" + good}, env: map[string]string{"GLOBAL_WORLD_SIZE": "2"},
			want: "GLOBAL_ADDR"},
		"a port out of range": {args: []string{"@" + good}, env: map[string]string{"GLOBAL_PORT": "70000"}, want: "GLOBAL_PORT"},
		"an ID with a space":  {args: []string{"@" + good}, env: map[string]string{"GLOBAL_UNIQUE_ID": "a b"}, want: "GLOBAL_UNIQUE_ID"},
		"a fault of no kind":  {args: []string{"@" + good}, env: map[string]string{"COTRAIN_TRAINER_FAULT": "explode@3"}, want: "explode"},
		"a pace of no time":   {args: []string{"@" + good}, env: map[string]string{"COTRAIN_TRAINER_PACE": "slow"}, want: "COTRAIN_TRAINER_PACE"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out, errs buffer
			code := Main(t.Context(), tt.args, func(k string) string { return tt.env[k] }, &out, &errs)
			if code != 2 || !strings.Contains(errs.String(), tt.want) || out.String() != "" {
				t.Errorf("code %d, stdout %q, stderr %q; want 2 and %q", code, out.String(), errs.String(), tt.want)
			}
		})
	}
}
