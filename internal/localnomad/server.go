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
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/nomad/api"
)

// ErrInUse says that another agent uses the data directory.
var ErrInUse = errors.New("data directory is in use by another agent")

// compactEvery is how often the state's size and the garbage are looked at.
const compactEvery = 10 * time.Second

// Server is the embedded agent: state, scheduler, task runners and HTTP API
// in this process.
type Server struct {
	opts    Options
	log     *slog.Logger
	now     func() time.Time
	started time.Time

	hub     *eventHub
	st      *store
	sched   *scheduler
	runners *runnerSet
	logs    *logHub
	spawn   *spawner
	reaper  *reaper
	lock    *os.File

	mem     *memListener
	http    *http.Server
	closing chan struct{} // closed when Stop begins: streams and blocking queries end
	cancel  context.CancelFunc
	work    sync.WaitGroup // scheduler and housekeeping
	wg      sync.WaitGroup // the HTTP server

	cordoned atomic.Bool // nothing more is placed

	mu      sync.Mutex
	gpus    gpuCache
	cpus    cpuSampler
	running bool
	stopped bool
}

// New opens the state in the data directory. It fails when the directory
// cannot be written or another agent has it (ErrInUse). Nothing runs until
// Start. Call Stop in any case.
func New(opts Options) (*Server, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	if opts.DataDir, err = filepath.Abs(opts.DataDir); err != nil {
		return nil, fmt.Errorf("localnomad: data directory: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(opts.DataDir, "alloc"), 0o755); err != nil {
		return nil, fmt.Errorf("localnomad: create data directory: %w", err)
	}
	lock, err := lockDir(opts.DataDir)
	if err != nil {
		return nil, err
	}
	hub := newEventHub()
	s := &Server{
		opts: opts, log: opts.Logger, now: opts.Now, started: time.Now(), hub: hub, st: newStore(hub),
		logs: &logHub{m: map[string]*logWriter{}}, lock: lock, mem: newMemListener(), closing: make(chan struct{}),
	}
	s.sched = newScheduler(s)
	s.runners = &runnerSet{s: s, m: map[string]*allocRunner{}}
	s.http = &http.Server{Handler: s.Handler(), ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(opts.Logger.Handler(), slog.LevelDebug)}
	if s.st.log, err = openStateLog(filepath.Join(opts.DataDir, "state"), s.st, opts.Logger); err != nil {
		return nil, errors.Join(fmt.Errorf("localnomad: %w", err), unlockDir(lock))
	}
	return s, nil
}

// lockDir makes sure that one agent has the directory. The lock ends with the
// process, however it ends.
func lockDir(dir string) (*os.File, error) {
	path := filepath.Join(dir, "agent.lock")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("localnomad: write to data directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close() // the first error says it
		return nil, fmt.Errorf("localnomad: %w: %s", ErrInUse, dir)
	}
	return f, nil
}

// unlockDir gives the lock up by itself: a child that is just being started
// still has the file open.
func unlockDir(f *os.File) error {
	return errors.Join(syscall.Flock(int(f.Fd()), syscall.LOCK_UN), f.Close())
}

// Start registers the nodes, takes care of what an earlier agent left behind,
// and begins to schedule. The in-memory listener answers from then on. ctx
// bounds the start only.
func (s *Server) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running || s.stopped {
		return errors.New("localnomad: Start was called before")
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.registerNodes(); err != nil {
		return fmt.Errorf("localnomad: %w", err)
	}
	evals, err := s.recoverState()
	if err != nil {
		return fmt.Errorf("localnomad: recover state: %w", err)
	}
	if s.reaper, err = startReaper(); err != nil {
		s.log.Warn("no reaper: if this process is killed, grandchildren of tasks may stay behind", "error", err)
	}
	s.spawn = newSpawner(s.reaper)
	run, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.work.Go(func() { s.sched.run(run) })
	s.work.Go(func() { s.keepHouse(run) })
	s.wg.Go(func() {
		if err := s.http.Serve(s.mem); err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			s.log.Error("serve in-memory listener", "error", err)
		}
	})
	s.sched.enqueue(evals...)
	s.running = true
	return nil
}

// DialContext connects to the agent inside this process; it is made for
// http.Transport. Network and address are ignored.
func (s *Server) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	return s.mem.dial(ctx)
}

// Cordon keeps the agent from placing anything more; what runs goes on and can be stopped. It holds until the end of this
// agent.
func (s *Server) Cordon() { s.cordoned.Store(true) }

// Stop ends all tasks (the kill signal, the kill time-out, SIGKILL), marks
// their allocations lost, writes the state and releases the directory. When
// ctx is done first, the tasks are killed at once. It is safe to call more
// than once.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return nil
	}
	s.stopped = true
	if s.running {
		s.cancel()
		s.work.Wait() // after this nothing is placed any more
		s.stopRunners(ctx)
		close(s.closing)
		_ = s.mem.Close()  // never fails
		_ = s.http.Close() // streams have ended; what is left are idle connections
		s.wg.Wait()
		s.spawn.close()
		s.reaper.close()
	} else {
		close(s.closing)
		_ = s.mem.Close() // never fails
	}
	return errors.Join(s.st.log.close(), unlockDir(s.lock))
}

func (s *Server) stopRunners(ctx context.Context) {
	for _, r := range s.runners.all() {
		r.stop(lostWithAgent)
	}
	done := make(chan struct{})
	go func() {
		s.runners.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
		return
	case <-ctx.Done():
	}
	for _, r := range s.runners.all() {
		for _, t := range r.tasks {
			t.killNow()
		}
	}
	<-done
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
		if s.st.log.full() {
			if err := s.st.log.compact(s.st); err != nil {
				s.log.Error("compact state", "error", err)
			}
		}
	}
}

// recoverState looks at what the last agent left: its tasks died with it, so
// that their allocations are lost; evaluations that were under way go on.
func (s *Server) recoverState() ([]*api.Evaluation, error) {
	var live []*api.Allocation
	var evals []*api.Evaluation
	s.st.view(func() {
		for _, id := range sortedKeys(s.st.allocs, "") {
			if a := s.st.allocs[id]; !clientTerminal(a) {
				live = append(live, a)
			}
		}
		for _, id := range sortedKeys(s.st.evals, "") {
			if e := s.st.evals[id]; e.Status == evalPending || e.Status == evalBlocked {
				evals = append(evals, e)
			}
		}
	})
	for _, a := range live {
		if n := killStrays(a.ID); n > 0 {
			s.log.Warn("killed processes of an allocation that outlived its agent", "alloc", a.ID, "processes", n)
		}
		s.dropServices(a.ID)
	}
	more, err := s.loseAllocs(live, lostWithAgent)
	return append(evals, more...), err
}

// loseAllocs marks allocations as lost and returns the evaluations that see
// to their replacement. One whose group says disconnect { replace = false }
// stays wanted, so that nothing takes its place.
func (s *Server) loseAllocs(allocs []*api.Allocation, why string) ([]*api.Evaluation, error) {
	evals := map[string]*api.Evaluation{}
	_, err := s.st.update(kindOfClient, s.now().UnixNano(), func(tx *txn) error {
		for _, old := range allocs {
			a := copyAlloc(s.st.allocs[old.ID])
			a.ClientStatus, a.ClientDescription = clientLost, why
			eval := s.lose(a)
			for name, st := range a.TaskStates {
				if st.State == statusDead {
					continue
				}
				c := *st
				c.State, c.FinishedAt = statusDead, s.now().UTC()
				c.Events = append(c.Events[:len(c.Events):len(c.Events)], s.newTaskEvent("Failed Restoring Task", why, map[string]string{"message": why}))
				a.TaskStates[name] = &c
			}
			tx.putAlloc(a, true)
			if eval != nil && evals[a.JobID] == nil {
				evals[a.JobID] = eval
			}
		}
		for _, id := range sortedKeys(evals, "") {
			tx.putEval(evals[id])
		}
		return nil
	})
	out := make([]*api.Evaluation, 0, len(evals))
	for _, id := range sortedKeys(evals, "") {
		out = append(out, evals[id])
	}
	return out, err
}

// lose stops a lost allocation, unless nothing may take its place, and returns
// the evaluation that sees to its job, or nil when that is gone.
func (s *Server) lose(a *api.Allocation) *api.Evaluation {
	if replaceable(a) && a.DesiredStatus == desiredRun {
		a.DesiredStatus, a.DesiredDescription = desiredStop, descLost
	}
	job := s.st.jobs[a.JobID]
	if job == nil {
		return nil
	}
	e := s.newEval(job, triggerNode)
	e.NodeID = a.NodeID
	return e
}

// replaceable reports whether a lost allocation may be replaced.
func replaceable(a *api.Allocation) bool {
	for _, tg := range a.Job.TaskGroups {
		if *tg.Name == a.TaskGroup && tg.Disconnect != nil && tg.Disconnect.Replace != nil {
			return *tg.Disconnect.Replace
		}
	}
	return true
}
