package localnomad

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/localnomad/gpu"
	"github.com/cotrain/cotrain/internal/localnomad/httpapi"
	"github.com/cotrain/cotrain/internal/localnomad/logfile"
	"github.com/cotrain/cotrain/internal/localnomad/sched"
	"github.com/cotrain/cotrain/internal/localnomad/state"
	"github.com/cotrain/cotrain/internal/localnomad/task"
	"github.com/cotrain/cotrain/internal/localnomad/usage"
	"github.com/cotrain/cotrain/internal/nvidia"
)

// ErrInUse says that another agent uses the data directory.
var ErrInUse = errors.New("data directory is in use by another agent")

// compactEvery is how often the state's size and the garbage are looked at.
const compactEvery = 10 * time.Second

// Server is the embedded agent: state, scheduler, task runners and HTTP API in this process.
type Server struct {
	opts    Options
	lock    *os.File
	store   *state.Store
	meter   *gpu.Meter
	runners *task.Runners
	sched   *sched.Scheduler
	api     *httpapi.API
	mem     *memListener
	http    *http.Server

	mu      sync.Mutex
	started bool
	stopped bool
	cancel  context.CancelFunc
	work    sync.WaitGroup // scheduler and housekeeping
	serving sync.WaitGroup
}

// New opens the state in the data directory. It fails when the directory cannot be written or another agent has it
// ([ErrInUse]). Nothing runs until Start. Call Stop in any case.
func New(opts Options) (*Server, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	if opts.DataDir, err = filepath.Abs(opts.DataDir); err != nil {
		return nil, fmt.Errorf("localnomad: data directory: %w", err)
	}
	root := filepath.Join(opts.DataDir, "alloc")
	if err := os.MkdirAll(root, 0o755); err != nil {
		return nil, fmt.Errorf("localnomad: create data directory: %w", err)
	}
	s := &Server{opts: opts, mem: newMemListener()}
	if s.lock, err = lockDir(opts.DataDir); err != nil {
		return nil, err
	}
	if s.store, err = state.Open(filepath.Join(opts.DataDir, "state"), state.OpenKeyRing(opts.VariablesKey, filepath.Join(opts.DataDir, "variables.key")), opts.Now, opts.Logger); err != nil {
		return nil, errors.Join(fmt.Errorf("localnomad: %w", err), unlockDir(s.lock))
	}
	s.meter = gpu.NewMeter(nvidia.Tool{Visible: os.Getenv("CUDA_VISIBLE_DEVICES")}, opts.Now, opts.Logger)
	const region = "global"
	logs := logfile.NewHub()
	s.runners = task.New(task.Options{
		Store: s.store, Logs: logs, Root: root, Region: region, Log: opts.Logger,
		Enqueue: func(evals ...*api.Evaluation) { s.sched.Enqueue(evals...) }, Unblock: func() { s.sched.Unblock() },
	})
	s.sched = sched.New(s.store, s.runners, opts.Logger)
	s.api = httpapi.New(httpapi.Options{
		Store: s.store, Sched: s.sched, Runners: s.runners, Logs: logs, DeviceStats: s.meter.Stats, Usage: usage.New(root, opts.Now), Region: region, Version: agentVersion, Log: opts.Logger,
		Now: func(node string) time.Time { return opts.Now().Add(opts.Clocks[node]) },
	})
	s.http = &http.Server{Handler: s.api, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(opts.Logger.Handler(), slog.LevelDebug)}
	return s, nil
}

// lockDir makes sure that one agent has the directory. The lock ends with the process, however it ends.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "agent.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("localnomad: write to data directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close() // the first error says it
		return nil, fmt.Errorf("localnomad: %w: %s", ErrInUse, dir)
	}
	return f, nil
}

// unlockDir gives the lock up by itself: a child that is just being started still has the file open.
func unlockDir(f *os.File) error {
	return errors.Join(syscall.Flock(int(f.Fd()), syscall.LOCK_UN), f.Close())
}

// Start registers the nodes, takes care of what an earlier agent left behind, and begins to schedule. The in-memory listener
// answers from then on. ctx bounds the start only.
func (s *Server) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started || s.stopped {
		return errors.New("localnomad: Start was called before")
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.registerNodes(ctx); err != nil {
		return fmt.Errorf("localnomad: %w", err)
	}
	if err := s.recover(); err != nil {
		return fmt.Errorf("localnomad: recover state: %w", err)
	}
	s.runners.Start()
	run, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.work.Go(func() { s.sched.Run(run) })
	s.work.Go(func() { s.keepHouse(run) })
	s.serving.Go(func() {
		if err := s.http.Serve(s.mem); err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			s.opts.Logger.Error("serve in-memory listener", "error", err)
		}
	})
	s.started = true
	return nil
}

// recover looks at what the last agent left: its tasks died with it, so that their allocations are lost; evaluations that
// were under way go on.
func (s *Server) recover() error {
	var live []*api.Allocation
	var evals []*api.Evaluation
	s.store.View(func(t *state.Tables) {
		for _, id := range state.Keys(t.Allocs, "") {
			if a := t.Allocs[id]; !state.ClientTerminal(a) {
				live = append(live, a)
			}
		}
		for _, e := range t.Evals {
			if !state.EvalTerminal(e) {
				evals = append(evals, e)
			}
		}
	})
	for _, a := range live {
		if n := task.KillStrays(a.ID); n > 0 {
			s.opts.Logger.Warn("killed processes of an allocation that outlived its agent", "alloc", a.ID, "processes", n)
		}
	}
	more, err := s.store.LoseAll(live, task.LostWithAgent)
	s.sched.Enqueue(append(evals, more...)...)
	return err
}

// Handler returns Nomad's HTTP API. It runs commands for whoever reaches it: serve it on a Unix socket, a loopback port or
// the in-memory listener only.
func (s *Server) Handler() http.Handler { return s.api }

// DialContext connects to the agent inside this process; it is made for http.Transport. Network and address are ignored.
func (s *Server) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	return s.mem.dial(ctx)
}

// Cordon keeps the agent from placing anything more; what runs goes on and can be stopped. It holds until the end of this
// agent.
func (s *Server) Cordon() { s.sched.Cordon() }

// Stop ends all tasks (the kill signal, the kill time-out, SIGKILL), marks their allocations lost, writes the state and
// releases the directory. When ctx is done first, the tasks are killed at once. It is safe to call more than once.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return nil
	}
	s.stopped = true
	if s.started {
		s.cancel()
		s.work.Wait() // after this nothing is placed any more
		s.runners.Close(ctx)
	}
	s.api.Close()
	s.meter.Close()
	_ = s.mem.Close()  // never fails
	_ = s.http.Close() // streams have ended; what is left are idle connections
	s.serving.Wait()
	return errors.Join(s.store.Close(), unlockDir(s.lock))
}

// keepHouse keeps the state and the directories from growing without bound.
func (s *Server) keepHouse(ctx context.Context) {
	tick := time.NewTicker(compactEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		s.collect()
		if err := s.store.Compact(); err != nil {
			s.opts.Logger.Error("compact state", "error", err)
		}
	}
}
