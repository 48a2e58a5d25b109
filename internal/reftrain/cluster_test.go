package reftrain

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// buffer is a bytes.Buffer that a test may read while a worker writes.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// worker is one trainer process in a goroutine of the test.
type worker struct {
	t        *testing.T
	out, err buffer
	stop     context.CancelFunc
	done     chan int
	code     int
	ended    bool
}

// patience bounds every wait of a test; a healthy one takes a small part of it.
const patience = 60 * time.Second

func quickTiming() timing {
	return timing{
		heartbeat: 50 * time.Millisecond, heartbeatTimeout: patience, join: patience,
		barrier: patience, goodbye: patience,
	}
}

// cluster is a rendezvous for the workers of one run.
type cluster struct {
	t      *testing.T
	ln     net.Listener
	config string // file name
	toml   string
	timing timing
	env    map[string]string
	world  int
}

func newCluster(t *testing.T, config string, world int) *cluster {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return &cluster{t: t, ln: ln, config: writeConfig(t, config), toml: config, timing: quickTiming(), world: world}
}

func writeConfig(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// start runs a worker with a rank; extra are more arguments.
func (c *cluster) start(rank int, id string, extra ...string) *worker {
	c.t.Helper()
	host, port, err := net.SplitHostPort(c.ln.Addr().String())
	if err != nil {
		c.t.Fatal(err)
	}
	env := map[string]string{
		"GLOBAL_ADDR": host, "GLOBAL_PORT": port, "GLOBAL_RANK": strconv.Itoa(rank),
		"GLOBAL_WORLD_SIZE": strconv.Itoa(c.world), "GLOBAL_UNIQUE_ID": id,
	}
	maps.Copy(env, c.env)
	p := process{args: append([]string{"@" + c.config}, extra...), env: func(k string) string { return env[k] }, timing: c.timing}
	for k := range env {
		p.envNames = append(p.envNames, k)
	}
	if rank == 0 {
		p.listener = c.ln
	}
	return launch(c.t, p)
}

func launch(t *testing.T, p process) *worker {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := &worker{t: t, stop: cancel, done: make(chan int, 1)}
	p.stdout, p.stderr = &w.out, &w.err
	go func() { w.done <- p.run(ctx) }()
	t.Cleanup(func() { cancel(); w.wait() })
	return w
}

func (c *cluster) all(extra ...string) []*worker {
	c.t.Helper()
	var ws []*worker
	for rank := range c.world {
		ws = append(ws, c.start(rank, fmt.Sprintf("w%d", rank), extra...))
	}
	return ws
}

// wait returns the exit code.
func (w *worker) wait() int {
	w.t.Helper()
	if w.ended {
		return w.code
	}
	select {
	case w.code = <-w.done:
		w.ended = true
	case <-time.After(2 * patience):
		w.t.Fatalf("worker still runs; stderr:\n%s", w.err.String())
	}
	return w.code
}

func (w *worker) mustEnd(code int) {
	w.t.Helper()
	if got := w.wait(); got != code {
		w.t.Fatalf("exit code %d, want %d; stderr:\n%s", got, code, w.err.String())
	}
}

// sees waits until stderr holds text.
func (w *worker) sees(text string) {
	w.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if strings.Contains(w.err.String(), text) {
			return
		}
	}
	w.t.Fatalf("no %q in stderr:\n%s", text, w.err.String())
}

// losses returns the loss of each step as the machine lines give it, with all its bits.
func (w *worker) losses() map[int64]float64 {
	w.t.Helper()
	out := map[int64]float64{}
	for line := range strings.SplitSeq(w.out.String(), "\n") {
		j, ok := strings.CutPrefix(line, "COTRAIN ")
		if !ok {
			continue
		}
		var m struct {
			Kind string   `json:"kind"`
			Step int64    `json:"step"`
			Loss *float64 `json:"loss"`
		}
		if err := json.Unmarshal([]byte(j), &m); err != nil {
			w.t.Fatalf("machine line %q: %v", line, err)
		}
		if m.Kind == "metrics" && m.Loss != nil {
			out[m.Step] = *m.Loss
		}
	}
	return out
}

var stepLine = regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d \[INFO\] \[Rank 0\] step: (\d+), loss: (\d+\.\d{4})(, tokens_per_second: \d+\.\d\d, mfu: \d+\.\d\d)?(, diloco_peers: (\d+))?$`)

// tiny is a configuration whose steps take about a millisecond.
func tiny(total int, more string) string {
	return fmt.Sprintf(`name_model = "debugmodel"
[train]
micro_bs = 2
[data]
fake = true
seq_length = 16
[optim]
batch_size = 4
warmup_steps = 5
total_steps = %d
[optim.optim]
lr = 5e-3
%s`, total, more)
}
