package cli

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

func TestEveryFlagReachesTheRun(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.cotrain("run", "submit", "--preset", "debug", "--name", "x", "--nodes", "2", "--gpus", "1", "--site", "dc1", "--priority", "70", "--max-duration", "2h30m", "--retries", "2",
		"--tag", "b", "--description", "two\nlines", "--env", "NCCL_DEBUG=INFO", "--env", "A=b=c", "--arg=--train.torch_compile=false", "--arg=--log_all_rank", "--secret", "HF_TOKEN", "--retry", "cuda_oom=0", "--retry", "network_dns=9").want(t, exitDone)
	got := c.Submissions()[0]
	want := run.Options{Description: "two\nlines", Tags: []string{"b"}, Priority: 70, MaxDuration: 9000, Retries: 2, Env: map[string]string{"NCCL_DEBUG": "INFO", "A": "b=c"},
		Args: []string{"--train.torch_compile=false", "--log_all_rank"}, Secrets: run.SecretNames{"HF_TOKEN"}, Retry: run.RetryPolicy{"cuda_oom": 0, "network_dns": 9}}
	if diff := cmp.Diff(want, got.Options); diff != "" || got.Shape != (run.Shape{Nodes: 2, GPUs: 1, Site: "dc1"}) || got.Origin.Template != "debug" {
		t.Errorf("%+v\n%s", got, diff)
	}
}

func TestWithoutAFileTheCoresDefaultsAreChanged(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.cotrain("run", "submit", "--name", "x", "--set", "train.micro_bs=4", "--set", "nodes=3").want(t, exitDone)
	if got := c.Submissions()[0]; got.Config != "[train]\nmicro_bs = 4\n" || got.Shape.Nodes != 3 {
		t.Errorf("%+v", got)
	}
}

func TestARunIsClonedFromTheCommandLine(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.cotrain("run", "submit", "--preset", "debug-diloco", "--name", "first", "--set", "ckpt.path=out/{run}", "--set", "ckpt.interval=5", "--tags", "b,a").want(t, exitDone)
	runs, err := c.Runs(t.Context(), run.RunFilter{Projects: run.AllProjects(), Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	id := string(runs[0].ID)
	c.cotrain("run", "clone", id, "--set", "optim.total_steps=20", "--nodes", "4").want(t, exitDone)
	c.cotrain("run", "submit", "--clone", id, "--name", "third").want(t, exitDone)
	all := c.Submissions()
	if got := all[1]; got.Name != "first" || got.Shape.Nodes != 4 || !strings.Contains(got.Config, "total_steps = 20") || !strings.Contains(got.Config, `"out/{run}"`) || got.Origin.Clone != runs[0].ID {
		t.Errorf("%+v", got)
	}
	if got := all[2]; got.Name != "third" || got.Shape.Nodes != 2 || len(got.Options.Tags) != 2 {
		t.Errorf("%+v", got)
	}
	c.cotrain("run", "clone", "r-0000000000").want(t, exitNotFound, "No run has the ID")
	c.cotrain("run", "show", id).want(t, exitDone, "Tags", "a,b")
}

func TestADryRunTellsWhetherTheRunFits(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	d := run.DryRun{Fits: true, ParentJob: "cotrain-core-abc", Parent: run.ParentNew, Places: []run.Place{{Node: "n1\x1b[2J", NodeID: "0123456789", Datacenter: "dc1", Workers: 3}}}
	c.SetDryRun(d)
	c.cotrain("run", "submit", "--preset", "debug", "--set", "optim.warmup_steps=10", "--dry-run").want(t, exitDone, "Fits  yes: every worker would be placed now", "cotrain-core-abc, which would be registered", "\nNodes with room\nNODE", "n1", "dc1", "WORKERS", "warning: optim.warmup_steps")
	c.terminal = true
	if r := c.cotrain("run", "submit", "--preset", "debug", "--dry-run").want(t, exitDone); strings.Contains(r.out, "\x1b") {
		t.Errorf("%q", r.out)
	}
	d.Fits, d.Reason, d.Parent = false, "no node has 8 GPUs free", run.ParentUpdate
	c.SetDryRun(d)
	c.cotrain("run", "submit", "--preset", "debug", "--dry-run").want(t, exitFailed, "Fits  no: no node has 8 GPUs free", "a new version")
	if got := fromJSON[run.DryRun](t, c.cotrain("run", "submit", "--preset", "debug", "--name", "x", "--dry-run", "--format", "json").want(t, exitFailed)); got.Reason != d.Reason || got.Launch.Config == "" {
		t.Errorf("%+v", got)
	}
	c.cotrain("run", "submit", "--preset", "debug", "--dry-run", "--set", "optim.batch_size=15").want(t, exitRefused, "optim.batch_size", "multiple")
	c.cotrain("run", "submit", "--preset", "debug", "--dry-run", "--set", "optim.batch_size=x").want(t, exitUsage, "optim.batch_size")
	const bad = `--name = "caf\ufffd": must be valid UTF-8 text; use "caf"`
	c.cotrain("run", "submit", "--preset", "debug", "--dry-run", "--name", "caf\xe9").want(t, exitUsage, bad)
	c.cotrain("run", "submit", "--preset", "debug", "--dry-run", "--name=caf\xe9", "--env", "A=\xff", "--tags", "a\xff").want(t, exitUsage, bad, `--env = "A=\ufffd"`, `use "A="`, "--tags")
	if len(c.Submissions()) != 0 {
		t.Errorf("submitted: %+v", c.Submissions())
	}
}

func TestTheLaunchIsPrinted(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.SetLaunch(run.Launch{
		ParentJob: "cotrain-core-abc", Job: json.RawMessage(`{"ID":"cotrain-core-abc"}`), Meta: map[string]string{"run_id": "r-1"}, Script: "#!/bin/sh\nexec \"$@\"\n",
		Env: []run.EnvVar{{Name: "GLOBAL_RANK", Value: "<index>", From: "launch script"}, {Name: "A", Value: "\x1b[2J", From: "run"}}, Command: "torchrun train.py",
	})
	id := string(c.Add(run.Run{Config: "[train]\n"}))
	c.cotrain("run", "launch", id).want(t, exitDone, "cotrain-core-abc", "torchrun train.py", "Meta run_id", "GLOBAL_RANK", "<index>", "launch script")
	if r := c.cotrain("run", "launch", id, "--script").want(t, exitDone); r.out != "#!/bin/sh\nexec \"$@\"\n" {
		t.Errorf("%q", r.out)
	}
	if r := c.cotrain("run", "launch", id, "--job").want(t, exitDone); r.out != "{\n  \"ID\": \"cotrain-core-abc\"\n}\n" {
		t.Errorf("%q", r.out)
	}
	if r := c.cotrain("run", "launch", id, "--config").want(t, exitDone); r.out != "[train]\n" {
		t.Errorf("%q", r.out)
	}
	c.terminal = true
	if r := c.cotrain("run", "launch", id, "--env").want(t, exitDone); r.out != "GLOBAL_RANK=<index>\nA=\\x1b[2J\n" {
		t.Errorf("%q", r.out)
	}
	if got := fromJSON[run.Launch](t, c.cotrain("run", "launch", id, "--format", "json").want(t, exitDone)); len(got.Env) != 2 || got.Script == "" {
		t.Errorf("%+v", got)
	}
	if got := fromJSON[[]run.EnvVar](t, c.cotrain("run", "launch", id, "--env", "--format", "json").want(t, exitDone)); len(got) != 2 {
		t.Errorf("%+v", got)
	}
	c.cotrain("run", "launch", "r-0000000000").want(t, exitNotFound)
}

// words splits a line as a shell does, with a cotrain on the path that writes its arguments down.
func words(t *testing.T, line string) []string {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "args")
	script := "#!/bin/sh\nfor a in \"$@\"; do printf '%s\\0' \"$a\"; done > '" + file + "'\n"
	if err := os.WriteFile(filepath.Join(dir, "cotrain"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", line)
	cmd.Env = []string{"PATH=" + dir + ":/usr/bin:/bin"}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(data), "\x00"), "\x00")
}

func TestTheLineThatReproducesARunMakesTheSameRun(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.files["my.toml"] = "# mine\nproject = \"it's $HOME `x`\"\n[train]\nmicro_bs = 2\nac_ckpt = 1\n[optim]\nbatch_size = 64\nsched_type = \"wsd-sqrt\"\n[ckpt]\npath = \"out/{run}/x\"\ninterval = 100\n"
	for _, args := range [][]string{
		{"--preset", "7B-diloco", "--name", "plain"},
		{"--name", "defaults"},
		{"--name", "it's \"a\" $(name) `é` !", "--file", "my.toml", "--nodes", "3", "--gpus", "4", "--gpu-model", "NVIDIA H100 80GB HBM3", "--cpu", "4000", "--memory", "9000", "--site", "dc1",
			"--priority", "70", "--max-duration", "36h", "--retries", "3", "--tags", "b,a c", "--description", "one\n'two' \\ $X", "--env", "A=it's", "--env", "B=", "--env", "OUT=logs/{run}",
			"--arg=--train.torch_compile=false", "--arg=--optim.optim.lr", "--arg=7e-5", "--secret", "WANDB_API_KEY", "--secret", "HF_TOKEN"},
		{"--name=-x", "--description=--nodes", "--tags=-t", "--preset", "debug"},
		{"--name", "no GPUs", "--preset", "7B", "--gpus", "0", "--memory", "200000"},
	} {
		c.cotrain(append([]string{"run", "submit"}, args...)...).want(t, exitDone)
		runs, err := c.Runs(t.Context(), run.RunFilter{Projects: run.AllProjects(), Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		r := c.cotrain("run", "reproduce", string(runs[0].ID)).want(t, exitDone)
		typed := words(t, r.out)
		if typed[0] != "run" || typed[1] != "submit" {
			t.Fatalf("%q", typed)
		}
		c.cotrain(typed...).want(t, exitDone)
		all := c.Submissions()
		first, again := asRequest(t, all[len(all)-2]), asRequest(t, all[len(all)-1])
		if changes := again.Changes(first); len(changes) > 0 {
			t.Errorf("%s makes another run: %+v", r.out, changes)
		}
		if got := fromJSON[map[string]string](t, c.cotrain("run", "reproduce", string(runs[0].ID), "--format", "json")); got["command"]+"\n" != r.out {
			t.Errorf("%v", got)
		}
	}
	c.cotrain("run", "reproduce", "r-0000000000").want(t, exitNotFound)
}

func asRequest(t *testing.T, s run.Submission) trainconf.Request {
	t.Helper()
	r, err := trainconf.RequestOf(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAConsoleInTroubleIsWarnedOf(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	submit := []string{"run", "submit", "--name", "x", "--preset", "debug"}
	id := strings.TrimSpace(c.cotrain(submit...).want(t, exitDone).out)
	commands := [][]string{submit, append(submit, "--format", "json"), {"run", "clone", id}, {"run", "show", id}, {"run", "show", id, "--format", "json"},
		{"sweep", "submit", "--name", "x", "--preset", "debug", "--grid", "nodes=1,2"}}
	const warning = "cotrain: warning: The job file site.hcl cannot be used"
	for trouble, want := range map[string]int{"": 0, "The job file site.hcl cannot be used: no group. Runs start with its last usable version.": 1} {
		c.SetSystem(feed.System{Nomad: "ok", Store: "ok", Message: trouble})
		for _, args := range commands {
			if r := c.cotrain(args...).want(t, exitDone); strings.Count(r.errOut, warning) != want || strings.Contains(r.out, "job file") {
				t.Errorf("%v: stdout %q, stderr %q", args, r.out, r.errOut)
			}
		}
	}
}

func TestWhatASubmissionIsWarnedOfIsPrinted(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	source := []string{"--preset", "debug", "--set", "optim.warmup_steps=1000"}
	const warning = "cotrain: warning: optim.warmup_steps"
	do := func(args ...string) result { return c.cotrain(append(args, source...)...) }
	r := do("run", "submit", "--name", "x").want(t, exitDone, warning)
	id := strings.TrimSpace(r.out)
	c.cotrain("run", "clone", id).want(t, exitDone, warning)
	do("sweep", "submit", "--name", "x", "--grid", "nodes=1,2").want(t, exitDone, warning)
	do("template", "save", "mine").want(t, exitDone, warning)
	if got := fromJSON[client.SubmittedRun](t, do("run", "submit", "--name", "x", "--format", "json").want(t, exitDone)); len(got.Warnings) == 0 || got.Warnings[0].Field != "optim.warmup_steps" {
		t.Errorf("%+v", got.Warnings)
	}
}
