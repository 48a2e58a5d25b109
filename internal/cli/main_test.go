package cli

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/app"
	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/probe"
	"github.com/cotrain/cotrain/internal/reftrain"
	"github.com/cotrain/cotrain/internal/run"
)

var programs = Programs{
	Server: app.Serve, Agent: app.ServeAgent, CopyStore: app.CopyStore, CheckStore: app.CheckStore, VerifyLogs: app.VerifyLogs, MigrateLogs: app.MigrateLogs, ResetPassword: app.ResetPassword,
	SetupCluster: app.SetupCluster, CheckCluster: app.CheckCluster, Trainer: reftrain.Main, Probe: probe.Main,
}

// TestMain makes the program of the tests the program itself when its first argument is no flag, so that tests can start
// it, and so that a console in a test has a trainer.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") {
		os.Exit(Main(context.Background(), programs))
	}
	os.Exit(m.Run())
}

// binary runs the program itself, in a process of its own, to its end.
type binary struct {
	t    *testing.T
	path string
	addr string // of the console
	dir  string // where it works
}

func newBinary(t *testing.T, addr string) *binary {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return &binary{t, path, addr, t.TempDir()}
}

// cotrain runs a command.
func (b *binary) cotrain(args ...string) result {
	b.t.Helper()
	return b.exec(b.path, args...)
}

// shell runs a line in which cotrain is the program itself.
func (b *binary) shell(line string) result {
	b.t.Helper()
	link := filepath.Join(b.dir, "cotrain")
	if err := os.Symlink(b.path, link); err != nil && !errors.Is(err, os.ErrExist) {
		b.t.Fatal(err)
	}
	return b.exec("/bin/sh", "-c", line)
}

func (b *binary) exec(name string, args ...string) result {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	var out, errOut strings.Builder
	cmd.Stdout, cmd.Stderr, cmd.Dir = &out, &errOut, b.dir
	cmd.Env = []string{"COTRAIN_ADDR=http://" + b.addr, "PATH=" + b.dir + ":/usr/bin:/bin"}
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		b.t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errOut.String()}
}

func TestTheProgramConfiguresRunsOfARealConsole(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.url = ""
	srv := c.start("server", "--dev", "--dev-nodes", "3", "--dev-gpus=1", "--listen", "127.0.0.1:0", "--data-dir", t.TempDir())
	b := newBinary(t, srv.addr)
	small := []string{"--preset", "debug-diloco", "--gpus", "0", "--set", "data.seq_length=64"}
	submit := func(args ...string) result {
		return b.cotrain(append(append([]string{"run", "submit"}, small...), args...)...)
	}

	submit("--dry-run").want(t, exitDone, "every worker would be placed now", "would be registered", "local-1")
	submit("--dry-run", "--gpus", "2").want(t, exitFailed, "Fits  no: ", "2 x any GPU")
	submit("--dry-run", "--set", "optim.batch_size=15").want(t, exitRefused, `optim.batch_size = "15": must be a multiple of train.micro_bs (8)`)

	folder := filepath.Join(b.dir, "out") + "/{run}"
	done := submit("--name", "it's one", "--set", "ckpt.path="+folder, "--set", "ckpt.interval=5", "--tags", "b,a", "--env", "FOO=it's", "--retries", "1", "--follow").want(t, exitDone, "succeeded")
	id := strings.Fields(done.out)[2]
	if _, err := os.Stat(filepath.Join(b.dir, "out", id)); err != nil {
		t.Errorf("the run's own folder: %v", err)
	}
	b.cotrain("run", "launch", id).want(t, exitDone, "FOO", "it's", "GLOBAL_RANK", "trainer")
	b.cotrain("run", "launch", id, "--script").want(t, exitDone, "#!/bin/sh")

	line := b.cotrain("run", "reproduce", id).want(t, exitDone, "{run}").out
	again := strings.TrimSpace(b.shell(line).want(t, exitDone).out)
	if d := fromJSON[client.Diff](t, b.cotrain("diff", id, again, "--format", "json").want(t, exitDone)); len(d.Changes) != 0 {
		t.Errorf("%s makes another run: %+v", line, d.Changes)
	}
	clone := strings.TrimSpace(b.cotrain("run", "clone", id, "--nodes", "3", "--name", "three").want(t, exitDone).out)
	b.cotrain("diff", id, clone).want(t, exitDone, "nodes  2", "three")
	if r := fromJSON[client.RunDetail](t, b.cotrain("run", "show", clone, "--format", "json")).Run; r.Origin.Clone != run.ID(id) || !strings.HasSuffix(r.CheckpointPath, "/"+clone) {
		t.Errorf("%+v", r)
	}

	b.cotrain("template", "save", "mine", "--clone", id, "--new").want(t, exitDone, "mine@1")
	b.cotrain("template", "save", "mine", "--template", "mine", "--set", "optim.total_steps=10", "--after", "1").want(t, exitDone, "mine@2")
	b.cotrain("template", "diff", "mine").want(t, exitDone, "optim.total_steps")
	b.cotrain("template", "save", "7B", "--preset", "7B").want(t, exitRefused, "built-in preset")
	b.shell("cotrain template export mine > mine.toml && cotrain template import mine.toml --name other && cotrain diff template:mine template:other").want(t, exitDone, "other@1", "no difference")

	sweep := append([]string{"sweep", "submit", "--name", "lr", "--grid", "optim.optim.lr=1e-4,3e-4", "--parallel", "1", "--follow"}, small...)
	b.cotrain(sweep...).want(t, exitDone, "2 runs: 2 queued", "2 runs: 2 succeeded")
	id = strings.Fields(b.cotrain("sweep", "list").want(t, exitDone, "2 succeeded").out)[5]
	b.cotrain("sweep", "show", id).want(t, exitDone, "optim.optim.lr", "0.0003", "*")
	b.cotrain("sweep", "delete", id, "--yes").want(t, exitDone)
	b.cotrain("sweep", "show", id).want(t, exitNotFound)
	bad := append([]string{"sweep", "submit", "--name", "bs", "--grid", "optim.batch_size=16,15"}, small...)
	b.cotrain(bad...).want(t, exitRefused, "point 2", "must be a multiple of train.micro_bs (8)")
	if code := srv.stop(); code != exitDone {
		t.Errorf("exit code %d: %s", code, srv.errs.String())
	}
}
