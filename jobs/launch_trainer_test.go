package jobs

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/reftrain"
)

// asTrainer in the environment makes the test binary the reference trainer.
const asTrainer = "TEST_AS_REFERENCE_TRAINER"

func TestMain(m *testing.M) {
	if os.Getenv(asTrainer) == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	code := reftrain.Main(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// output is what a process has printed so far.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// site is one machine with a shared folder on which attempts of a DiLoCo run start through the launch script.
type site struct {
	*testing.T
	storage string
	port    int
}

// member is one worker's process.
type member struct {
	t      *testing.T
	cmd    *exec.Cmd
	out    *output
	dir    string
	waited bool
}

const trainedBySite = `name_model = "debugmodel"
[train]
micro_bs = 2
[data]
fake = true
seq_length = 16
[optim]
batch_size = 4
warmup_steps = 5
total_steps = 10000000
[diloco]
inner_steps = 10
[ckpt]
path = "ckpt"
interval = 100
`

// start launches a worker; dir is its allocation's folder, "" for a new one.
func (s *site) start(rank int, attempt, dir, resume string) *member {
	s.Helper()
	self, err := os.Executable()
	if err != nil {
		s.Fatal(err)
	}
	if dir == "" {
		dir = s.TempDir()
	}
	write(s.T, filepath.Join(dir, "launch.sh"), LaunchScript, 0o755)
	write(s.T, filepath.Join(dir, "config.toml"), trainedBySite, 0o644)
	write(s.T, filepath.Join(dir, "worker0"), "\n127.0.0.1 "+strconv.Itoa(s.port)+"\n", 0o644)
	if err := os.MkdirAll(filepath.Join(dir, "alloc", "data"), 0o755); err != nil {
		s.Fatal(err)
	}
	m := &member{t: s.T, out: &output{}, dir: dir}
	m.cmd = exec.CommandContext(s.Context(), "/bin/sh", filepath.Join(dir, "launch.sh"), self) //nolint:gosec // our own script
	m.cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), asTrainer + "=1", "NOMAD_TASK_DIR=" + dir, "NOMAD_ALLOC_DIR=" + filepath.Join(dir, "alloc"), "NOMAD_ALLOC_ID=" + filepath.Base(dir) + "-" + strconv.Itoa(rank) + attempt,
		"NOMAD_ALLOC_INDEX=" + strconv.Itoa(rank), "NOMAD_IP_rdzv=127.0.0.1", "NOMAD_PORT_rdzv=" + strconv.Itoa(s.port), "COTRAIN_NODES=3", "COTRAIN_STORAGE=" + s.storage,
		"NOMAD_META_run_id=r-0000000000", "NOMAD_META_attempt=" + attempt, "NOMAD_META_ckpt_path=ckpt", "NOMAD_META_resume=" + resume,
	}
	m.cmd.Stdout, m.cmd.Stderr = m.out, m.out
	if err := m.cmd.Start(); err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() {
		if !m.waited {
			_ = m.cmd.Process.Kill() // it may have ended
			_ = m.cmd.Wait()
		}
	})
	return m
}

// sees waits until the worker has printed a match of pattern, and returns the newest one.
func (m *member) sees(pattern string) []string {
	m.t.Helper()
	re := regexp.MustCompile(pattern)
	text := ""
	for moved := time.Now(); time.Since(moved) < patience; time.Sleep(10 * time.Millisecond) {
		now := m.out.String()
		if all := re.FindAllStringSubmatch(now, -1); len(all) > 0 {
			return all[len(all)-1]
		}
		if len(now) > len(text) {
			text, moved = now, time.Now()
		}
	}
	m.t.Fatalf("nothing like %q in the last of %d bytes: %s", pattern, len(text), text[max(0, len(text)-2000):])
	return nil
}

// end sends a signal and returns the exit code.
func (m *member) end(sig syscall.Signal) int {
	m.t.Helper()
	if err := m.cmd.Process.Signal(sig); err != nil {
		m.t.Fatal(err)
	}
	m.waited = true
	_ = m.cmd.Wait() // the exit code is what the caller looks at
	return m.cmd.ProcessState.ExitCode()
}

// common is the newest checkpoint that all workers have saved.
func (s *site) common() string {
	s.Helper()
	counts, newest := map[string]int{}, 0
	for rank := range 3 {
		entries, err := os.ReadDir(filepath.Join(s.storage, "ckpt", "worker_"+strconv.Itoa(rank)))
		if err != nil {
			s.Fatal(err)
		}
		for _, e := range entries {
			counts[e.Name()]++
			if n, err := strconv.Atoi(strings.TrimPrefix(e.Name(), "step_")); err == nil && counts[e.Name()] == 3 {
				newest = max(newest, n)
			}
		}
	}
	if newest == 0 {
		s.Fatalf("no step was saved by all three: %v", counts)
	}
	return "step_" + strconv.Itoa(newest)
}

// TestLaunchedTrainersTrainJoinAndResume is the whole of it with a real trainer: three workers train, one dies and comes back
// into the running mesh, all stop, and the next attempt goes on from where each of them was.
func TestLaunchedTrainersTrainJoinAndResume(t *testing.T) {
	t.Parallel()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &site{T: t, storage: t.TempDir(), port: ln.Addr().(*net.TCPAddr).Port}
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	ws := []*member{s.start(0, "1", "", ""), s.start(1, "1", "", ""), s.start(2, "1", "", "")}
	ws[0].sees(`step: \d+, .*diloco_peers: 3\n`)
	ws[2].end(syscall.SIGKILL)
	ws[0].sees(`Evicting nodes`)
	ws[2] = s.start(2, "1", ws[2].dir, "")
	ws[2].sees(`"name":"joining"`)
	ws[2].sees(`live recovery done in`)
	ws[2].sees(`step: \d+, .*diloco_peers: 3\n`)

	ws[2].sees(`Saved checkpoint to ckpt/worker_2/step_\d*00 in`)
	for rank := 2; rank >= 0; rank-- { // worker 0 last: without it the others fail
		if code := ws[rank].end(syscall.SIGTERM); code != 143 {
			t.Errorf("worker %d ends with %d", rank, code)
		}
	}
	step := s.common()
	for rank := range ws {
		ws[rank] = s.start(rank, "2", "", filepath.Join("ckpt", "worker_1", step))
	}
	for rank, w := range ws {
		want := filepath.Join("ckpt", "worker_"+strconv.Itoa(rank), step)
		if got := w.sees(`Loaded checkpoint from (\S+) in`)[1]; got != want {
			t.Errorf("worker %d resumes from %s, want its own part %s", rank, got, want)
		}
		if strings.Contains(w.out.String(), "joining") {
			t.Errorf("worker %d of a new attempt joins: %.500s", rank, w.out.String())
		}
	}
	ws[0].sees(`step: \d+, .*diloco_peers: 3\n`)
}
