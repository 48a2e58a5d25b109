package jobs

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// python runs a program with the shim first on its path and returns what it printed.
func python(t *testing.T, program string, env ...string) (stdout, stderr string, code int) {
	t.Helper()
	path, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed: the metrics shim was not tested")
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "wandb", "__init__.py"), WandbShim, 0o644)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "-c", program)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "PYTHONPATH="+dir, "PYTHONDONTWRITEBYTECODE=1", "COTRAIN_SYSTEM_PERIOD=3600", "LOCAL_RANK=0",
		"NOMAD_META_run_id=r-0000000001", "COTRAIN_SAMPLER=")
	cmd.Env = append(cmd.Env, env...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	_ = cmd.Run() // the exit code is what the caller looks at
	return out.String(), errOut.String(), cmd.ProcessState.ExitCode()
}

func TestShimPrintsWhatTheTrainerLogs(t *testing.T) {
	t.Parallel()
	stdout, stderr, code := python(t, `
import wandb
class Tensor:
    def __init__(self, v): self.v = v
    def __float__(self): return self.v
run = wandb.init(project="zeroband", config={"lr": 4e-4, "optim": {"type": "adam"}}, name="n", resume="auto")
assert run.id == "r-0000000001" and run.config.lr == 4e-4 and wandb.config["lr"] == 4e-4 and bool(run)
wandb.log({"Loss": Tensor(4.125), "step": 12, "inner_lr": 1e-4, "mfu": 34.2, "ok": True, "text": "x", "none": None, "img": object()})
wandb.log({"a": {"b": 1, "c": {"d": 2.5}}, "v": 7, "kind": 8}, step=13, commit=True)
wandb.log({"Loss": float("nan"), "grad_norm": float("inf"), "neg": float("-inf"), "step": 14})
run.log({"Loss": 1.0})
wandb.finish()
`)
	if code != 0 || stderr != "" {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	want := []map[string]any{
		{"v": 1.0, "kind": "event", "name": "metrics_started", "message": "the trainer opened its metrics", "project": "zeroband", "resume": "auto"},
		{"v": 1.0, "kind": "metrics", "Loss": 4.125, "step": 12.0, "inner_lr": 1e-4, "mfu": 34.2, "ok": 1.0},
		{"v": 1.0, "kind": "metrics", "a.b": 1.0, "a.c.d": 2.5, "v_": 7.0, "kind_": 8.0, "step": 13.0},
		{"v": 1.0, "kind": "metrics", "Loss": "NaN", "grad_norm": "Infinity", "neg": "-Infinity", "step": 14.0},
		{"v": 1.0, "kind": "metrics", "Loss": 1.0},
		{"v": 1.0, "kind": "event", "name": "metrics_finished", "message": "the trainer closed its metrics"},
	}
	if d := cmp.Diff(want, machineLines(t, stdout)); d != "" {
		t.Error(d)
	}
}

func TestShimNeverRaisesIntoTheTrainer(t *testing.T) {
	t.Parallel()
	stdout, stderr, code := python(t, `
import os, wandb
class Bad:
    def __float__(self): raise RuntimeError("no")
class BadDict(dict):
    def items(self): raise RuntimeError("no")
wandb.log({"x": 1})                      # before init
wandb.init("p", {"a": 1}, "n", False, entity="e", mode="online", settings=wandb.Settings(start_method="fork"))
for data in (None, 3, [1], {"x": Bad()}, {None: 1, (1, 2): 2}, BadDict(a=1), {"deep": {"a": {"b": {"c": {"d": {"e": {"f": 1}}}}}}}):
    wandb.log(data)
wandb.init(config=5); wandb.init(config=None).config.update({"a": 1}, allow_val_change=True)
wandb.watch(object(), log="all"); wandb.define_metric("x", step_metric="y"); wandb.save("x"); wandb.alert(title="x")
wandb.run.log_artifact(wandb.Artifact("a", type="b")); wandb.Image([1]); wandb.Table(columns=["a"]).add_data(1)
wandb.log({"h": wandb.Histogram([1, 2]), "y": 2})
with wandb.init() as r: r.summary["best"] = 1; r.define_metric("x")
print("partial", end="")
wandb.log({"z": 3})
os.close(1)
wandb.log({"z": 4}); wandb.finish(exit_code=0, quiet=True); wandb.finish()
os._exit(0)
`)
	if code != 0 || stderr != "" {
		t.Fatalf("exit code %d: %s\n%s", code, stderr, stdout)
	}
	if !strings.Contains(stdout, `COTRAIN {"v":1,"kind":"metrics","y":2}`+"\n") || !strings.Contains(stdout, `partialCOTRAIN {"v":1,"kind":"metrics","z":3}`) {
		t.Errorf("stdout is %s", stdout)
	}
}

func TestShimStepsAsideForTheRealOne(t *testing.T) {
	t.Parallel()
	site := t.TempDir()
	write(t, filepath.Join(site, "wandb", "__init__.py"), "def init(**k): print('the real one')\n", 0o644)
	write(t, filepath.Join(site, "wandb", "sub.py"), "x = 1\n", 0o644)
	program := "import sys; sys.path.append(" + `"` + site + `"` + "); import wandb; wandb.init(project='p'); import wandb.sub; print(wandb.sub.x)"
	stdout, stderr, code := python(t, program, "COTRAIN_REAL_WANDB=1")
	if code != 0 || stdout != "the real one\n1\n" {
		t.Errorf("exit code %d: %s%s", code, stdout, stderr)
	}
	_, stderr, code = python(t, "import sys; sys.path = [p for p in sys.path if '-packages' not in p]; import wandb", "COTRAIN_REAL_WANDB=1")
	if code == 0 || !strings.Contains(stderr, "wandb is not installed here") {
		t.Errorf("without the real one: exit code %d: %s", code, stderr)
	}
}

// proc writes a pretended /proc.
func proc(t *testing.T, dir string, busy, rx, sectors string) {
	t.Helper()
	for name, text := range map[string]string{
		"stat":      "cpu  " + busy + " 0 0 1000 0 0 0 0 0 0\ncpu0 1 2 3\n",
		"meminfo":   "MemTotal:       1000 kB\nMemFree:  1 kB\nMemAvailable:    400 kB\n",
		"net/dev":   "Inter-|   Receive\n face |bytes\n    lo: 999 0 0 0 0 0 0 0 999 0 0 0 0 0 0 0\n  eth0: " + rx + " 0 0 0 0 0 0 0 7 0 0 0 0 0 0 0\n",
		"diskstats": "   8 0 cotrain0 1 0 " + sectors + " 0 1 0 0 0 0 0 0\n   7 0 loop0 1 0 999999 0 1 0 999999 0 0 0 0\n",
	} {
		write(t, filepath.Join(dir, name), text, 0o644)
	}
}

func TestShimSamplesTheMachine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	proc(t, filepath.Join(dir, "before"), "0", "1000", "10")
	proc(t, filepath.Join(dir, "after"), "500", "51000", "1010")
	now := filepath.Join(dir, "now")
	if err := os.Symlink("before", now); err != nil {
		t.Fatal(err)
	}
	// The change happens in the sampler's own thread, between two samples, so no machine is too slow for it.
	program := `
import os, threading, wandb
emit, count, enough = wandb._emit, 0, threading.Event()
def counting(kind, fields):
    global count
    emit(kind, fields)
    count += 1
    if count == 1 and "COTRAIN_AFTER" in os.environ:
        os.symlink(os.environ["COTRAIN_AFTER"], os.environ["COTRAIN_PROC_DIR"] + ".new")
        os.replace(os.environ["COTRAIN_PROC_DIR"] + ".new", os.environ["COTRAIN_PROC_DIR"])
    if count == 4: enough.set()
wandb._emit = counting
assert [t.daemon for t in threading.enumerate() if t.name == "cotrain-sampler"] == [True]
assert enough.wait(60)
`
	lines := func(env ...string) []map[string]any {
		stdout, stderr, code := python(t, program, append([]string{"COTRAIN_PROC_DIR=" + now, "COTRAIN_SYSTEM_PERIOD=0.2"}, env...)...)
		if code != 0 {
			t.Fatalf("exit code %d: %s", code, stderr)
		}
		return machineLines(t, stdout)
	}
	samples := lines("COTRAIN_AFTER=after")
	moved := false
	for _, s := range samples {
		if s["kind"] != "system" || s["memory_total_bytes"] != 1024000.0 || s["memory_used_bytes"] != 614400.0 {
			t.Errorf("sample %v", s)
		}
		if s["net_rx_bytes_per_second"] != 0.0 {
			moved = moved || s["cpu_percent"] == 100.0 && s["net_tx_bytes_per_second"] == 0.0 && s["disk_read_bytes_per_second"].(float64) > 0 && s["disk_write_bytes_per_second"] == 0.0
		}
	}
	if !moved {
		t.Errorf("no sample shows what changed: %v", samples)
	}
	t.Run("from what exists", func(t *testing.T) {
		if err := os.RemoveAll(filepath.Join(dir, "after", "net")); err != nil {
			t.Fatal(err)
		}
		for _, s := range lines() {
			if _, ok := s["net_rx_bytes_per_second"]; ok || s["memory_total_bytes"] == nil {
				t.Errorf("sample %v", s)
			}
		}
	})
}

func TestShimSamplesOnceForEachWorker(t *testing.T) {
	t.Parallel()
	program := `
import subprocess, sys, threading, wandb
print("here" if any(t.name == "cotrain-sampler" for t in threading.enumerate()) else "not here", flush=True)
if len(sys.argv) == 1: subprocess.run([sys.executable, "-c", "import threading, wandb; print(any(t.name == 'cotrain-sampler' for t in threading.enumerate()))"])
`
	if stdout, stderr, _ := python(t, program); stdout != "here\nFalse\n" {
		t.Errorf("in local rank 0 and its child: %s%s", stdout, stderr)
	}
	if stdout, stderr, _ := python(t, program, "LOCAL_RANK=1"); !strings.HasPrefix(stdout, "not here\n") {
		t.Errorf("in local rank 1: %s%s", stdout, stderr)
	}
}

// nanosecondsOf runs a program that prints one number on stderr.
func nanosecondsOf(b *testing.B, program string, n int) float64 {
	b.Helper()
	dir := b.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "wandb"), 0o755); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "wandb", "__init__.py"), []byte(WandbShim), 0o600); err != nil {
		b.Fatal(err)
	}
	cmd := exec.CommandContext(b.Context(), "python3", "-c", program, strconv.Itoa(n))
	cmd.Env = append(os.Environ(), "PYTHONPATH="+dir, "LOCAL_RANK=0")
	read, write, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	cmd.Stdout = write // a pipe that is read, as Nomad's is
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	_ = write.Close() // the process has its own
	if _, err := io.Copy(io.Discard, read); err != nil {
		b.Fatal(err)
	}
	_ = read.Close() // read to the end
	if err := cmd.Wait(); err != nil {
		b.Fatalf("%v: %s", err, errOut.String())
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(errOut.String()), 64)
	if err != nil {
		b.Fatal(err)
	}
	return v
}
