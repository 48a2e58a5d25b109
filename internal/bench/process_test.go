package bench

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/auth"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/stream"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

// binary is the program, built once.
var binary string

func TestMain(m *testing.M) {
	if os.Getenv(viewersEnv) != "" {
		os.Exit(beViewers())
	}
	flag.Parse()
	if flag.Lookup("test.bench").Value.String() == "" { // go test ./... measures nothing
		os.Exit(m.Run())
	}
	dir, err := os.MkdirTemp("", "cotrain-bench-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary = filepath.Join(dir, "cotrain")
	build := exec.Command("go", "build", "-trimpath", "-o", binary, "github.com/cotrain/cotrain/cmd/cotrain")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// started is a running cotrain.
type started struct {
	cmd   *exec.Cmd
	addr  string
	login http.Header // of a token, nil where there is no log-in
}

// call sends a request to a console and returns the answer.
func (s started) call(method, path string, body io.Reader) (*http.Response, error) {
	r, err := http.NewRequest(method, "http://"+s.addr+path, body) //nolint:noctx // ends with the benchmark's process
	if err != nil {
		return nil, err
	}
	r.Header = s.login.Clone()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	return http.DefaultClient.Do(r)
}

// start runs the binary until the benchmark ends and returns once it listens.
func start(b *testing.B, env []string, args ...string) started {
	b.Helper()
	cmd := exec.Command(binary, args...)
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "COTRAIN_") && !strings.HasPrefix(kv, "NOMAD_") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.Env = append(cmd.Env, env...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	addr := make(chan string, 1)
	done := make(chan struct{})
	go func() { // ends with the process
		defer close(done)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			var entry struct{ Msg, Addr string }
			if json.Unmarshal(lines.Bytes(), &entry) == nil && entry.Msg == "listening" {
				addr <- entry.Addr
			}
		}
	}()
	b.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt) // it may be gone already
		<-done
		_ = cmd.Wait() // how it ended is not measured
	})
	select {
	case a := <-addr:
		return started{cmd: cmd, addr: a}
	case <-done:
		b.Fatalf("cotrain %v ended before it listened", args)
	case <-time.After(time.Minute):
		b.Fatalf("cotrain %v does not listen", args)
	}
	return started{}
}

// streams are live connections that nothing bounds, for everybody.
func streams(hub *feed.Hub) *stream.Server {
	return stream.New(stream.Options{Feed: hub, Guard: webtest.Open{}, Auth: auth.Local{}, Logger: slog.New(slog.DiscardHandler)})
}
