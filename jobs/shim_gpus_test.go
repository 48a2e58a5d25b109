package jobs

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestShimReadsTheClocksOfItsGPUs(t *testing.T) {
	t.Parallel()
	const two = `echo "GPU-aaaa, 1980, 2619, 0x0000000000000000"; echo "GPU-bbbb, 1200, 2619, 0x0000000000000060"; echo "GPU-cccc, [N/A], [N/A], 0x0000000000000004"`
	for _, test := range []struct {
		name, script, visible string
		want                  map[string]float64
	}{
		{"all", two, "", map[string]float64{
			"gpu0/clock_sm_mhz": 1980, "gpu0/clock_memory_mhz": 2619, "gpu0/throttled": 0, "gpu1/clock_sm_mhz": 1200, "gpu1/clock_memory_mhz": 2619, "gpu1/throttled": 1, "gpu2/throttled": 0,
		}},
		{"those that it has, in its order", two, "CUDA_VISIBLE_DEVICES=GPU-bbbb,GPU-aaaa", map[string]float64{
			"gpu0/clock_sm_mhz": 1200, "gpu0/clock_memory_mhz": 2619, "gpu0/throttled": 1, "gpu1/clock_sm_mhz": 1980, "gpu1/clock_memory_mhz": 2619, "gpu1/throttled": 0,
		}},
		{"by number, beside a slice of one", two, "CUDA_VISIBLE_DEVICES=MIG-x, 0", map[string]float64{"gpu1/clock_sm_mhz": 1980, "gpu1/clock_memory_mhz": 2619, "gpu1/throttled": 0}},
		{"none of them", two, "CUDA_VISIBLE_DEVICES=", map[string]float64{}},
		{"a driver that fails", "exit 9", "", map[string]float64{}},
		{"nonsense", `echo "Failed to initialize NVML"; echo ",,,"; printf '\377, 1, 2, zz\n'`, "", map[string]float64{"gpu1/clock_sm_mhz": 1, "gpu1/clock_memory_mhz": 2}},
		{"no driver", "", "", map[string]float64{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			bin := t.TempDir()
			asked := filepath.Join(bin, "asked")
			if test.script != "" {
				write(t, filepath.Join(bin, "nvidia-smi"), "#!/bin/sh\necho x >>"+asked+"\n"+test.script+"\n", 0o755)
			}
			env := []string{"PATH=" + bin + ":/usr/bin:/bin"}
			if test.visible != "" {
				env = append(env, test.visible)
			} else {
				env = append(env, "UNSET=1")
			}
			stdout, stderr, code := python(t, `
import json, os, wandb
if "UNSET" in os.environ: os.environ.pop("CUDA_VISIBLE_DEVICES", None)
for _ in range(5): out = wandb._gpus()
print(json.dumps(out))`, env...)
			var got map[string]float64
			if err := json.Unmarshal([]byte(stdout), &got); err != nil || code != 0 {
				t.Fatalf("exit code %d: %s%s", code, stdout, stderr)
			}
			if d := cmp.Diff(test.want, got); d != "" {
				t.Error(d)
			}
			text, _ := os.ReadFile(asked) // absent where it is not to be asked
			if n := strings.Count(string(text), "x"); test.name == "a driver that fails" && n != 3 {
				t.Errorf("a driver that fails was asked %d times", n)
			}
		})
	}
}

func TestShimCountsItsOpenFiles(t *testing.T) {
	t.Parallel()
	stdout, stderr, code := python(t, `
import os, subprocess, wandb
os.setpgrp()
before = wandb._open_files()
files = [open(os.devnull) for _ in range(50)]
child = subprocess.Popen(["sleep", "600"], close_fds=True)
after = wandb._open_files()
child.kill()
child.wait()
assert before > 0 and 50 <= after - before <= 60, (before, after)
print("ok")`)
	if stdout != "ok\n" {
		t.Errorf("exit code %d: %s%s", code, stdout, stderr)
	}
}
