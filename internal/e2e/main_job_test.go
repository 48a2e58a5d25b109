package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/pgtest"
)

// short is a DiLoCo run of three workers that takes some seconds.
var short = []string{"--preset", "debug-diloco", "--nodes", "3", "--gpus", "0", "--set", "optim.total_steps=20", "--set", "diloco.inner_steps=5"}

func shortRun(name string, more ...string) []string {
	return append(append([]string{"--name", name}, short...), more...)
}

func TestARunFromTheCommandLineToItsLastMetric(t *testing.T) {
	t.Parallel()
	mainJob(t, devConsole(t, t.TempDir()))
}

func TestARunFromTheCommandLineToItsLastMetricOnPostgreSQL(t *testing.T) {
	t.Parallel()
	c := devConsole(t, t.TempDir(), "COTRAIN_DATABASE_URL="+pgtest.URL(t))
	if !strings.Contains(c.output(), `"is":"PostgreSQL `) {
		t.Errorf("the log does not say which database it is:\n%s", c.output())
	}
	mainJob(t, c)
	if code := c.interrupt(); code != 0 {
		t.Errorf("it stopped with code %d\n%s", code, c.output())
	}
}

func mainJob(t *testing.T, c *process) {
	t.Helper()
	for _, path := range []string{"/healthz", "/readyz"} {
		if status, body, err := c.get(path); err != nil || status != http.StatusOK {
			t.Errorf("%s: %d %s %v", path, status, body, err)
		}
	}
	out, errs, code := c.cli(append([]string{"run", "submit", "--follow"}, shortRun("followed")...)...)
	if code != 0 {
		t.Fatalf("code %d\n%s\n%s", code, out, errs)
	}
	if !strings.Contains(out, "step: 20") {
		t.Errorf("the log of the followed run does not reach step 20:\n%s", out)
	}
	list, _, code := c.cli("run", "list", "--format", "json")
	if code != 0 || !strings.Contains(list, `"followed"`) || !strings.Contains(list, `"succeeded"`) {
		t.Errorf("list: code %d\n%s", code, list)
	}
	runs, err := getJSON[struct{ Items []run.Run }](c, "/api/v1/runs")
	if err != nil || len(runs.Items) != 1 {
		t.Fatalf("%+v, %v", runs, err)
	}
	r := runs.Items[0]
	if r.Progress.Step != 20 || r.StepsTotal != 20 || !r.Progress.HasLoss || r.Progress.Loss <= 0 || r.Progress.TokensPerSec <= 0 {
		t.Errorf("final numbers are %+v", r.Progress)
	}
	m := c.metrics(r.ID)
	if got := len(m.Metrics["loss"]); got != 60 {
		t.Errorf("%d losses, want 20 of each of 3 workers", got)
	}
	logs, _, code := c.cli("run", "logs", string(r.ID), "--worker", "2")
	if code != 0 || !strings.Contains(logs, "Training finished") {
		t.Errorf("logs: code %d\n%s", code, logs)
	}
	if out, _, code := c.cli("run", "show", string(r.ID)); code != 0 || !strings.Contains(out, "succeeded") {
		t.Errorf("show: code %d\n%s", code, out)
	}
	if _, errs, code := c.cli("run", "show", "r-0000000000"); code != 3 || !strings.Contains(errs, "No run has the ID") {
		t.Errorf("show of nothing: code %d\n%s", code, errs)
	}
	c.checked()
}

func TestStoppingLetsWorkersSaveACheckpoint(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := devConsole(t, dir, "COTRAIN_TRAINER_PACE=50ms")
	ckpt := filepath.Join(dir, "ckpt")
	id := c.submit(shortRun("stopped", "--set", "optim.total_steps=5000", "--set", "ckpt.path="+ckpt, "--set", "ckpt.interval=2500")...)
	c.eventually("some steps are done", func() bool { return c.run(id).Progress.Step >= 3 })
	if _, errs, code := c.cli("run", "stop", string(id), "--wait"); code != 0 {
		t.Fatalf("stop: code %d\n%s", code, errs)
	}
	r := c.becomes(id, run.Stopped)
	if r.EndedAt.IsZero() {
		t.Error("it has no end")
	}
	found := false
	_ = filepath.WalkDir(ckpt, func(path string, _ os.DirEntry, err error) error {
		found = found || (err == nil && strings.HasSuffix(path, ".metadata"))
		return nil
	})
	if !found {
		t.Error("no checkpoint was saved on SIGTERM")
	}
	if _, errs, code := c.cli("run", "stop", string(id)); code != 4 {
		t.Errorf("stopping what is over: code %d\n%s", code, errs)
	}
	if _, errs, code := c.cli("run", "delete", string(id), "--yes"); code != 0 {
		t.Errorf("delete: code %d\n%s", code, errs)
	}
	if _, _, code := c.cli("run", "show", string(id)); code != 3 {
		t.Errorf("show of a deleted run: code %d", code)
	}
}

func TestEarlierRunsAreThereAfterCtrlCAndStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := devConsole(t, dir, "COTRAIN_TRAINER_PACE=50ms")
	finished := c.submit(shortRun("finished")...)
	c.becomes(finished, run.Succeeded)
	everyGPU := []string{"--nodes", "4", "--gpus", "2", "--set", "optim.total_steps=5000"}
	going := c.submit(shortRun("going", everyGPU...)...)
	retried := c.submit(shortRun("retried", "--set", "optim.total_steps=5000", "--retries", "1")...)
	c.eventually("both run", func() bool { return c.run(going).Progress.Step >= 2 && c.run(retried).Progress.Step >= 2 })
	waiting := c.submit(shortRun("waiting", everyGPU...)...)
	if code := c.interrupt(); code != 0 {
		t.Errorf("exit code %d after Ctrl-C", code)
	}
	if pids := trainers(t, dir); len(pids) > 0 {
		t.Errorf("trainers outlive the console: %v", pids)
	}
	c = devConsole(t, dir)
	if r := c.run(finished); r.State != run.Succeeded || r.Progress.Step != 20 {
		t.Errorf("the finished run is %s at step %d", r.State, r.Progress.Step)
	}
	if got := len(c.metrics(finished, "loss").Metrics["loss"]); got != 60 {
		t.Errorf("it has %d losses", got)
	}
	if r := c.run(going); r.State != run.Stopped || !strings.Contains(r.Reason, "stopped with the console") {
		t.Errorf("the run that was cut off is %s: %s", r.State, r.Reason)
	}
	c.eventually("what may be tried again goes on", func() bool { return c.run(retried).Attempt == 2 })
	c.eventually("what waited for GPUs has them", func() bool { r := c.run(waiting); return r.Attempt == 1 && r.Progress.Step >= 2 })
}

// trainers returns the trainer processes whose tasks live below dir.
func trainers(t *testing.T, dir string) []string {
	t.Helper()
	procs, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, p := range procs {
		if b, err := os.ReadFile(p); err == nil && strings.Contains(string(b), "trainer") && strings.Contains(string(b), dir) {
			out = append(out, filepath.Dir(p))
		}
	}
	return out
}
