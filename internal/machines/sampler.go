package machines

import (
	"context"
	"errors"
	"hash/fnv"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/points"
)

const (
	// Every is how often a node is asked.
	Every = 10 * time.Second
	// parts is into how many parts the period is divided: a node is asked in that of its ID.
	parts = 20
	// atOnce bounds the nodes that are asked at the same time, and answer how long one may take.
	atOnce = 16
	answer = 5 * time.Second
	// restLeast and restMost are how long a node that does not answer is left alone, doubled each time.
	restLeast = 20 * time.Second
	restMost  = 5 * time.Minute
)

// Cluster measures; see package nomad.
type Cluster interface {
	NodeUsage(ctx context.Context, nodeID string) (run.NodeUsage, error)
	TaskUsage(ctx context.Context, jobID, allocID string) (run.TaskUsage, error)
}

// Store keeps what was measured; see [store.Store.AddUsage].
type Store interface {
	AddUsage(ctx context.Context, reports []points.Report) error
}

// Options configures [New].
type Options struct {
	Cluster Cluster
	Store   Store
	Logger  *slog.Logger
	Now     func() time.Time
	// Every is how often a node is asked ([Every]).
	Every time.Duration
}

// Sampler samples. Use [New].
type Sampler struct {
	o Options

	mu    sync.Mutex
	runs  map[run.ID]*followed
	nodes map[string]*node
}

// followed is a run whose workers are sampled.
type followed struct {
	attempt int
	job     string
	memory  int64           // of a worker, in bytes
	workers map[int]*worker // by rank
}

// worker is one that runs.
type worker struct {
	run.Worker
	history
}

// node is one with workers.
type node struct {
	rest  time.Duration // after its last failure
	until time.Time     // when it is asked again
}

// New returns a sampler of nothing; see [Sampler.Follow] and [Sampler.Run].
func New(o Options) *Sampler {
	if o.Every == 0 {
		o.Every = Every
	}
	return &Sampler{o: o, runs: map[run.ID]*followed{}, nodes: map[string]*node{}}
}

// Follow has the running workers of a run's attempt sampled from now on, and no others of that run.
func (s *Sampler) Follow(r run.Run, a run.Attempt, ws []run.Worker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.runs[r.ID]
	if f == nil || f.attempt != a.Number {
		f = &followed{attempt: a.Number, workers: map[int]*worker{}}
		s.runs[r.ID] = f
	}
	f.job, f.memory = a.JobID, int64(r.Shape.Memory)<<20
	runs := map[int]bool{}
	for _, w := range ws {
		if w.State != run.WorkerRunning || w.NodeID == "" {
			continue
		}
		runs[w.Rank] = true
		if known := f.workers[w.Rank]; known == nil || known.AllocID != w.AllocID {
			f.workers[w.Rank] = &worker{}
		}
		f.workers[w.Rank].Worker = w
		if s.nodes[w.NodeID] == nil {
			s.nodes[w.NodeID] = &node{}
		}
	}
	for rank := range f.workers {
		if !runs[rank] {
			delete(f.workers, rank)
		}
	}
}

// Forget ends the sampling of a run.
func (s *Sampler) Forget(id run.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.runs, id)
}

// Run samples until ctx ends.
func (s *Sampler) Run(ctx context.Context) error {
	tick := time.NewTicker(s.o.Every / parts)
	defer tick.Stop()
	for part := uint32(0); ; part = (part + 1) % parts {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			s.sample(ctx, part)
		}
	}
}

// task is a worker to measure.
type task struct {
	run     run.ID
	attempt int
	job     string
	worker  run.Worker
}

// due returns the workers of the nodes whose turn it is, by node, and forgets nodes without any.
func (s *Sampler) due(part uint32) map[string][]task {
	s.mu.Lock()
	defer s.mu.Unlock()
	used := map[string]bool{}
	out := map[string][]task{}
	now := s.o.Now()
	for id, f := range s.runs {
		for _, w := range f.workers {
			used[w.NodeID] = true
			if partOf(w.NodeID) == part && !now.Before(s.nodes[w.NodeID].until) {
				out[w.NodeID] = append(out[w.NodeID], task{id, f.attempt, f.job, w.Worker})
			}
		}
	}
	for id := range s.nodes {
		if !used[id] {
			delete(s.nodes, id)
		}
	}
	return out
}

func partOf(node string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(node)) // never fails
	return h.Sum32() % parts
}

// sample measures the nodes whose turn it is, and stores what they say together.
func (s *Sampler) sample(ctx context.Context, part uint32) {
	due := s.due(part)
	if len(due) == 0 {
		return
	}
	var mu sync.Mutex
	var reports []points.Report
	var each errgroup.Group
	each.SetLimit(atOnce)
	for id, tasks := range due {
		each.Go(func() error {
			got := s.ask(ctx, id, tasks)
			mu.Lock()
			defer mu.Unlock()
			reports = append(reports, got...)
			return nil
		})
	}
	_ = each.Wait() // never fails
	if len(reports) == 0 || ctx.Err() != nil {
		return
	}
	if err := s.o.Store.AddUsage(ctx, reports); err != nil && ctx.Err() == nil { // there is a next time
		s.o.Logger.Warn("what machines use was not stored", "reports", len(reports), "err", err)
	}
}

// ask measures a node and its workers, as far as they answer.
func (s *Sampler) ask(ctx context.Context, id string, tasks []task) (out []points.Report) {
	ctx, cancel := context.WithTimeout(ctx, answer)
	defer cancel()
	machine, err := s.o.Cluster.NodeUsage(ctx, id)
	if !s.answered(id, err) {
		return nil
	}
	gpus := map[string]run.GPUStats{}
	for _, g := range machine.GPUs {
		gpus[g.ID] = g
	}
	for _, t := range tasks {
		u, err := s.o.Cluster.TaskUsage(ctx, t.job, t.worker.AllocID)
		switch {
		case errors.Is(err, fault.ErrNotFound): // it has ended
			continue
		case err != nil:
			s.o.Logger.Debug("a worker was not measured", "run", t.run, "rank", t.worker.Rank, "err", err)
		}
		now := s.o.Now()
		smp := sampleOf(t.worker, machine, u, gpus, now)
		if s.take(t, smp) {
			if ps := smp.points(); len(ps) > 0 {
				out = append(out, points.Report{Run: t.run, Attempt: t.attempt, Rank: t.worker.Rank, At: now, Points: ps})
			}
		}
	}
	return out
}

// answered notes whether a node answered, and reports whether it did and still has workers.
func (s *Sampler) answered(id string, err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.nodes[id]
	if n == nil { // it has no workers any more
		return false
	}
	if err == nil {
		*n = node{}
		return true
	}
	n.rest = min(max(restLeast, 2*n.rest), restMost)
	n.until = s.o.Now().Add(n.rest)
	s.o.Logger.Debug("a node was not measured", "node", id, "again_in", n.rest, "err", err)
	return false
}

// Hear takes what a batch of a worker's log says of its GPUs. It does not block for long.
func (s *Sampler) Hear(b *store.Batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.runs[b.RunID]
	if f == nil || f.attempt != b.Attempt || f.workers[b.Rank] == nil || f.workers[b.Rank].AllocID != b.AllocID {
		return
	}
	f.workers[b.Rank].hear(b.Points)
}

// take adds a sample to what is known of a worker, unless that has ended.
func (s *Sampler) take(t task, smp sample) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.runs[t.run]
	if f == nil || f.attempt != t.attempt || f.workers[t.worker.Rank] == nil || f.workers[t.worker.Rank].AllocID != t.worker.AllocID {
		return false
	}
	f.workers[t.worker.Rank].add(smp)
	return true
}
