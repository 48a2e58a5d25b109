package app

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cotrain/cotrain/internal/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is for what hangs; nothing here takes it when all is well.
const patience = time.Minute

// testConfig is a console with the embedded agent and one change.
func testConfig(t *testing.T, change func(*config.Config)) config.Config {
	t.Helper()
	env := map[string]string{"COTRAIN_DEV": "true", "COTRAIN_LISTEN": "127.0.0.1:0", "COTRAIN_DATA_DIR": filepath.Join(t.TempDir(), "data"), "COTRAIN_JOB_KILL_TIMEOUT": "1s"}
	cfg, err := config.Load(nil, func(name string) (string, bool) { v, ok := env[name]; return v, ok }, os.ReadFile)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&cfg)
	}
	return cfg
}

// logged is what a console wrote to its log.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func newApp(t *testing.T, cfg config.Config) (*App, *logged) {
	t.Helper()
	log := &logged{}
	a, err := New(t.Context(), cfg, Options{Logger: slog.New(slog.NewTextHandler(log, nil)), Executable: "/bin/false", refusals: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, a) })
	return a, log
}

func start(t *testing.T, a *App) {
	t.Helper()
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// stop ends a console with a deadline far away.
func stop(t *testing.T, a *App) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := a.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
}

// wait is what Wait returns before patience ends.
func wait(t *testing.T, a *App) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := a.Wait(ctx)
	if ctx.Err() != nil {
		t.Fatal("still working")
	}
	return err
}

// get returns the status of a page.
func get(a *App, path string) (int, error) {
	transport := &http.Transport{DisableKeepAlives: true}
	res, err := (&http.Client{Transport: transport, Timeout: patience}).Get("http://" + a.Addr() + path)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, errors.Join(err, res.Body.Close())
}

func TestAConsoleServesUntilItIsStopped(t *testing.T) {
	t.Parallel()
	a, _ := newApp(t, testConfig(t, nil))
	start(t, a)
	if status, err := get(a, "/healthz"); err != nil || status != http.StatusOK {
		t.Errorf("status %d, %v", status, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Wait(ended); err != nil {
		t.Errorf("a wait that was ended: %v", err)
	}
	stop(t, a)
	stop(t, a)
	if err := wait(t, a); err != nil {
		t.Errorf("after the stop: %v", err)
	}
	if _, err := get(a, "/healthz"); err == nil {
		t.Error("it still answers")
	}
}

func TestAConsoleThatNeverStartedIsStopped(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t, nil)
	a, _ := newApp(t, cfg)
	stop(t, a)
	newApp(t, cfg) // the folder is free again
}

func TestALoopThatFailsEndsTheConsole(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		run  func(context.Context) error
		want []string // in the error and in the log
	}{
		"with an error":                  {func(context.Context) error { return errors.New("the moon is gone") }, []string{"the moon is gone"}},
		"with a panic":                   {func(context.Context) error { panic("no such rank") }, []string{"no such rank"}},
		"by returning before its time":   {func(context.Context) error { return nil }, []string{"ended"}},
		"with a cancellation of its own": {func(context.Context) error { return context.Canceled }, []string{"canceled"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, log := newApp(t, testConfig(t, nil))
			a.loops = append(a.loops, loop{"doomed", c.run})
			start(t, a)
			err := wait(t, a)
			for _, want := range append(c.want, "doomed") {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("Wait returns %v, without %q", err, want)
				}
				if !strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), want) {
					t.Errorf("the log does not say %q: %s", want, log)
				}
			}
			if name == "with a panic" && !strings.Contains(log.String(), "lifecycle_test.go") {
				t.Errorf("the log does not say where: %s", log)
			}
		})
	}
}

func TestStopDoesNotWaitForWhatHangs(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t, nil)
	a, _ := newApp(t, cfg)
	release := make(chan struct{})
	var hanging sync.WaitGroup
	t.Cleanup(func() { close(release); hanging.Wait() })
	hang := func() { <-release }
	hanging.Add(1)
	a.loops = append(a.loops, loop{"deaf", func(context.Context) error { defer hanging.Done(); hang(); return nil }})
	asked := make(chan struct{})
	a.server.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(asked); hang() })
	start(t, a)
	answered := make(chan error, 1)
	go func() { _, err := get(a, "/"); answered <- err }()
	<-asked

	over, cancel := context.WithCancel(t.Context())
	cancel()
	stopped := make(chan error, 1)
	go func() { stopped <- a.Stop(over) }()
	select {
	case err := <-stopped:
		if err == nil || !strings.Contains(err.Error(), "loops") {
			t.Errorf("stop: %v, want the loops named", err)
		}
	case <-time.After(patience):
		t.Fatal("it hangs")
	}
	if err := <-answered; err == nil {
		t.Error("the request that hung was answered")
	}
	a.stopped = nil           // for the cleanup
	next, _ := newApp(t, cfg) // store and agent are released all the same
	stop(t, next)
}

func TestWhatNewAcquiredIsReleasedWhenItFails(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*config.Config){
		"the address is taken":          func(c *config.Config) { c.Listen = taken.Addr().String() },
		"the data folder is a file":     func(c *config.Config) { c.DataDir = file },
		"shared storage is a file":      func(c *config.Config) { c.Storage.Path = file },
		"there is no job file":          func(c *config.Config) { c.Job.File = filepath.Join(file, "none") },
		"Nomad's address is none":       func(c *config.Config) { c.Dev, c.Nomad.Address = false, "nonsense" },
		"more nodes than the agent has": func(c *config.Config) { c.DevNodes = 1000 },
		"the job cannot be launched":    func(c *config.Config) { c.Job.Driver = "docker" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			good := testConfig(t, nil)
			bad := good
			spoil(&bad)
			a, err := New(t.Context(), bad, Options{Logger: slog.New(slog.DiscardHandler), Executable: "/bin/false"})
			if err == nil {
				t.Errorf("New makes %v", a)
				stop(t, a)
				return
			}
			newApp(t, good) // with the same folder
		})
	}
}
