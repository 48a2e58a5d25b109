package jobs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// shells run the script in every test; those that are missing are named by the test that skips.
var shells = []string{"dash", "bash", "sh"}

// launch is one run of the script on a pretended node.
type launch struct {
	shell string
	args  []string          // the command; nil for torchrun
	env   map[string]string // over the defaults; "-" unsets
	toml  string            // "" for a run without DiLoCo
	addr  string            // content of the worker0 file; "" for none
	dir   string            // set by prepare unless set: NOMAD_TASK_DIR
	bin   string            // set by prepare: where fake commands are
	proc  string            // set by prepare unless set: what stands for /proc
	// commands are more fake commands, by name.
	commands map[string]string
}

// fakeTrainer records what it was started with.
const fakeTrainer = `#!/bin/sh
for a in "$@"; do printf 'arg=%s\n' "$a"; done
env | grep -E '^(GLOBAL_|GLOO_|CUDA_|PYTHONPATH=|ZERO_BAND_|TORCH_|MY_|ct_)' | sort | sed 's/^/env=/'
printf 'pid=%s\npwd=%s\n' "$$" "$PWD"
exit ${FAKE_EXIT:-0}
`

const withDiLoCo = "name_model = \"150M\"\n\n  [diloco]\ninner_steps = 50\n"

// prepare makes the task directory and returns the command.
func (l *launch) prepare(t *testing.T, ctx context.Context) *exec.Cmd {
	t.Helper()
	shell, err := exec.LookPath(l.shell)
	if err != nil {
		t.Skipf("%s is not installed", l.shell)
	}
	l.bin = t.TempDir()
	if l.dir == "" {
		l.dir = t.TempDir()
	}
	if l.proc == "" {
		l.proc = t.TempDir()
	}
	if err := os.MkdirAll(filepath.Join(l.dir, "alloc", "data"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(l.dir, "launch.sh"), LaunchScript, 0o755)
	toml := l.toml
	if toml == "" {
		toml = "name_model = \"150M\"\n"
	}
	if toml != "none" {
		write(t, filepath.Join(l.dir, "config.toml"), toml, 0o644)
	}
	if l.addr != "" {
		write(t, filepath.Join(l.dir, "worker0"), l.addr, 0o644)
	}
	for _, name := range []string{"torchrun", "trainer"} {
		write(t, filepath.Join(l.bin, name), fakeTrainer, 0o755)
	}
	for name, text := range l.commands {
		write(t, filepath.Join(l.bin, name), text, 0o755)
	}
	env := map[string]string{
		"PATH": l.bin + string(os.PathListSeparator) + os.Getenv("PATH"), "NOMAD_TASK_DIR": l.dir, "NOMAD_ALLOC_INDEX": "1",
		"NOMAD_ALLOC_ID": "3f0d2a5e-alloc", "NOMAD_IP_rdzv": "127.0.0.2", "NOMAD_PORT_rdzv": "20001", "NOMAD_PORT_local": "29002",
		"NOMAD_ALLOC_DIR": filepath.Join(l.dir, "alloc"), "NOMAD_META_run_id": "r-0000000000", "NOMAD_META_attempt": "1", "COTRAIN_PROC_DIR": l.proc,
		"COTRAIN_NODES": "3", "COTRAIN_GPUS": "2", "COTRAIN_TRAINER": "src/train.py", "COTRAIN_RENDEZVOUS_TIMEOUT": "20",
	}
	for k, v := range l.env {
		env[k] = strings.NewReplacer("DIR", l.dir).Replace(v)
		if v == "-" {
			delete(env, k)
		}
	}
	cmd := exec.CommandContext(ctx, shell, append([]string{filepath.Join(l.dir, "launch.sh")}, l.args...)...)
	for k, v := range env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	return cmd
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// outcome is what came of it.
type outcome struct {
	code   int
	args   []string
	env    map[string]string
	events []map[string]any
	stdout string
	stderr string
	pwd    string
}

// patience is how long nothing may move, on a slow and busy machine, before a test gives up.
const patience = 2 * time.Minute

func (l launch) run(t *testing.T) (outcome, launch) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := l.prepare(t, ctx)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	o := outcome{code: cmd.ProcessState.ExitCode(), env: map[string]string{}, stdout: stdout.String(), stderr: stderr.String()}
	for line := range strings.Lines(o.stdout) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		switch key {
		case "arg":
			o.args = append(o.args, value)
		case "env":
			name, v, _ := strings.Cut(value, "=")
			o.env[name] = v
		case "pwd":
			o.pwd = value
		}
	}
	o.events = machineLines(t, o.stdout)
	return o, l
}

// machineLines decodes the lines that begin with COTRAIN.
func machineLines(t *testing.T, text string) (out []map[string]any) {
	t.Helper()
	for line := range strings.Lines(text) {
		js, ok := strings.CutPrefix(line, "COTRAIN ")
		if !ok {
			continue
		}
		var v map[string]any
		if err := json.Unmarshal([]byte(js), &v); err != nil || v["v"] != 1.0 {
			t.Fatalf("machine line %q: %v", line, err)
		}
		out = append(out, v)
	}
	return out
}

func (o outcome) event(name string) map[string]any {
	for _, e := range o.events {
		if e["name"] == name && e["kind"] == "event" {
			return e
		}
	}
	return nil
}

// checkLaunchEvent asserts that the event says the whole decision.
func (o outcome) checkLaunchEvent(t *testing.T, words []string, env map[string]string) {
	t.Helper()
	e := o.event("launch")
	if e == nil {
		t.Fatalf("no launch event in %q", o.stdout)
	}
	told := map[string]string{}
	said, _ := e["env"].(map[string]any)
	for k, v := range said {
		told[k] = v.(string)
	}
	if d := cmp.Diff(env, told); d != "" {
		t.Errorf("environment in the event: %s", d)
	}
	command, _ := e["command"].(string)
	// A shell reads the command as the words themselves.
	out, err := exec.CommandContext(t.Context(), "sh", "-c", `for a in `+command+`; do printf '%s\n' "$a"; done`).Output()
	if got := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n"); err != nil || !slices.Equal(got, words) {
		t.Errorf("command in the event is %q (%v), which reads as %q; want %q", command, err, got, words)
	}
}

func (l launch) command() string {
	if len(l.args) == 0 {
		return "torchrun"
	}
	return l.args[0]
}

// each runs a test with every shell.
func each(t *testing.T, test func(t *testing.T, shell string)) {
	t.Helper()
	seen := map[string]bool{}
	for _, shell := range shells {
		path, err := exec.LookPath(shell)
		if err == nil {
			if path, err = filepath.EvalSymlinks(path); err == nil && seen[path] {
				continue // sh is one of the others
			}
			seen[path] = true
		}
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			test(t, shell)
		})
	}
}

func TestLaunchStartsEachKindOfRun(t *testing.T) {
	t.Parallel()
	mesh := map[string]string{
		"GLOBAL_ADDR": "127.0.0.9", "GLOBAL_PORT": "25000", "GLOBAL_RANK": "1", "GLOBAL_WORLD_SIZE": "3", "GLOBAL_UNIQUE_ID": "3f0d2a5e-alloc",
	}
	for _, c := range []struct {
		name string
		launch
		args []string // "CONFIG" stands for @<task dir>/config.toml
		mesh map[string]string
	}{
		{"DiLoCo: a torchrun of its own on each worker", launch{toml: withDiLoCo, addr: "\n127.0.0.9 25000\n\n"},
			[]string{"--nproc_per_node=2", "--nnodes=1", "--node_rank=0", "--rdzv_endpoint=localhost:29002", "src/train.py", "CONFIG",
				"--data.data_rank", "1", "--data.data_world_size", "3"}, mesh},
		{"without DiLoCo several workers are one torchrun world", launch{addr: "\n127.0.0.9 25000\n"},
			[]string{"--nproc_per_node=2", "--nnodes=3", "--node_rank=1", "--rdzv_endpoint=127.0.0.9:25000", "src/train.py", "CONFIG"}, nil},
		{"one worker without GPUs is worker 0 itself", launch{env: map[string]string{"COTRAIN_NODES": "1", "COTRAIN_GPUS": "0", "NOMAD_ALLOC_INDEX": "0"}},
			[]string{"--nproc_per_node=1", "--nnodes=1", "--node_rank=0", "--rdzv_endpoint=localhost:29002", "src/train.py", "CONFIG"},
			map[string]string{"GLOBAL_ADDR": "127.0.0.2", "GLOBAL_PORT": "20001", "GLOBAL_RANK": "0", "GLOBAL_WORLD_SIZE": "1", "GLOBAL_UNIQUE_ID": "3f0d2a5e-alloc"}},
		{"worker 0 in a network of its own listens where that is", launch{env: map[string]string{"COTRAIN_NODES": "1", "COTRAIN_GPUS": "0", "NOMAD_ALLOC_INDEX": "0", "NOMAD_ALLOC_IP_rdzv": "127.0.0.7", "NOMAD_ALLOC_PORT_rdzv": "20007"}},
			[]string{"--nproc_per_node=1", "--nnodes=1", "--node_rank=0", "--rdzv_endpoint=localhost:29002", "src/train.py", "CONFIG"},
			map[string]string{"GLOBAL_ADDR": "127.0.0.7", "GLOBAL_PORT": "20007", "GLOBAL_RANK": "0", "GLOBAL_WORLD_SIZE": "1", "GLOBAL_UNIQUE_ID": "3f0d2a5e-alloc"}},
		{"a command of the site's own, resumed", launch{toml: withDiLoCo, addr: "127.0.0.9 25000\n", args: []string{"trainer", "a b", "$x"},
			env: map[string]string{"NOMAD_META_resume": "/ckpt/run \"1\"/step_100"}},
			[]string{"a b", "$x", "CONFIG", "--data.data_rank", "1", "--data.data_world_size", "3", "--ckpt.resume", "/ckpt/run \"1\"/step_100"}, mesh},
		{"a command without DiLoCo", launch{addr: "127.0.0.9 25000\n", args: []string{"trainer"}}, []string{"CONFIG"}, mesh},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, shell string) {
				l := c.launch
				l.shell = shell
				o, l := l.run(t)
				if o.code != 0 {
					t.Fatalf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
				}
				want := slices.Clone(c.args)
				want[slices.Index(want, "CONFIG")] = "@" + filepath.Join(l.dir, "config.toml")
				if d := cmp.Diff(want, o.args); d != "" {
					t.Error(d)
				}
				env := map[string]string{"PYTHONPATH": filepath.Join(l.dir, "shim"), "GLOO_SOCKET_IFNAME": "lo"}
				for k, v := range c.mesh {
					env[k] = v
				}
				if c.command() == "torchrun" {
					env["TORCH_ELASTIC_SHUTDOWN_TIMEOUT"] = "600" // the job does not say
				}
				if d := cmp.Diff(env, o.env); d != "" {
					t.Error(d)
				}
				o.checkLaunchEvent(t, append([]string{c.command()}, want...), env)
			})
		})
	}
}

func TestLaunchKnowsDiLoCoInEveryWayToWriteIt(t *testing.T) {
	t.Parallel()
	for toml, diloco := range map[string]bool{
		"[diloco]\ninner_steps = 5": true, "\t[ diloco ]\n": true, "diloco.inner_steps = 5\n": true, "diloco = { inner_steps = 5 }\n": true,
		"diloco= {inner_steps=5}": true, "[diloco.extra]\n": true, "# [diloco]\n": false, "[data]\npath = \"diloco\"\n": false,
		"[not_diloco]\n": false, "dilocos = 1\n": false,
	} {
		l := launch{shell: "sh", toml: toml, addr: "127.0.0.9 25000\n", args: []string{"trainer"}}
		o, _ := l.run(t)
		if got := slices.Contains(o.args, "--data.data_rank"); got != diloco || o.code != 0 {
			t.Errorf("%q: DiLoCo is %v, code %d", toml, got, o.code)
		}
	}
}

func TestLaunchSetsWhatTheSiteWants(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, shell string) {
		work := t.TempDir()
		o, l := launch{shell: shell, addr: "127.0.0.9 25000\n", args: []string{"trainer"}, env: map[string]string{
			"COTRAIN_INTERFACE": "eth7", "PYTHONPATH": "/opt/lib", "COTRAIN_WORK_DIR": work,
		}}.run(t)
		if o.env["GLOO_SOCKET_IFNAME"] != "eth7" || o.env["PYTHONPATH"] != filepath.Join(l.dir, "shim")+":/opt/lib" {
			t.Errorf("environment is %v", o.env)
		}
		if real, err := filepath.EvalSymlinks(work); err != nil || o.pwd != real && o.pwd != work {
			t.Errorf("started in %s, want %s", o.pwd, work)
		}
		o, _ = launch{shell: shell, addr: "127.0.0.9 25000\n", args: []string{"trainer"}, env: map[string]string{
			"COTRAIN_REAL_WANDB": "1", "PYTHONPATH": "/opt/lib",
		}}.run(t)
		if o.env["PYTHONPATH"] != "/opt/lib" {
			t.Errorf("with the real wandb PYTHONPATH is %q", o.env["PYTHONPATH"])
		}
	})
}

// fakeSleep makes a change to the worker0 file each time that the script waits: empty and half-written files are no address.
const fakeSleep = `#!/bin/sh
echo >>"$NOMAD_TASK_DIR/waits"
case $(wc -l <"$NOMAD_TASK_DIR/waits") in
1) printf '\n\n' ;;
2) printf '127.0.0.9\n' ;;
3) printf '\n127.0.0.9 25' ;;
4) printf '\n127.0.0.9 25000\n' ;;
*) printf 'too 1 late' ;;
esac >"$NOMAD_TASK_DIR/worker0"
`

func TestLaunchWaitsForWorker0(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, shell string) {
		o, l := launch{shell: shell, args: []string{"trainer"}, toml: withDiLoCo, commands: map[string]string{"sleep": fakeSleep}}.run(t)
		waits, err := os.ReadFile(filepath.Join(l.dir, "waits"))
		if err != nil || o.code != 0 || o.env["GLOBAL_ADDR"] != "127.0.0.9" || o.env["GLOBAL_PORT"] != "25000" || string(waits) != "\n\n\n\n" {
			t.Errorf("exit code %d after %d waits, %v: %s", o.code, len(waits), err, o.stdout)
		}
	})
}

func TestLaunchGivesUpWithAReason(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		launch
		code  int
		event string
		text  string
	}{
		{"worker 0 never registers", launch{args: []string{"trainer"}, env: map[string]string{"COTRAIN_RENDEZVOUS_TIMEOUT": "1"}}, 75, "rendezvous_timeout", "worker 0 has not registered within 1 s"},
		{"the command is missing", launch{addr: "h 1\n", args: []string{"/no/such \"trainer\""}}, 127, "command_missing", `the command /no/such "trainer" does not exist`},
		{"torchrun is missing", launch{addr: "h 1\n"}, 127, "command_missing", "torchrun is not in the PATH of this node's Nomad agent, or of the image: install PyTorch there, or set the console's COTRAIN_JOB_TRAIN_COMMAND"},
		{"the working directory is missing", launch{addr: "h 1\n", args: []string{"trainer"}, env: map[string]string{"COTRAIN_WORK_DIR": "/no/such/dir"}}, 78, "work_dir_missing", "/no/such/dir"},
		{"the configuration is missing", launch{addr: "h 1\n", args: []string{"trainer"}, toml: "none"}, 78, "config_missing", "config.toml"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, shell string) {
				l := c.launch
				l.shell = shell
				if l.command() == "torchrun" {
					l.env = map[string]string{"PATH": pathWithout(t, "torchrun")}
				}
				o, _ := l.run(t)
				e := o.event(c.event)
				if o.code != c.code || e == nil || !strings.Contains(e["message"].(string), c.text) || e["rank"] != 1.0 || e["exit_code"] != float64(c.code) {
					t.Errorf("exit code %d, events %v; want %d and %s with %q", o.code, o.events, c.code, c.event, c.text)
				}
				if !strings.Contains(o.stderr, c.text) {
					t.Errorf("stderr is %q", o.stderr)
				}
			})
		})
	}
}

// pathWithout is a folder with the commands of this machine but one.
func pathWithout(t *testing.T, command string) string {
	t.Helper()
	dir := t.TempDir()
	for _, from := range []string{"/usr/bin", "/bin"} {
		entries, err := os.ReadDir(from)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Name() == command {
				continue
			}
			if err := os.Symlink(filepath.Join(from, e.Name()), filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, os.ErrExist) {
				t.Fatal(err)
			}
		}
	}
	return dir
}

func TestLaunchReadsTheTimeThatNomadGives(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, shell string) {
		for _, c := range []struct{ kill, own, want string }{
			{"1m0s", "", "60"}, {"1h30m5s", "", "5405"}, {"45s", "", "45"}, {"1500ms", "", "600"}, {"2.5s", "", "600"}, {"0", "", "600"}, {"soon", "", "600"}, {"", "", "600"}, {"45s", "7", "7"},
		} {
			l := launch{shell: shell, addr: "h 1\n", env: map[string]string{"COTRAIN_KILL_TIMEOUT": c.kill}}
			if c.own != "" {
				l.env["TORCH_ELASTIC_SHUTDOWN_TIMEOUT"] = c.own
			}
			if o, _ := l.run(t); o.code != 0 || o.env["TORCH_ELASTIC_SHUTDOWN_TIMEOUT"] != c.want {
				t.Errorf("of %q torchrun is told %q, want %q; code %d\n%s", c.kill, o.env["TORCH_ELASTIC_SHUTDOWN_TIMEOUT"], c.want, o.code, o.stderr)
			}
		}
	})
}

func TestLaunchPassesSignalsAndExitCodesThrough(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, shell string) {
		if o, _ := (launch{shell: shell, addr: "h 1\n", args: []string{"trainer"}, env: map[string]string{"FAKE_EXIT": "9"}}).run(t); o.code != 9 {
			t.Errorf("exit code %d, want the trainer's", o.code)
		}
		// The trainer takes the place of the shell, so a signal to the task is a signal to it.
		ended := signalled(t, launch{shell: shell, addr: "h 1\n", args: []string{"sh", "-c", `trap 'exit 5' TERM; echo up; while :; do sleep 0.05; done`}}, "up\n")
		if ended.ExitCode() != 5 {
			t.Errorf("SIGTERM to the trainer ends with %v", ended)
		}
		// While it waits for worker 0 the script itself ends.
		ended = signalled(t, launch{shell: shell, args: []string{"trainer"}}, "rendezvous_waiting")
		if ended.ExitCode() != 143 {
			t.Errorf("SIGTERM while waiting ends with %v", ended)
		}
	})
}

// signalled starts the script, sends SIGTERM once it has printed text, and returns how it ended.
func signalled(t *testing.T, l launch, text string) *os.ProcessState {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := l.prepare(t, ctx)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var seen []byte
	for buf := make([]byte, 4096); !strings.Contains(string(seen), text); {
		n, err := out.Read(buf)
		seen = append(seen, buf[:n]...)
		if err != nil {
			t.Fatalf("%v after %q", err, seen)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // the exit code is what the caller looks at
	return cmd.ProcessState
}

func TestLaunchScriptIsCleanShell(t *testing.T) {
	t.Parallel()
	path, err := exec.LookPath("shellcheck")
	if err != nil {
		t.Skip("shellcheck is not installed")
	}
	if out, err := exec.CommandContext(t.Context(), path, "--shell=sh", "--enable=all", "--exclude=SC2250,SC2312,SC2310,SC2292,SC2154", "launch.sh").CombinedOutput(); err != nil {
		t.Errorf("%s", out)
	}
}

func TestScriptsHoldNothingThatATemplateWouldTake(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"launch.sh": LaunchScript, "shim": WandbShim} {
		if strings.Contains(text, "<<<cotrain:") || strings.Contains(text, ":cotrain>>>") {
			t.Errorf("%s holds a delimiter of the job file's template blocks", name)
		}
	}
}
