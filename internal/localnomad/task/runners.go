package task

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/localnomad/logfile"
	"github.com/cotrain/cotrain/internal/localnomad/state"
)

// LostWithAgent and LostWithNode say why an allocation is lost.
const (
	LostWithAgent = "the agent that ran this allocation ended"
	LostWithNode  = "the node that ran this allocation failed"
)

// ErrNotRunning says that a task has no process; the text is Nomad's.
var ErrNotRunning = errors.New("Task not running")

// Options are what runners need.
type Options struct {
	Store *state.Store
	Logs  *logfile.Hub
	// Root holds the allocations' directories.
	Root   string
	Region string
	Log    *slog.Logger
	// Enqueue hands evaluations to the scheduler, Unblock tells it that something has come free.
	Enqueue func(...*api.Evaluation)
	Unblock func()
}

// Runners are those of all allocations that have not ended.
type Runners struct {
	Options
	spawn *spawner

	mu sync.Mutex
	m  map[string]*allocRunner
	wg sync.WaitGroup
}

// New returns runners without an allocation.
func New(o Options) *Runners { return &Runners{Options: o, m: map[string]*allocRunner{}} }

// Start makes what starts processes. Call Close at the end.
func (rs *Runners) Start() {
	reaper, err := startReaper()
	if err != nil {
		rs.Log.Warn("no reaper: if this process is killed, grandchildren of tasks may stay behind", "error", err)
	}
	rs.spawn = newSpawner(reaper)
}

// Apply stops and starts allocations.
func (rs *Runners) Apply(stopped, placed []*api.Allocation) {
	for _, a := range stopped {
		if r := rs.get(a.ID); r != nil {
			r.stop("")
		}
	}
	for _, a := range placed {
		if node := rs.Store.Node(a.NodeID); node != nil {
			rs.start(a, node)
		}
	}
}

// Holds reports whether an allocation still has processes.
func (rs *Runners) Holds(id string) bool { return rs.get(id) != nil }

// Len is how many allocations have not ended.
func (rs *Runners) Len() int { return len(rs.all()) }

func (rs *Runners) get(id string) *allocRunner {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	return rs.m[id]
}

func (rs *Runners) all() []*allocRunner {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	return slices.Collect(maps.Values(rs.m))
}

func (rs *Runners) start(a *api.Allocation, node *api.Node) {
	r := newAllocRunner(rs, a, node)
	rs.mu.Lock()
	rs.m[a.ID] = r
	rs.mu.Unlock()
	rs.wg.Go(func() {
		r.run()
		rs.mu.Lock()
		delete(rs.m, a.ID)
		rs.mu.Unlock()
		rs.Unblock() // only now is what it held free
	})
}

// Restart starts a task's process again, or those of all tasks without a name, outside of the restart policy.
func (rs *Runners) Restart(id, name string) error {
	r := rs.get(id)
	err := ErrNotRunning
	if r == nil {
		return err
	}
	for _, t := range r.tasks {
		if name != "" && name != t.task.Name {
			continue
		}
		if e := t.requestRestart("User requested task to restart"); !errors.Is(e, ErrNotRunning) {
			err = e
		}
	}
	return err
}

// Signal sends a signal to a task's process, or to those of all tasks without a name: SIGKILL to its whole group, as nothing else
// would end what it started.
func (rs *Runners) Signal(id, name, signal string) error {
	sig, err := signalByName(signal)
	if err != nil {
		return err
	}
	r := rs.get(id)
	if r == nil {
		return ErrNotRunning
	}
	err = ErrNotRunning
	for _, t := range r.tasks {
		if name == "" || name == t.task.Name {
			if e := t.signal(sig); e == nil {
				err = nil
			}
		}
	}
	return err
}

// Processes are the IDs of those that an allocation's tasks are now: what these have started is not among them.
func (rs *Runners) Processes(id string) (out []int) {
	r := rs.get(id)
	if r == nil {
		return nil
	}
	for _, t := range r.tasks {
		t.mu.Lock()
		if t.proc != nil {
			out = append(out, t.proc.Pid)
		}
		t.mu.Unlock()
	}
	return out
}

// FailNode kills everything on a node at once. Nobody tells the state: nodes that fail tell nobody.
func (rs *Runners) FailNode(id string) {
	for _, r := range rs.all() {
		if r.alloc.NodeID == id {
			r.abandon()
			<-r.done
		}
	}
}

// Close ends all tasks, and makes their allocations lost: the kill signal, the kill time-out, SIGKILL. When ctx is done
// first, they are killed at once. Nothing may be placed any more.
func (rs *Runners) Close(ctx context.Context) {
	for _, r := range rs.all() {
		r.stop(LostWithAgent)
	}
	kill := context.AfterFunc(ctx, func() {
		for _, r := range rs.all() {
			for _, t := range r.tasks {
				t.killNow()
			}
		}
	})
	rs.wg.Wait()
	kill()
	rs.spawn.close()
}

// dropServices takes an allocation out of the catalogue.
func (rs *Runners) dropServices(id string) {
	rs.update(state.ServiceDeregistered, func(tx *state.Tx) { tx.DropServices(id) })
}

func (rs *Runners) update(kind state.Kind, fn func(tx *state.Tx)) {
	if _, err := rs.Store.Update(kind, func(tx *state.Tx) error { fn(tx); return nil }); err != nil {
		rs.Log.Error("store what a task did", "change", kind, "error", err)
	}
}
