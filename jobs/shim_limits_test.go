package jobs

import (
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestShimKnowsTheLimitsOfItsContainer pretends machines of 4 cores and 8 GiB with control groups of both versions.
func TestShimKnowsTheLimitsOfItsContainer(t *testing.T) {
	t.Parallel()
	const gib = 1 << 30
	v2 := func(memory, current, inactive, cpu, usage string) map[string]string {
		return map[string]string{"memory.max": memory, "memory.current": current, "memory.stat": "anon 5\ninactive_file " + inactive + "\nfile 1\n",
			"cpu.max": cpu, "cpu.stat": "usage_usec " + usage + "\nuser_usec 1\n"}
	}
	for _, c := range []struct {
		name   string
		cgroup string                       // /proc/self/cgroup
		groups map[string]map[string]string // files by folder below /sys/fs/cgroup
		total  float64
		used   float64
		cores  float64 // 0: the machine's ticks
		cpu    float64 // seconds used
	}{
		{name: "no control groups", total: 8 * gib, used: 2 * gib},
		{name: "version 2 without limits", cgroup: "0::/user.slice\n", groups: map[string]map[string]string{"user.slice": v2("max", "100", "0", "max 100000", "5")}, total: 8 * gib, used: 2 * gib},
		{name: "version 2 in a container", cgroup: "0::/\n", groups: map[string]map[string]string{"": v2("1073741824", "700000000", "100000000", "150000 100000", "2500000")},
			total: gib, used: 6e8, cores: 1.5, cpu: 2.5},
		{name: "version 2, limited above", cgroup: "0::/nomad/share/task\n", groups: map[string]map[string]string{
			"nomad/share/task": v2("max", "1", "0", "max 100000", "1"), "nomad/share": v2("2147483648", "500", "600", "200000 100000", "7000000"), "nomad": v2("4294967296", "9", "0", "300000 100000", "9")},
			total: 2 * gib, used: 0, cores: 2, cpu: 7},
		{name: "version 2, more than there is", cgroup: "0::/\n", groups: map[string]map[string]string{"": v2("99999999999", "5", "0", "800000 100000", "1")}, total: 8 * gib, used: 2 * gib},
		{name: "version 1 in a container", cgroup: "12:cpu,cpuacct:/docker/abc\n5:memory:/docker/abc\n1:name=systemd:/x\n", groups: map[string]map[string]string{
			"memory": {"memory.limit_in_bytes": "3221225472", "memory.usage_in_bytes": "2000000000", "memory.stat": "cache 1\ntotal_inactive_file 500000000\n"},
			"cpu":    {"cpu.cfs_quota_us": "50000", "cpu.cfs_period_us": "100000", "cpuacct.usage": "3000000000"}},
			total: 3 * gib, used: 1.5e9, cores: 0.5, cpu: 3},
		{name: "version 1 without limits", cgroup: "12:cpu,cpuacct:/\n5:memory:/\n", groups: map[string]map[string]string{
			"memory": {"memory.limit_in_bytes": "9223372036854771712", "memory.usage_in_bytes": "1", "memory.stat": ""},
			"cpu":    {"cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000", "cpuacct.usage": "3"}},
			total: 8 * gib, used: 2 * gib},
		{name: "rubbish", cgroup: "x\n0::/\n", groups: map[string]map[string]string{"": {"memory.max": "lots", "cpu.max": "1"}}, total: 8 * gib, used: 2 * gib},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			procDir, sysDir := t.TempDir(), t.TempDir()
			write(t, filepath.Join(procDir, "meminfo"), "MemTotal: 8388608 kB\nMemAvailable: 6291456 kB\n", 0o644)
			write(t, filepath.Join(procDir, "stat"), "cpu  10 0 20 70 0 0 0 0\ncpu0 1\ncpu1 1\ncpu2 1\ncpu3 1\nintr 5\n", 0o644)
			if c.cgroup != "" {
				write(t, filepath.Join(procDir, "self", "cgroup"), c.cgroup, 0o644)
			}
			for dir, files := range c.groups {
				for name, text := range files {
					write(t, filepath.Join(sysDir, "fs", "cgroup", dir, name), text, 0o644)
				}
			}
			program := `
import time, wandb
time.monotonic = lambda: 10.0
print(*wandb._memory(), *wandb._cpu())`
			stdout, stderr, code := python(t, program, "COTRAIN_PROC_DIR="+procDir, "COTRAIN_SYS_DIR="+sysDir)
			var got []float64
			for _, f := range strings.Fields(stdout) {
				v, err := strconv.ParseFloat(f, 64)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, v)
			}
			want := []float64{c.total, c.used, c.cpu, c.cores * 10}
			if c.cores == 0 {
				want = []float64{c.total, c.used, 30, 100}
			}
			if d := cmp.Diff(want, got); d != "" || code != 0 {
				t.Errorf("exit code %d: %s\n%s", code, stderr, d)
			}
		})
	}
}

func TestShimReadsThisMachine(t *testing.T) {
	t.Parallel()
	stdout, stderr, code := python(t, `
import wandb
total, used = wandb._memory()
assert 0 < used < total, (used, total)
a = wandb._snapshot()
sum(range(3000000))
b = wandb._snapshot()
out = wandb._between(a, b)
assert 0 <= out["cpu_percent"] <= 100, out
print("ok")`)
	if stdout != "ok\n" {
		t.Errorf("exit code %d: %s%s", code, stdout, stderr)
	}
}

func TestShimIsThereForCodeThatLooksDeeper(t *testing.T) {
	t.Parallel()
	stdout, stderr, code := python(t, `
import importlib, wandb
import wandb.sdk.lib
from wandb.integration.torch import wandb_torch
from wandb.errors import CommError
wandb.sdk.lib.anything("x", y=1).more()
assert not isinstance(3, wandb.Image)
assert wandb.AlertLevel.WARN is not None
wandb.util.generate_id()
try: import nosuchmodule
except ImportError: print("ok")
class Odd:
    def __bool__(self): raise RuntimeError("no")
    def __str__(self): raise RuntimeError("no")
wandb.init(Odd(), Odd(), Odd(), Odd()).log({"x": 1}, Odd())
`)
	if code != 0 || stderr != "" || !strings.HasPrefix(stdout, "ok\n") || !strings.Contains(stdout, `"kind":"metrics","x":1}`) {
		t.Errorf("exit code %d: %s%s", code, stdout, stderr)
	}
}

func TestShimDoesNotHangInAHandlerOrAFork(t *testing.T) {
	t.Parallel()
	stdout, stderr, code := python(t, `
import os, signal, threading, warnings, wandb
warnings.simplefilter("ignore")  # newer ones warn of a fork beside threads, which is what is tried here
signal.signal(signal.SIGUSR1, lambda *a: wandb.log({"from": 1}))
with wandb._lock:
    os.kill(os.getpid(), signal.SIGUSR1)
held, go = threading.Event(), threading.Event()
def hold():
    with wandb._lock:
        held.set(); go.wait(60)
t = threading.Thread(target=hold, daemon=True); t.start(); held.wait(60)
pid = os.fork()
if pid == 0:
    signal.alarm(20)
    wandb.log({"child": 1})
    os._exit(0)
status = os.waitpid(pid, 0)[1]
go.set(); t.join()
print("status", status)
`)
	if code != 0 || stderr != "" || !strings.Contains(stdout, `"from":1`) || !strings.Contains(stdout, `"child":1`) || !strings.HasSuffix(stdout, "status 0\n") {
		t.Errorf("exit code %d: %s%s", code, stdout, stderr)
	}
}

// BenchmarkShimLog measures one call of wandb.log with what CotrainCore logs at a step, inside of Python: the budget is
// 1 ms.
func BenchmarkShimLog(b *testing.B) {
	if _, err := exec.LookPath("python3"); err != nil {
		b.Skip("python3 is not installed")
	}
	program := `
import os, sys, time, wandb
n = int(sys.argv[1])
wandb.init(project="zeroband", config={"lr": 4e-4})
class Tensor:
    def __float__(self): return 4.125
data = {"Loss": Tensor(), "step": 12, "inner_lr": 1e-4, "Perplexity": 61.8, "total_tokens": 123456789, "time": time.time(),
        "grad_norm": 1.5, "tokens_per_second": 51234.5, "mfu": 34.2, "diloco_peers": 4, "a": {"b": 1, "c": 2.5}}
begin = time.perf_counter()
for i in range(n): wandb.log(data, step=i)
print((time.perf_counter() - begin) * 1e9 / n, file=sys.stderr)`
	for b.Loop() {
		b.StopTimer() // starting Python is no part of it
		took := nanosecondsOf(b, program, 5000)
		b.ReportMetric(took, "ns/log")
		b.StartTimer()
	}
}
