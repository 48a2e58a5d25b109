package nomad

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/jobs"
)

// recorded prints its arguments and those variables that the launch script may set.
const recorded = "#!/bin/sh\nfor a in \"$0\" \"$@\"; do printf 'arg=%s\\n' \"$a\"; done\nenv | grep -E '^(GLOBAL_|GLOO_|CUDA_|PYTHONPATH=|TORCH_|MY_)' | sed 's/^/env=/'\n"

// runScript runs the launch script as worker 0 of a task with the given environment, and returns what the trainer got.
func runScript(t *testing.T, task map[string]string, command []string, d Dispatch) (words []string, env map[string]string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"launch.sh": jobs.LaunchScript, "config.toml": string(d.Payload), "bin/torchrun": recorded, "bin/trainer": recorded} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil { //nolint:gosec // a script to run
			t.Fatal(err)
		}
	}
	meta, err := d.Meta()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/bin/sh", append([]string{filepath.Join(dir, "launch.sh")}, command...)...)
	cmd.Env = []string{"PATH=" + dir + "/bin:/usr/bin:/bin", "NOMAD_TASK_DIR=" + dir, "NOMAD_ALLOC_INDEX=0", "NOMAD_ALLOC_ID=<allocation ID>",
		"NOMAD_IP_rdzv=127.0.0.1", "NOMAD_PORT_rdzv=20001", "NOMAD_PORT_local=29002", "NVIDIA_VISIBLE_DEVICES=<the worker's GPUs>", "COTRAIN_PROC_DIR=" + dir}
	for k, v := range task {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	for k, v := range meta {
		cmd.Env = append(cmd.Env, "NOMAD_META_"+k+"="+v)
	}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	env = map[string]string{}
	text := strings.NewReplacer(dir+"/bin/", "", dir, "<task folder>", "127.0.0.1:20001", "<worker 0's address>:<worker 0's port>", "127.0.0.1", "<worker 0's address>",
		"20001", "<worker 0's port>", "29002", "<local port>", "GLOO_SOCKET_IFNAME=lo\n", "GLOO_SOCKET_IFNAME=<the interface with the worker's address>\n").Replace(string(out))
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		switch key {
		case "arg":
			words = append(words, value)
		case "env":
			name, v, _ := strings.Cut(value, "=")
			env[name] = v
		}
	}
	return words, env
}

// TestALaunchIsDescribedAsTheScriptDoesIt holds the description of a start against the launch script itself.
func TestALaunchIsDescribedAsTheScriptDoesIt(t *testing.T) {
	t.Parallel()
	const diloco = "x = 1\n\t[ diloco ]\ninner_steps = 2\n"
	for _, c := range []struct {
		name    string
		nodes   int
		env     map[string]string
		command []string
		d       Dispatch
	}{
		{name: "one node", nodes: 1, d: Dispatch{Payload: []byte("x = 1")}},
		{name: "one node with GPUs, resumed", nodes: 1, env: map[string]string{"COTRAIN_GPUS": "4", "COTRAIN_KILL_TIMEOUT": "1m30s"}, d: Dispatch{Payload: []byte("x = 1"), Resume: "/a b/step_1"}},
		{name: "a world", nodes: 3, env: map[string]string{"COTRAIN_GPUS": "2"}, d: Dispatch{Payload: []byte("x = 1"), CheckpointPath: "/c", Args: []string{"--a", "it's"}}},
		{name: "DiLoCo", nodes: 3, env: map[string]string{"COTRAIN_GPUS": "2", "COTRAIN_DUMP_SIGNAL": "SIGUSR1", "PYTHONPATH": "/lib"}, d: Dispatch{Payload: []byte(diloco), CheckpointPath: "c/", Resume: "c/step_2"}},
		{name: "DiLoCo alone", nodes: 1, d: Dispatch{Payload: []byte("diloco.inner_steps = 2"), CheckpointPath: "/c"}},
		{name: "a command of the site", nodes: 2, command: []string{"trainer", "a b"}, d: Dispatch{Payload: []byte("x = 1")}},
		{name: "a trainer in a folder, and storage", nodes: 1, env: map[string]string{"COTRAIN_WORK_DIR": "/usr/lib/", "COTRAIN_STORAGE": "/tmp", "PYTHONPATH": "/lib"}, d: Dispatch{Payload: []byte("x = 1")}},
		{name: "a trainer in a folder, and no storage", nodes: 1, env: map[string]string{"COTRAIN_WORK_DIR": "/usr/lib"}, d: Dispatch{Payload: []byte("x = 1")}},
		{name: "a trainer in a folder, storage and the real wandb", nodes: 1, env: map[string]string{"COTRAIN_WORK_DIR": "/usr/lib", "COTRAIN_STORAGE": "/tmp", "COTRAIN_REAL_WANDB": "1"}, command: []string{"trainer", "x"}, d: Dispatch{Payload: []byte("x = 1")}},
		{name: "the site's interface and the real wandb", nodes: 2, env: map[string]string{"COTRAIN_INTERFACE": "eth7", "COTRAIN_REAL_WANDB": "1", "COTRAIN_GPUS": "1", "CUDA_VISIBLE_DEVICES": "0"},
			d: Dispatch{Payload: []byte(diloco)}},
		{name: "the run's environment", nodes: 2, env: map[string]string{"COTRAIN_INTERFACE": "eth7"},
			d: Dispatch{Payload: []byte(diloco), Env: map[string]string{"GLOO_SOCKET_IFNAME": "eth9", "PYTHONPATH": "/mine", "MY_X": "y z", "CUDA_VISIBLE_DEVICES": "3"}}},
		{name: "the node's interface", nodes: 2, env: map[string]string{"GLOO_SOCKET_IFNAME": "eth1"}, d: Dispatch{Payload: []byte(diloco)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.d.RunID, c.d.Attempt = "r-0000000000", 1
			task := map[string]string{"COTRAIN_TRAINER": "src/train.py", "COTRAIN_NODES": string(rune('0' + c.nodes)), "COTRAIN_GPUS": "0"}
			for k, v := range c.env {
				task[k] = v
			}
			args := []any{"${NOMAD_TASK_DIR}/launch.sh"}
			for _, a := range c.command {
				args = append(args, a)
			}
			l := worker0{task: &api.Task{Env: task, Config: map[string]any{"args": args}}, nodes: c.nodes, d: c.d, diloco: dilocoTable.Match(c.d.Payload)}
			words, env := runScript(t, task, c.command, c.d)
			out, err := exec.CommandContext(t.Context(), "/bin/sh", "-c", "for a in "+l.command()+`; do printf '%s\n' "$a"; done`).Output()
			if said := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n"); err != nil || !slices.Equal(said, words) {
				t.Errorf("%v %s", err, cmp.Diff(words, said))
			}
			said := map[string]string{}
			meta, _ := c.d.Meta() // checked by runScript
			for _, v := range l.env(meta) {
				if strings.HasPrefix(v.Name, "GLO") || strings.HasPrefix(v.Name, "TORCH_") || strings.HasPrefix(v.Name, "CUDA_") || strings.HasPrefix(v.Name, "MY_") || v.Name == "PYTHONPATH" {
					said[v.Name] = v.Value
				}
			}
			if d := cmp.Diff(env, said); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestALaunchNamesSecretsAndHoldsNone(t *testing.T) {
	t.Parallel()
	l := worker0{task: &api.Task{}, nodes: 1, d: Dispatch{Env: map[string]string{"A": "1"}, Secrets: []run.SecretRef{
		{In: run.InNomad, Path: "nomad/jobs/hub"}, {Env: "HF_TOKEN", In: run.InVault, Path: "secret/hub", Field: "token"},
	}}}
	vars := l.env(nil)
	var secrets []run.EnvVar
	for _, v := range vars {
		if v.From == fromSecret {
			secrets = append(secrets, v)
		}
	}
	if d := cmp.Diff([]run.EnvVar{
		{Name: "*", Value: "<every field of the Nomad variable nomad/jobs/hub>", From: fromSecret}, {Name: "HF_TOKEN", Value: "<token of secret/hub in Vault>", From: fromSecret},
	}, secrets); d != "" {
		t.Error(d)
	}
	if from := vars[0].From; from != fromRun || vars[len(vars)-1].From != fromScript {
		t.Errorf("environment is %+v", vars)
	}
}
