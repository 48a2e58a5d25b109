package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/run"
)

// binary is the program under test, built once.
var binary string

// together is how many tests run at once on each core, unless -test.parallel says otherwise: most of the time they wait for processes.
const together = 2

func TestMain(m *testing.M) {
	flag.Parse()
	if p := flag.Lookup("test.parallel"); p.Value.String() == p.DefValue {
		if err := p.Value.Set(strconv.Itoa(together * runtime.GOMAXPROCS(0))); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	dir, err := os.MkdirTemp("", "cotrain-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary = filepath.Join(dir, "cotrain")
	build := exec.Command("go", "build", "-o", binary, "github.com/cotrain/cotrain/cmd/cotrain")
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

// process is a started cotrain server or agent.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	addr string // what it listens at
	pass *pass  // nil where there is no log-in
	done chan struct{}

	mu  sync.Mutex
	log bytes.Buffer
}

// start runs the binary and waits until it listens.
func start(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	listening := make(chan string, 1)
	p := spawn(t, env, func(line []byte) {
		var entry struct{ Msg, Addr string }
		if json.Unmarshal(line, &entry) == nil && entry.Msg == "listening" {
			listening <- entry.Addr
		}
	}, args...)
	select {
	case p.addr = <-listening:
	case <-p.done:
		t.Fatalf("cotrain %v ended before it listened:\n%s", args, p.output())
	case <-time.After(patience):
		t.Fatalf("cotrain %v does not listen", args)
	}
	return p
}

// spawn runs the binary and looks at each line that it writes to stderr.
func spawn(t *testing.T, env []string, look func(line []byte), args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(binary, args...), done: make(chan struct{})}
	p.cmd.Env = append(environ(), env...)
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the process
		defer close(p.done)
		lines := bufio.NewScanner(stderr)
		lines.Buffer(nil, 4<<20)
		for lines.Scan() {
			p.mu.Lock()
			p.log.Write(append(lines.Bytes(), '\n'))
			p.mu.Unlock()
			look(lines.Bytes())
		}
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("log of cotrain %s:\n%s", strings.Join(args, " "), p.output())
		}
	})
	return p
}

// environ is the environment without anything that configures CoTrain or Nomad.
func environ() []string {
	var out []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "COTRAIN_") && !strings.HasPrefix(kv, "NOMAD_") {
			out = append(out, kv)
		}
	}
	return out
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// kill is kill -9; it waits until the process is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may be gone already
	<-p.done
	_ = p.cmd.Wait() // the error is that it was killed
}

// interrupt is Ctrl-C; it returns the exit code.
func (p *process) interrupt() int {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		p.t.Fatal(err)
	}
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Fatal("it does not stop")
	}
	_ = p.cmd.Wait() // ProcessState has the code
	return p.cmd.ProcessState.ExitCode()
}

// devConsole starts a console with the embedded agent.
func devConsole(t *testing.T, dataDir string, env ...string) *process {
	t.Helper()
	return start(t, append(env, "COTRAIN_LISTEN=127.0.0.1:0", "COTRAIN_DATA_DIR="+dataDir), "server", "--dev")
}

func (p *process) url(path string) string { return "http://" + p.addr + path }

// get returns status and body.
func (p *process) get(path string) (int, string, error) {
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.url(path), nil)
	if err != nil {
		return 0, "", err
	}
	if p.pass != nil {
		req.Header.Set("Authorization", "Bearer "+p.pass.token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), errors.Join(err, resp.Body.Close())
}

// getJSON decodes an API answer.
func getJSON[T any](p *process, path string) (T, error) {
	var out T
	status, body, err := p.get(path)
	if err != nil {
		return out, err
	}
	if status != http.StatusOK {
		return out, fmt.Errorf("GET %s: %d %s", path, status, body)
	}
	return out, json.Unmarshal([]byte(body), &out)
}

// cli runs a client command against the console and returns what it printed and its exit code.
func (p *process) cli(args ...string) (stdout, stderr string, code int) {
	p.t.Helper()
	env := []string{"COTRAIN_ADDR=http://" + p.addr}
	if p.pass != nil {
		env = append(env, "COTRAIN_TOKEN="+p.pass.token)
	}
	return command(p.t, env, args...)
}

// checked compares what the console's database derives with its sources, while the console runs.
func (p *process) checked() {
	p.t.Helper()
	if out, errs, code := command(p.t, p.cmd.Env, "store", "check"); code != 0 || !strings.Contains(out, "Nothing is wrong") {
		p.t.Errorf("store check: code %d\n%s\n%s", code, out, errs)
	}
}

func command(t *testing.T, env []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	silent := prints{time.AfterFunc(2*patience, cancel)}
	defer silent.Stop()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = append(environ(), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&out, silent), io.MultiWriter(&errs, silent)
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("cotrain %v: %v", args, err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// submit makes a run through the command line and returns its ID.
func (p *process) submit(args ...string) run.ID {
	p.t.Helper()
	out, errs, code := p.cli(append([]string{"run", "submit", "--format", "json"}, args...)...)
	var r run.Run
	if code != 0 || json.Unmarshal([]byte(out), &r) != nil || r.ID == "" {
		p.t.Fatalf("submit %v: code %d\n%s\n%s", args, code, out, errs)
	}
	return r.ID
}

// run reads a run; the API wraps it with its workers.
func (p *process) run(id run.ID) run.Run {
	p.t.Helper()
	got, err := getJSON[struct{ Run run.Run }](p, "/api/v1/runs/"+string(id))
	if err != nil {
		p.t.Fatal(err)
	}
	return got.Run
}

// becomes waits for one of these states and returns the run.
func (p *process) becomes(id run.ID, want ...run.State) run.Run {
	p.t.Helper()
	var r run.Run
	p.eventually(fmt.Sprintf("run %s is %v", id, want), func() bool {
		r = p.run(id)
		for _, s := range want {
			if r.State == s {
				return true
			}
		}
		if r.State.Terminal() {
			p.t.Fatalf("run %s is %s (%s), want %v", id, r.State, r.Reason, want)
		}
		return false
	})
	return r
}

func (p *process) eventually(what string, ok func() bool) {
	p.t.Helper()
	if !p.until(ok) {
		p.t.Fatalf("never came true: %s", what)
	}
}

// samples is what the command line prints of a run's metrics, without the times of receipt.
type samples struct {
	Metrics map[string][]struct {
		Worker int        `json:"worker"`
		Step   int64      `json:"step"`
		Value  run.Number `json:"value"`
	} `json:"metrics"`
}

func (p *process) metrics(id run.ID, names ...string) samples {
	p.t.Helper()
	args := []string{"run", "metrics", string(id), "--format", "json"}
	for _, n := range names {
		args = append(args, "--metric", n)
	}
	out, errs, code := p.cli(args...)
	var s samples
	if err := json.Unmarshal([]byte(out), &s); err != nil || code != 0 {
		p.t.Fatalf("metrics of %s: code %d, %v\n%s", id, code, err, errs)
	}
	return s
}
