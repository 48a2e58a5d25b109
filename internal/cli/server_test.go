package cli

import (
	"context"
	"encoding/json"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/config"
)

// background is a command that goes on until stop.
type background struct {
	t      *testing.T
	cancel context.CancelFunc
	errs   *output
	done   chan int
	addr   string
}

// start runs a command and waits until it says that it listens.
func (c *console) start(args ...string) *background {
	c.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	b := &background{c.t, cancel, &output{}, make(chan int, 1), ""}
	p := c.process(&output{}, b.errs, args...)
	go func() { b.done <- p.run(ctx) }() // awaited by stop
	c.t.Cleanup(func() { b.stop() })
	for deadline := time.Now().Add(time.Minute); b.addr == ""; time.Sleep(5 * time.Millisecond) {
		for line := range strings.Lines(b.errs.String()) {
			var entry struct{ Msg, Addr string }
			if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "listening" {
				b.addr = entry.Addr
			}
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("%v does not listen: %s", args, b.errs.String())
		}
	}
	return b
}

// stop ends the command as a signal does, and returns its exit code.
func (b *background) stop() int {
	b.t.Helper()
	b.cancel()
	select {
	case code := <-b.done:
		b.done <- code // for the next stop
		return code
	case <-time.After(time.Minute):
		b.t.Fatalf("does not stop: %s", b.errs.String())
		return -1
	}
}

func TestTheServerServesTheCommandLineAndStopsCleanly(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.url = ""
	dir := t.TempDir()
	srv := c.start("server", "--dev", "--dev-nodes", "3", "--dev-gpus=1", "--listen", "127.0.0.1:0", "--data-dir", dir)
	if r := c.cotrain("node", "list", "--addr", srv.addr).want(t, exitDone, "simulated"); strings.Count(r.out, "\n") != 4 {
		t.Errorf("%s", r.out)
	}
	c.cotrain("run", "list", "--addr", "http://"+srv.addr).want(t, exitDone, "no runs")

	c.cotrain("server", "--listen", srv.addr, "--data-dir", t.TempDir()).want(t, exitUsage, "already in use", srv.addr)
	c.cotrain("server", "--dev", "--listen", "127.0.0.1:0", "--data-dir", dir).want(t, exitUsage, "in use by another console", "COTRAIN_DATA_DIR")
	if code := srv.stop(); code != exitDone {
		t.Errorf("exit code %d: %s", code, srv.errs.String())
	}
	c.cotrain("run", "list", "--addr", srv.addr).want(t, exitFailed, "refused")
}

func TestADataFolderThatCannotBeWrittenIsSaid(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c.cotrain("server", "--dev", "--listen", "127.0.0.1:0", "--data-dir", filepath.Join(file, "data")).want(t, exitUsage, "data folder", file)
	c.cotrain("agent", "--listen", "127.0.0.1:0", "--data-dir", filepath.Join(file, "data")).want(t, exitUsage, file)
	t.Run("a folder without the right to write", func(t *testing.T) {
		if os.Getuid() == 0 {
			t.Skip("root writes everywhere")
		}
		dir := filepath.Join(t.TempDir(), "read-only")
		if err := os.Mkdir(dir, 0o500); err != nil {
			t.Fatal(err)
		}
		c.cotrain("server", "--dev", "--listen", "127.0.0.1:0", "--data-dir", dir).want(t, exitUsage, "cannot be written")
	})
}

func TestEverySettingIsAFlagThatReachesTheConfiguration(t *testing.T) {
	t.Parallel()
	flags := newFlags(config.Settings())
	v := reflect.ValueOf(flags).Elem()
	names := map[string]bool{}
	for i := range v.NumField() {
		names["--"+v.Type().Field(i).Tag.Get("name")] = true
		if f := v.Field(i); f.Kind() == reflect.String {
			f.SetString("given")
		} else {
			f.Set(reflect.ValueOf(new(bool)))
		}
	}
	given := givenFlags(flags, config.Settings())
	keys := []string{"config"}
	for _, s := range config.Settings() {
		keys = append(keys, s.Keys()...)
	}
	for _, key := range keys {
		flag := config.Setting{Key: key}.Flag()
		if _, ok := given[key]; !names[flag] || !ok {
			t.Errorf("setting %s has the flag %s: %t, which is given: %t", key, flag, names[flag], ok)
		}
	}
	if len(given) != len(keys) || given["config"] != "given" || given["dev"] != "false" {
		t.Errorf("%v", given)
	}
	if got := givenFlags(newFlags(config.Settings()), config.Settings()); len(got) != 0 {
		t.Errorf("flags that were not given: %v", got)
	}
}

func TestVariablesOfPostgreSQLAreNotedAndABadURLIsNotShown(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.env = map[string]string{"PGHOST": "db.example"}
	start := func() (int, string) {
		var errs output
		p := c.process(&output{}, &errs, "server")
		p.programs.Server = func(context.Context, config.Config, string, *slog.Logger) error { return nil }
		return p.run(t.Context()), errs.String()
	}
	if code, errs := start(); code != exitDone || !strings.Contains(errs, `"level":"INFO","msg":"PGHOST set, but not database.url`) {
		t.Errorf("exit code %d: %s", code, errs)
	}
	c.env["COTRAIN_DATABASE_URL"] = "postgres://u:hunter2@h/d?x=1"
	if code, errs := start(); code != exitUsage || !strings.Contains(errs, "COTRAIN_DATABASE_URL") || strings.Contains(errs, "hunter2") {
		t.Errorf("exit code %d: %s", code, errs)
	}
}

// ask sends a request to an agent and returns the status.
func ask(t *testing.T, dial func(context.Context, string, string) (net.Conn, error), method, target string, headers ...string) int {
	t.Helper()
	tr := &http.Transport{DialContext: dial}
	defer tr.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), method, target, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
	}
	res, err := (&http.Client{Transport: tr}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.StatusCode
}

func TestTheAgentAnswersOnALoopbackPortAndKeepsPagesOut(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	agent := c.start("agent", "--listen", "127.0.0.1:0", "--data-dir", t.TempDir(), "--nodes", "2", "--gpus", "0")
	target := "http://" + agent.addr + "/v1/nodes"
	if got := ask(t, nil, "GET", target); got != 200 {
		t.Errorf("status %d", got)
	}
	for name, headers := range map[string][]string{
		"a page's request":          {"Origin", "http://evil.example"},
		"a page of the same origin": {"Origin", "http://" + agent.addr},
		"a rebound name":            {"Host", "evil.example"},
	} {
		if got := ask(t, nil, "GET", target, headers...); got != 403 {
			t.Errorf("%s: status %d", name, got)
		}
	}
	if got := ask(t, nil, "PUT", "http://"+agent.addr+"/v1/jobs", "Sec-Fetch-Site", "cross-site"); got != 403 {
		t.Errorf("a cross-site write: status %d", got)
	}
	c.cotrain("agent", "--listen", agent.addr, "--data-dir", t.TempDir()).want(t, exitUsage, "already in use")
	if code := agent.stop(); code != exitDone {
		t.Errorf("exit code %d: %s", code, agent.errs.String())
	}
}

func TestTheAgentAnswersOnASocketOfThisUserOnly(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	dir, err := os.MkdirTemp("", "agent") // short: a socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "nomad.sock")
	stale, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	if u, ok := stale.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false) // as after a crash
	}
	if err := stale.Close(); err != nil {
		t.Fatal(err)
	}

	agent := c.start("agent", "--listen", "unix://"+path, "--data-dir", t.TempDir())
	if agent.addr != "unix://"+path {
		t.Errorf("address %q", agent.addr)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != fs.ModeSocket|0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}
	if got := ask(t, dial, "GET", "http://agent/v1/agent/self"); got != 200 {
		t.Errorf("status %d", got)
	}
	c.cotrain("agent", "--listen", "unix://"+path, "--data-dir", t.TempDir()).want(t, exitUsage, "already in use")
	if code := agent.stop(); code != exitDone {
		t.Errorf("exit code %d: %s", code, agent.errs.String())
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c.cotrain("agent", "--listen", "unix://"+path, "--data-dir", t.TempDir()).want(t, exitUsage, "is not a socket")
}
