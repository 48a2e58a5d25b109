package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/run"
)

func TestMoreThanTheClusterHasWaitsWithTheReason(t *testing.T) {
	t.Parallel()
	c := devConsole(t, t.TempDir())
	for _, tc := range []struct {
		name string
		args []string
		want []string
	}{
		{"a GPU that nobody has", []string{"--nodes", "3", "--gpus", "2", "--gpu-model", "A100"}, []string{"3 nodes", "2 x A100"}},
		{"more GPUs than there are", []string{"--nodes", "64", "--gpus", "2"}, []string{"64 nodes"}},
		{"more memory than there is", []string{"--nodes", "1", "--gpus", "0", "--memory", "60000000"}, []string{"memory"}},
	} {
		id := c.submit(append([]string{"--name", tc.name, "--preset", "debug-diloco"}, tc.args...)...)
		c.eventually(tc.name+" has a reason", func() bool { r := c.run(id); return r.State == run.Queued && r.Reason != "" })
		for _, want := range tc.want {
			if r := c.run(id); !strings.Contains(r.Reason, want) {
				t.Errorf("%s: the reason %q does not say %q", tc.name, r.Reason, want)
			}
		}
		if _, errs, code := c.cli("run", "stop", string(id), "--wait"); code != 0 {
			t.Errorf("%s: stop: code %d\n%s", tc.name, code, errs)
		}
	}
}

func TestACommandThatIsMissingOnTheNodeIsNamed(t *testing.T) {
	t.Parallel()
	c := devConsole(t, t.TempDir(), "COTRAIN_JOB_TRAIN_COMMAND=/nonexistent/trainer")
	id := c.submit(shortRun("missing")...)
	r := c.becomes(id, run.Failed)
	if !strings.Contains(r.Reason, "127") {
		t.Errorf("the reason is %q", r.Reason)
	}
	logs, _, _ := c.cli("run", "logs", string(id))
	if !strings.Contains(logs, "/nonexistent/trainer does not exist on this node") {
		t.Errorf("the log does not name the command:\n%s", logs)
	}
}

func TestTrainersThatMisbehave(t *testing.T) {
	t.Parallel()
	single := []string{"--preset", "debug", "--nodes", "1", "--gpus", "0", "--set", "optim.total_steps=8"}
	for _, tc := range []struct {
		fault string
		want  run.State
		step  int64
	}{
		{"exit1@4", run.Failed, 4},
		{"cuda-oom@4", run.Failed, 4},
		{"garbage@3", run.Succeeded, 8},
		{"binary@3", run.Succeeded, 8},
		{"longline@3", run.Succeeded, 8},
		{"flood=100000@3", run.Succeeded, 8},
		{"silent", run.Succeeded, 0},
	} {
		t.Run(tc.fault, func(t *testing.T) {
			t.Parallel()
			c := devConsole(t, t.TempDir(), "COTRAIN_TRAINER_FAULT="+tc.fault)
			id := c.submit(append([]string{"--name", tc.fault}, single...)...)
			r := c.becomes(id, tc.want)
			if r.Progress.Step != tc.step {
				t.Errorf("it ended at step %d, want %d", r.Progress.Step, tc.step)
			}
			if tc.want == run.Failed && !strings.Contains(r.Reason, "exited with code 1") {
				t.Errorf("the reason is %q", r.Reason)
			}
			if tc.fault == "cuda-oom@4" && (r.Cause == nil || r.Cause.Category != "cuda_oom" || !strings.HasPrefix(r.Reason, "GPU memory ran out")) {
				t.Errorf("its cause is %+v: %s", r.Cause, r.Reason)
			}
			if strings.HasPrefix(tc.fault, "flood") {
				logs, _, code := c.cli("run", "logs", string(id))
				if n := strings.Count(logs, "\n"); code != 0 || n < 100_000 {
					t.Errorf("%d lines of the flood are stored, code %d", n, code)
				}
			}
			if status, _, err := c.get("/runs/" + string(id)); err != nil || status != http.StatusOK {
				t.Errorf("its page: %d, %v", status, err)
			}
		})
	}
}

func TestAPortInUseAndAFolderThatCannotBeWrittenEndWithCode2(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, env, want string }{
		{"a port in use", "COTRAIN_LISTEN=" + l.Addr().String(), "address already in use"},
		{"an address that is not loopback", "COTRAIN_LISTEN=0.0.0.0:8080", "loopback"},
		{"a data folder that cannot be made", "COTRAIN_DATA_DIR=" + filepath.Join(file, "data"), "data folder"},
		{"a data folder on a read-only file system", "COTRAIN_DATA_DIR=/proc/cotrain", "data folder"},
		{"a number that is none", "COTRAIN_DEV_NODES=many", "COTRAIN_DEV_NODES"},
	} {
		_, errs, code := command(t, []string{"COTRAIN_LISTEN=127.0.0.1:0", "COTRAIN_DATA_DIR=" + t.TempDir(), tc.env}, "server", "--dev")
		if code != 2 || !strings.Contains(errs, tc.want) {
			t.Errorf("%s: code %d, want 2 and %q:\n%s", tc.name, code, tc.want, errs)
		}
	}
	if _, errs, code := command(t, nil, "server", "--no-such-flag"); code != 2 || !strings.Contains(errs, "no-such-flag") {
		t.Errorf("an unknown flag: code %d\n%s", code, errs)
	}
}

func TestBadFlagsNameFieldRuleAndFix(t *testing.T) {
	t.Parallel()
	c := devConsole(t, t.TempDir())
	big := filepath.Join(t.TempDir(), "big.toml")
	if err := os.WriteFile(big, []byte("name_model = \"debugmodel\"\n[train]\n[data]\nfake = true\n# "+strings.Repeat("x", 17<<10)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"a name of 1000 characters", []string{"--preset", "debug", "--name", strings.Repeat("n", 1000)}, 4, "name"},
		{"no nodes", []string{"--preset", "debug", "--name", "x", "--nodes", "0"}, 2, "nodes"},
		{"a number that is none", []string{"--preset", "debug", "--name", "x", "--nodes", "many"}, 2, "nodes"},
		{"an unknown key", []string{"--preset", "debug", "--name", "x", "--set", "optim.learning=1"}, 2, "optim.learning"},
		{"a rule across fields", []string{"--preset", "debug", "--name", "x", "--set", "train.micro_bs=7"}, 4, "optim.batch_size"},
		{"an unknown preset", []string{"--preset", "nope", "--name", "x"}, 3, "nope"},
		{"a configuration over 16 KiB", []string{"--file", big, "--name", "x"}, 4, "16384"},
		{"a file that is not there", []string{"--file", big + ".no", "--name", "x"}, 2, "no such file"},
	} {
		out, errs, code := c.cli(append([]string{"run", "submit"}, tc.args...)...)
		if code != tc.code || !strings.Contains(errs, tc.want) {
			t.Errorf("%s: code %d, want %d and %q\n%s%s", tc.name, code, tc.code, tc.want, out, errs)
		}
		if len(errs) > 2000 {
			t.Errorf("%s: the message has %d bytes", tc.name, len(errs))
		}
	}
	if runs, err := getJSON[struct{ Items []run.Run }](c, "/api/v1/runs"); err != nil || len(runs.Items) != 0 {
		t.Errorf("refused runs were stored: %+v, %v", runs, err)
	}
	id := c.submit("--preset", "debug", "--nodes", "1", "--gpus", "0", "--name", "<img src=x onerror=alert(1)> 🚀 \u05e9\u05dc\u05d5\u05dd")
	status, page, err := c.get("/runs/" + string(id))
	if err != nil || status != http.StatusOK || strings.Contains(page, "<img src=x") {
		t.Errorf("the page of a run named with HTML: %d, %v", status, err)
	}
}

// anyPort is a free port of the loopback interface.
const anyPort = "127.0.0.1:0"

// agentConsole starts an agent of its own and a console that reaches it through a proxy that can be cut.
func agentConsole(t *testing.T, env ...string) (c *process, agent *process, cut *proxy, restart func(listen string) *process) {
	t.Helper()
	return agentConsoleOn(t, "", env...)
}

// agentConsoleOn is that with its database at an address; "" is SQLite.
func agentConsoleOn(t *testing.T, database string, env ...string) (c *process, agent *process, cut *proxy, restart func(listen string) *process) {
	t.Helper()
	dir := t.TempDir()
	agent = start(t, env, "agent", "--listen", "127.0.0.1:0", "--data-dir", filepath.Join(dir, "agent"))
	cut = newProxy(t, agent.addr)
	admin := &pass{}
	restart = func(listen string) *process {
		c := start(t, []string{
			"COTRAIN_LISTEN=" + listen, "COTRAIN_DATA_DIR=" + filepath.Join(dir, "console"), "COTRAIN_DATABASE_URL=" + database, "NOMAD_ADDR=http://" + cut.addr(),
			fmt.Sprintf("COTRAIN_JOB_TRAIN_COMMAND=%s trainer", binary),
		}, "server")
		c.admit(admin)
		return c
	}
	return restart(anyPort), agent, cut, restart
}

func TestNomadAwayInTheMiddleIsToldAndCaughtUpWith(t *testing.T) {
	t.Parallel()
	c, _, cut, _ := agentConsole(t, "COTRAIN_TRAINER_PACE=50ms")
	id := c.submit(shortRun("cut off", "--set", "optim.total_steps=60")...)
	c.eventually("some steps are done", func() bool { return c.run(id).Progress.Step >= 3 })
	cut.close()
	c.eventually("it is not ready", func() bool {
		status, _, err := c.get("/readyz")
		return err == nil && status == http.StatusServiceUnavailable
	})
	c.eventually("the page says so", func() bool { _, page, err := c.get("/"); return err == nil && strings.Contains(page, "not reachable") })
	queued := c.submit(shortRun("asked for while Nomad is away")...)
	c.eventually("the new run says so", func() bool {
		r := c.run(queued)
		return r.State == run.Queued && r.Reason == "Nomad unreachable, retrying"
	})
	cut.open()
	for _, id := range []run.ID{id, queued} {
		c.becomes(id, run.Succeeded)
	}
	if got := len(c.metrics(id, "loss").Metrics["loss"]); got != 180 {
		t.Errorf("%d losses, want 60 of each of 3 workers", got)
	}
}

func TestNomadAwayAtTheStartIsWaitedFor(t *testing.T) {
	t.Parallel()
	c, _, cut, restart := agentConsole(t)
	c.kill()
	cut.close()
	c = restart(anyPort)
	if status, _, err := c.get("/healthz"); err != nil || status != http.StatusOK {
		t.Errorf("healthz: %d, %v", status, err)
	}
	if status, _, err := c.get("/readyz"); err != nil || status != http.StatusServiceUnavailable {
		t.Errorf("readyz: %d, %v", status, err)
	}
	if status, _, err := c.get("/"); err != nil || status != http.StatusOK {
		t.Errorf("the list: %d, %v", status, err)
	}
	id := c.submit(shortRun("early")...)
	cut.open()
	c.becomes(id, run.Succeeded)
}
