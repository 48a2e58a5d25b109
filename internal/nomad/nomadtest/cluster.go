// Package nomadtest is a cluster in memory with the methods of nomad.Client, for tests of what stands on it. Tests
// move its workers and write their logs by hand, and can cut it off.
package nomadtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/run"
)

// File is the name of the only log file of each stream.
const File = "trainer.stdout.0"

// Cluster is a Nomad that does nothing by itself. The zero value is not usable; see [New].
type Cluster struct {
	mu       sync.Mutex
	changed  chan struct{} // closed and replaced at every change
	down     error
	refuse   error
	deaf     error // answer of a dispatch that was carried out
	jobs     map[string]*job
	byToken  map[string]string
	logs     map[string][]byte // by allocation and stream
	calls    map[string]int
	signals  []string         // that were sent
	failing  map[string]error // by method
	noParent int
	why      string
	plan     Plan
	parent   run.ParentState

	places    map[string]int
	forbidden string
	killLimit time.Duration // of every node, 0 for unknown
	clocks    map[string]time.Duration

	variables   map[string]map[string]string // by namespace and path
	variableErr error
}

// Plan is what [Cluster.Plan] answers.
type Plan struct {
	Fits   bool
	Reason string
	Places []run.Place
}

type job struct {
	workers []run.Worker
	state   nomad.JobState
	sent    nomad.Dispatch
}

// New returns an empty cluster.
func New() *Cluster {
	return &Cluster{
		changed: make(chan struct{}), jobs: map[string]*job{}, byToken: map[string]string{}, logs: map[string][]byte{}, calls: map[string]int{}, failing: map[string]error{}, variables: map[string]map[string]string{}, clocks: map[string]time.Duration{},
		plan:   Plan{Fits: true, Places: []run.Place{{Node: "node-1", NodeID: "n1", Datacenter: "dc1", Workers: 4}}},
		parent: run.ParentNew, places: map[string]int{"node-1": manyPlaces},
	}
}

// change makes a change and wakes whoever follows.
func (c *Cluster) change(fn func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fn()
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *Cluster) call(name string) error {
	c.calls[name]++
	if c.down != nil {
		return c.down
	}
	return c.failing[name]
}

// SetDown makes every call fail as unreachable until it is called with false.
func (c *Cluster) SetDown(down bool) {
	c.change(func() {
		c.down = nil
		if down {
			c.down = fmt.Errorf("connection refused: %w", fault.ErrUnavailable)
		}
	})
}

// Fail makes calls of a method fail with err; nil ends that.
func (c *Cluster) Fail(name string, err error) { c.change(func() { c.failing[name] = err }) }

// Refuse makes dispatches fail with err.
func (c *Cluster) Refuse(err error) { c.change(func() { c.refuse = err }) }

// LoseAnswers makes dispatches fail with err although they are carried out; nil ends that.
func (c *Cluster) LoseAnswers(err error) { c.change(func() { c.deaf = err }) }

// LoseParent makes the next n dispatches find no parent.
func (c *Cluster) LoseParent(n int) { c.change(func() { c.noParent = n }) }

// SetWhy is what WhyPending answers.
func (c *Cluster) SetWhy(why string) { c.change(func() { c.why = why }) }

// SetPlan is what Plan answers; without it everything fits on node-1.
func (c *Cluster) SetPlan(p Plan) { c.change(func() { c.plan = p }) }

// SetParent is what Job says of every parent; without it parents are new.
func (c *Cluster) SetParent(state run.ParentState) { c.change(func() { c.parent = state }) }

// Calls returns how often a method was called.
func (c *Cluster) Calls(name string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[name]
}

// Jobs returns the IDs of the child jobs, sorted.
func (c *Cluster) Jobs() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []string
	for id := range c.jobs {
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}

// Payload returns what a child was dispatched with.
func (c *Cluster) Payload(child string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.jobs[child].sent.Payload)
}

// Dispatched returns what a child was dispatched with.
func (c *Cluster) Dispatched(child string) nomad.Dispatch {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.jobs[child].sent
}

// Set places or changes the worker of a rank; the allocation ID is the child's with the rank.
func (c *Cluster) Set(child string, rank int, fn func(*run.Worker)) {
	c.change(func() {
		j := c.jobs[child]
		i := slices.IndexFunc(j.workers, func(w run.Worker) bool { return w.Rank == rank })
		if i < 0 {
			j.workers = append(j.workers, run.Worker{AllocID: Alloc(child, rank), Rank: rank, NodeName: "node-1", State: run.WorkerPending})
			i = len(j.workers) - 1
		}
		fn(&j.workers[i])
		slices.SortFunc(j.workers, func(a, b run.Worker) int { return a.Rank - b.Rank })
	})
}

// Alloc is the allocation ID of a worker.
func Alloc(child string, rank int) string { return fmt.Sprintf("%s#%d", child, rank) }

// Start makes a worker run, End makes it exit with a code.
func Start(w *run.Worker) { w.State, w.Started, w.StartedAt = run.WorkerRunning, true, time.Now() }

// End returns a change that makes a worker exit with a code.
func End(code int) func(*run.Worker) {
	return func(w *run.Worker) {
		w.State, w.Started, w.Exited, w.ExitCode, w.EndedAt = run.WorkerComplete, true, true, code, time.Now()
		if code != 0 && !w.Stopping {
			w.State = run.WorkerFailed
		}
	}
}

// Collect makes Nomad forget a child job.
func (c *Cluster) Collect(child string) { c.change(func() { delete(c.jobs, child) }) }

// Print appends to a worker's stdout.
func (c *Cluster) Print(child string, rank int, text string) { c.print(child, rank, "stdout", text) }

// PrintErr appends to the same worker's stderr.
func (c *Cluster) PrintErr(child string, rank int, text string) {
	c.print(child, rank, "stderr", text)
}

func (c *Cluster) print(child string, rank int, stream, text string) {
	c.change(func() {
		key := Alloc(child, rank) + "/" + stream
		c.logs[key] = append(c.logs[key], text...)
	})
}

// Ping answers unless the cluster is down.
func (c *Cluster) Ping(context.Context) (nomad.Info, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return nomad.Info{}, c.call("Ping")
}

// EnsureParent returns the shape's parent ID.
func (c *Cluster) EnsureParent(_ context.Context, shape run.Shape) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return shape.ParentJob(), c.call("EnsureParent")
}

// DispatchRun ensures the parent and dispatches, twice if the parent has vanished. What may have been sent is found though the
// parent is refused.
func (c *Cluster) DispatchRun(ctx context.Context, shape run.Shape, d nomad.Dispatch) (parent, child string, err error) {
	for range 2 {
		if d.Parent, err = c.EnsureParent(ctx, shape); err != nil && (!d.MaybeSent || errors.Is(err, fault.ErrUnavailable)) {
			return "", "", err
		}
		if child, err = c.Dispatch(ctx, d); !errors.Is(err, nomad.ErrParentMissing) {
			break
		}
	}
	return d.Parent, child, err
}

// Dispatch makes a child job without workers; the same token returns the same child.
func (c *Cluster) Dispatch(_ context.Context, d nomad.Dispatch) (child string, err error) {
	c.change(func() {
		if err = c.call("Dispatch"); err != nil {
			return
		}
		if err = c.refuse; err != nil {
			return
		}
		if _, err = d.Meta(); err != nil {
			return
		}
		if c.noParent > 0 {
			c.noParent--
			err = nomad.ErrParentMissing
			return
		}
		defer func() { err = c.deaf }()
		if child = c.byToken[d.Token]; child != "" {
			return
		}
		child = fmt.Sprintf("%s/dispatch-%d", d.Parent, len(c.jobs))
		c.byToken[d.Token] = child
		c.jobs[child] = &job{state: nomad.JobState{Status: "running", Found: true}, sent: d}
	})
	return child, err
}

// Workers lists a child's workers.
func (c *Cluster) Workers(_ context.Context, child string) ([]run.Worker, nomad.JobState, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.call("Workers"); err != nil {
		return nil, nomad.JobState{}, err
	}
	j := c.jobs[child]
	if j == nil {
		return nil, nomad.JobState{}, nil
	}
	return slices.Clone(j.workers), j.state, nil
}

// WhyPending returns what SetWhy set.
func (c *Cluster) WhyPending(context.Context, string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.why, c.call("WhyPending")
}

// Stop marks the child and its workers that have not ended as to be stopped; they end when the test says so.
func (c *Cluster) Stop(_ context.Context, child string) (err error) {
	c.change(func() {
		if err = c.call("Stop"); err != nil {
			return
		}
		if j := c.jobs[child]; j != nil {
			j.state.Stopped = true
			for i := range j.workers {
				if !j.workers[i].State.Terminal() {
					j.workers[i].Stopping = true
				}
			}
		}
	})
	return err
}

// Kill stops the child as [Cluster.Stop] does; its workers end at once, by SIGKILL.
func (c *Cluster) Kill(ctx context.Context, child string) error {
	if err := c.Stop(ctx, child); err != nil {
		return err
	}
	var err error
	c.change(func() {
		if err = c.call("Kill"); err != nil {
			return
		}
		if j := c.jobs[child]; j != nil {
			for i := range j.workers {
				if w := &j.workers[i]; !w.State.Terminal() {
					End(137)(w)
					w.Signal = 9
				}
			}
		}
	})
	return err
}

// Signal notes what was sent to a worker that has not ended; see [Cluster.Signals].
func (c *Cluster) Signal(_ context.Context, child, allocID, signal string) (err error) {
	c.change(func() {
		if err = c.call("Signal"); err != nil {
			return
		}
		j := c.jobs[child]
		if j == nil {
			return
		}
		for _, w := range j.workers {
			if w.AllocID == allocID && !w.State.Terminal() {
				c.signals = append(c.signals, fmt.Sprintf("%d %s", w.Rank, signal))
			}
		}
	})
	return err
}

// Signals are the signals that were sent, in order, each a worker's rank and a name: "1 SIGQUIT".
func (c *Cluster) Signals() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.signals)
}

// Purge forgets the child.
func (c *Cluster) Purge(_ context.Context, child string) (err error) {
	c.change(func() {
		if err = c.call("Purge"); err == nil {
			delete(c.jobs, child)
		}
	})
	return err
}

// Nodes returns one node.
func (c *Cluster) Nodes(context.Context) ([]run.Node, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return []run.Node{{ID: "n1", Name: "node-1", Status: "ready", Eligible: true}}, c.call("Nodes")
}

// GPUUses tells who has a node: the workers that have not ended.
func (c *Cluster) GPUUses(context.Context) (map[string][]run.GPUUse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string][]run.GPUUse{}
	for id, j := range c.jobs {
		for _, w := range j.workers {
			if !w.State.Terminal() {
				out[w.NodeID] = append(out[w.NodeID], run.GPUUse{GPUs: w.GPUs, Job: id, Rank: w.Rank})
			}
		}
	}
	return out, c.call("GPUUses")
}

// NodeUsage answers that a GPU of the node, whatever it is, has nothing to do.
func (c *Cluster) NodeUsage(_ context.Context, nodeID string) (run.NodeUsage, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.call("NodeUsage"); err != nil {
		return run.NodeUsage{}, err
	}
	return run.NodeUsage{GPUs: []run.GPUStats{{ID: nodeID + "-gpu", Utilization: new(int64(0))}}}, nil
}

// Host answers a node's clock as [Cluster.SetClock] set it, known to a tenth of a second; unset it is not known.
func (c *Cluster) Host(_ context.Context, nodeID string) (nomad.Host, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.call("Host"); err != nil {
		return nomad.Host{}, err
	}
	ahead, known := c.clocks[nodeID]
	return nomad.Host{Least: ahead - 50*time.Millisecond, Most: ahead + 50*time.Millisecond, Known: known}, nil
}

// SetClock is by how much a node's clock is ahead.
func (c *Cluster) SetClock(nodeID string, ahead time.Duration) {
	c.change(func() { c.clocks[nodeID] = ahead })
}

// KillLimit answers what [Cluster.SetKillLimit] set, for node-1.
func (c *Cluster) KillLimit(_ context.Context, nodeIDs []string) (limit time.Duration, node string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(nodeIDs) == 0 || c.call("KillLimit") != nil || c.killLimit == 0 {
		return 0, ""
	}
	return c.killLimit, "node-1"
}

// SetKillLimit is the max_kill_timeout of every node.
func (c *Cluster) SetKillLimit(limit time.Duration) { c.change(func() { c.killLimit = limit }) }

// Watch tells a resync at first and after each time of being down, and a hint for every job at every change.
func (c *Cluster) Watch(ctx context.Context, fn func(nomad.Hint)) error {
	connected := false
	for {
		c.mu.Lock()
		changed, down := c.changed, c.down
		ids := make([]string, 0, len(c.jobs))
		for id := range c.jobs {
			ids = append(ids, id)
		}
		c.mu.Unlock()
		switch {
		case down != nil:
			connected = false
			fn(nomad.Hint{Unreachable: down})
		case !connected:
			connected = true
			fn(nomad.Hint{Resync: true})
		default:
			for _, id := range ids {
				fn(nomad.Hint{JobID: id})
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// TailLog hands out a worker's log in pieces of at most chunk bytes.
func (c *Cluster) TailLog(ctx context.Context, allocID, stream string, from nomad.Cursor, follow bool, fn func(nomad.LogChunk) error) error {
	const chunk = 64 << 10
	at := from.Offset
	for {
		c.mu.Lock()
		changed, down := c.changed, c.call("TailLog")
		var data []byte
		if log := c.logs[allocID+"/"+stream]; int64(len(log)) > at {
			data = log[at:min(int64(len(log)), at+chunk)]
		}
		c.mu.Unlock()
		if down != nil {
			return down
		}
		if len(data) > 0 {
			if err := fn(nomad.LogChunk{File: File, Offset: at, Data: data}); err != nil {
				return err
			}
			at += int64(len(data))
			continue
		}
		if !follow {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
