package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/run"
)

// torchrunConsole starts a console whose runs are started by this machine's torchrun, with testdata/train.py.
func torchrunConsole(t *testing.T) *process {
	t.Helper()
	if testing.Short() {
		t.Skip("short")
	}
	if _, err := exec.LookPath("torchrun"); err != nil {
		t.Skip("torchrun is not installed")
	}
	script, err := filepath.Abs(filepath.Join("testdata", "train.py"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	agent := start(t, []string{
		"OMP_NUM_THREADS=1",
		// Debian's PyTorch 1.13 stumbles over torchrun's own defaults on its Python 3.11. This says the same: no redirection.
		"PET_REDIRECTS=9:1", "PET_TEE=9:1",
	}, "agent", "--listen", anyPort, "--data-dir", filepath.Join(dir, "agent"))
	c := start(t, []string{
		"COTRAIN_LISTEN=" + anyPort, "COTRAIN_DATA_DIR=" + filepath.Join(dir, "console"), "NOMAD_ADDR=http://" + agent.addr, "COTRAIN_JOB_TRAINER=" + script,
	}, "server")
	c.admit(&pass{})
	return c
}

// torch submits a run of so many steps.
func (p *process) torch(name string, args ...string) run.ID {
	return p.submit(append([]string{"--name", name, "--set", "optim.warmup_steps=1"}, args...)...)
}

// lines returns what the workers of a run have logged that begins with a text, by rank.
func (p *process) lines(id run.ID, prefix string) map[int][]string {
	p.t.Helper()
	out, errs, code := p.cli("run", "logs", string(id), "--format", "json")
	if code != 0 {
		p.t.Fatalf("logs of %s: code %d\n%s", id, code, errs)
	}
	found := map[int][]string{}
	for line := range strings.Lines(out) {
		var l run.LogLine
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			p.t.Fatalf("%v in %q", err, line)
		}
		if _, message, ok := strings.Cut(l.Text, "[Rank 0] "); ok && strings.HasPrefix(message, prefix) {
			found[l.Rank] = append(found[l.Rank], message)
		}
	}
	return found
}

func (p *process) workers(id run.ID) []run.Worker {
	p.t.Helper()
	got, err := getJSON[struct{ Workers []run.Worker }](p, "/api/v1/runs/"+string(id))
	if err != nil {
		p.t.Fatal(err)
	}
	return got.Workers
}

func TestTorchrun(t *testing.T) {
	t.Parallel()
	c := torchrunConsole(t)
	diloco := []string{"--preset", "debug-diloco", "--nodes", "3", "--gpus", "0", "--set", "diloco.inner_steps=5", "--set", "optim.total_steps=20"}
	world := []string{"--preset", "debug", "--gpus", "0", "--set", "optim.total_steps=20"}

	// A run at a time: each is a few processes that load PyTorch.
	t.Run("one node with two processes", func(t *testing.T) {
		id := c.torch("two processes", append(world, "--gpus", "2")...)
		r := c.becomes(id, run.Succeeded)
		if got := c.lines(id, "world of"); r.Reason != "" || r.Progress.Step != 20 || len(got[0]) != 1 || got[0][0] != "world of 2" {
			t.Errorf("%q at step %d, %v", r.Reason, r.Progress.Step, got)
		}
	})
	t.Run("a world of two nodes", func(t *testing.T) {
		id := c.torch("two nodes", append(world, "--nodes", "2")...)
		r := c.becomes(id, run.Succeeded)
		got := c.lines(id, "parameters")
		if r.Reason != "" || r.Progress.Step != 20 || len(got) != 2 || got[0][0] != got[1][0] || c.lines(id, "world of")[1][0] != "world of 2" {
			t.Errorf("%q at step %d, %v", r.Reason, r.Progress.Step, got)
		}
	})
	t.Run("three DiLoCo workers that average", func(t *testing.T) {
		id := c.torch("mesh", diloco...)
		r := c.becomes(id, run.Succeeded)
		got := c.lines(id, "parameters")
		if r.Reason != "" || r.Progress.Step != 20 || len(got) != 3 || got[0][0] != got[1][0] || got[0][0] != got[2][0] {
			t.Errorf("%q at step %d, %v", r.Reason, r.Progress.Step, got)
		}
	})
	t.Run("a worker of the mesh is killed", func(t *testing.T) {
		id := c.torch("killed", append(diloco, "--env", "FAULT=1:8:-9", "--retries", "1")...)
		r := c.becomes(id, run.Succeeded)
		if !strings.HasPrefix(r.Reason, "finished, but worker 1 (") || !strings.HasSuffix(r.Reason, " was ended by signal 9 (step 7)") || r.Retried != 0 {
			t.Errorf("it ended as %q after %d retries", r.Reason, r.Retried)
		}
	})
	t.Run("a process of a world fails", func(t *testing.T) {
		id := c.torch("failed", append(world, "--gpus", "2", "--env", "FAULT=0:8:7")...)
		r := c.becomes(id, run.Failed)
		if !strings.HasSuffix(r.Reason, " exited with code 7") {
			t.Errorf("it ended as %q", r.Reason)
		}
	})
	t.Run("a stop lets the workers save", func(t *testing.T) {
		id := c.torch("stopped", append(diloco, "--set", "optim.total_steps=100000", "--env", "PACE=0.05", "--env", "SAVE=2")...)
		c.eventually("it trains", func() bool { return c.run(id).Progress.Step > 0 })
		if _, errs, code := c.cli("run", "stop", string(id)); code != 0 {
			t.Fatalf("stop: code %d\n%s", code, errs)
		}
		r := c.becomes(id, run.Stopped)
		saved := c.lines(id, "saved")
		if r.Reason != "" || len(saved) != 3 {
			t.Errorf("it ended as %q, saved %v", r.Reason, saved)
		}
		for _, w := range c.workers(id) {
			if !strings.HasSuffix(w.Failure(), " was stopped") {
				t.Errorf("%s: %+v", w.Failure(), w)
			}
		}
	})
}

func TestAMissingTorchrunIsNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	// The agent's PATH has what the launch script needs, and no torchrun.
	bin := filepath.Join(dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"sh", "cat", "sed", "tr", "grep", "cut", "head", "sort", "env", "printenv", "date", "sleep", "ip"} {
		if path, err := exec.LookPath(name); err == nil {
			if err := os.Symlink(path, filepath.Join(bin, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	agent := start(t, []string{"PATH=" + bin}, "agent", "--listen", anyPort, "--data-dir", filepath.Join(dir, "agent"))
	c := start(t, []string{"COTRAIN_LISTEN=" + anyPort, "COTRAIN_DATA_DIR=" + filepath.Join(dir, "console"), "NOMAD_ADDR=http://" + agent.addr}, "server")
	c.admit(&pass{})
	id := c.submit("--preset", "debug", "--name", "no torchrun", "--nodes", "1", "--gpus", "0", "--retries", "2")
	r := c.becomes(id, run.Failed)
	for _, want := range []string{"exited with code 127", "The command torchrun does not exist on this node", "unchanged it would fail in the same way"} {
		if !strings.Contains(r.Reason, want) {
			t.Errorf("the reason %q does not say %q", r.Reason, want)
		}
	}
	if r.Cause == nil || r.Cause.Retryable || !strings.Contains(r.Cause.Hint, "COTRAIN_JOB_TRAIN_COMMAND") {
		t.Errorf("its cause is %+v", r.Cause)
	}
}
