package e2e

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/run"
)

// memoryLimit makes a cgroup with so much memory, of the first or the second version, and returns the file that takes processes into it.
func memoryLimit(t *testing.T, bytes int) string {
	t.Helper()
	for _, v := range []struct{ root, limit string }{{"/sys/fs/cgroup/memory", "memory.limit_in_bytes"}, {"/sys/fs/cgroup", "memory.max"}} {
		dir, err := os.MkdirTemp(v.root, "cotrain-test-")
		if err != nil {
			continue
		}
		t.Cleanup(func() { _ = os.Remove(dir) }) // its processes are gone by then, or it stays
		if os.WriteFile(filepath.Join(dir, v.limit), []byte(strconv.Itoa(bytes)), 0o600) == nil {
			return filepath.Join(dir, "cgroup.procs")
		}
	}
	t.Skip("needs a memory cgroup that it may make")
	return ""
}

// TestAWorkerThatOutgrowsItsCgroupIsSaidToHaveRunOutOfMemory has the kernel kill a worker, which says so in its log alone.
func TestAWorkerThatOutgrowsItsCgroupIsSaidToHaveRunOutOfMemory(t *testing.T) {
	t.Parallel()
	if f, err := os.Open("/dev/kmsg"); err != nil {
		t.Skip("needs to read the kernel's log: ", err)
	} else if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	procs := memoryLimit(t, 200<<20)
	c := devConsole(t, t.TempDir(), "COTRAIN_TRAINER_PACE=100ms")
	id := c.submit("--name", "hungry", "--preset", "debug", "--nodes", "1", "--gpus", "0", "--retries", "0", "--set", "optim.total_steps=1000", "--env", "TRAINER_FAULT=eat@60")
	c.eventually("it trains", func() bool { return c.run(id).Progress.Step > 1 })
	moved := 0
	cmdlines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range cmdlines {
		args, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(args), "trainer\x00@") {
			continue
		}
		if env, err := os.ReadFile(filepath.Join(filepath.Dir(path), "environ")); err == nil && strings.Contains(string(env), "NOMAD_META_run_id="+string(id)+"\x00") {
			if err := os.WriteFile(procs, []byte(filepath.Base(filepath.Dir(path))), 0o600); err != nil {
				t.Fatal(err)
			}
			moved++
		}
	}
	if moved != 1 {
		t.Fatalf("%d trainers of %s were found", moved, id)
	}
	r := c.becomes(id, run.Failed)
	if r.Cause == nil || r.Cause.Category != "host_oom_sigkill" || r.Cause.Retryable {
		t.Errorf("its cause is %+v: %s", r.Cause, r.Reason)
	}
	if !strings.Contains(r.Reason, "memory") {
		t.Errorf("the reason is %q", r.Reason)
	}
}
