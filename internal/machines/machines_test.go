package machines_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/machines"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/points"
)

// cluster is nodes of which each has eight GPUs, and what they say.
type cluster struct {
	mu     sync.Mutex
	usage  func(node string, gpu int) run.GPUStats
	task   run.TaskUsage
	node   run.NodeUsage
	down   map[string]error
	gone   bool
	asked  map[string][]time.Time // by node
	open   int
	most   int
	slow   time.Duration
	stored []points.Report
}

const gpusOfNode = 8

func (c *cluster) NodeUsage(ctx context.Context, id string) (run.NodeUsage, error) {
	c.mu.Lock()
	c.asked[id] = append(c.asked[id], time.Now())
	c.open++
	c.most = max(c.most, c.open)
	slow := c.slow
	c.mu.Unlock()
	select {
	case <-time.After(slow):
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
	if err := c.down[id]; err != nil || ctx.Err() != nil {
		return run.NodeUsage{}, errors.Join(err, ctx.Err())
	}
	u := c.node
	for i := range gpusOfNode {
		g := run.GPUStats{Utilization: new(int64(95))}
		if c.usage != nil {
			g = c.usage(id, i)
		}
		g.ID = fmt.Sprintf("%s-%d", id, i)
		u.GPUs = append(u.GPUs, g)
	}
	return u, nil
}

func (c *cluster) TaskUsage(context.Context, string, string) (run.TaskUsage, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return run.TaskUsage{}, fault.ErrNotFound
	}
	return c.task, nil
}

func (c *cluster) AddUsage(_ context.Context, reports []points.Report) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stored = append(c.stored, reports...)
	return nil
}

// workers are one on each of some nodes.
func workers(nodes int) (out []run.Worker) {
	for rank := range nodes {
		id := fmt.Sprintf("n%d", rank)
		w := run.Worker{AllocID: "a-" + id, Rank: rank, NodeID: id, NodeName: "gpu-" + id, State: run.WorkerRunning}
		for i := range gpusOfNode {
			w.GPUs = append(w.GPUs, run.GPU{ID: fmt.Sprintf("%s-%d", id, i), Model: "nvidia/gpu/H100"})
		}
		out = append(out, w)
	}
	return out
}

var (
	training = run.Run{ID: "r-0000000001", Shape: run.Shape{Memory: 1000}}
	first    = run.Attempt{Number: 1, JobID: "cotrain-core-abcdefghijkl/dispatch-1"}
)

// sampled runs fn in a bubble where a sampler follows workers.
func sampled(t *testing.T, c *cluster, ws []run.Worker, fn func(s *machines.Sampler)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c.asked = map[string][]time.Time{}
		ctx, cancel := context.WithCancel(t.Context())
		s := machines.New(machines.Options{Cluster: c, Store: c, Logger: slog.New(slog.DiscardHandler), Now: time.Now})
		var running sync.WaitGroup
		running.Go(func() { _ = s.Run(ctx) })
		defer running.Wait()
		defer cancel() // also where fn fails: its clock would go on for ever
		s.Follow(training, first, ws)
		fn(s)
	})
}

// fiveMinutes lets enough samples be taken for every rule.
func fiveMinutes() {
	time.Sleep(5*time.Minute + machines.Every)
	synctest.Wait()
}

func TestEveryNodeIsAskedOnceAPeriodAndNeverManyAtOnce(t *testing.T) {
	c := &cluster{slow: 300 * time.Millisecond}
	sampled(t, c, workers(300), func(*machines.Sampler) {
		time.Sleep(10 * machines.Every)
		synctest.Wait()
		c.mu.Lock()
		defer c.mu.Unlock()
		for id, times := range c.asked {
			if len(times) < 9 || len(times) > 11 {
				t.Errorf("node %s was asked %d times in ten periods", id, len(times))
			}
		}
		if len(c.asked) != 300 {
			t.Errorf("%d nodes were asked", len(c.asked))
		}
		if c.most > 16 {
			t.Errorf("%d nodes were asked at once", c.most)
		}
	})
}

func TestWhatIsMeasuredAreSeriesOfTheWorker(t *testing.T) {
	c := &cluster{
		task: run.TaskUsage{CPU: new(780.5), Memory: new(int64(4e9)), MemoryPeak: new(int64(5e9))},
		usage: func(string, int) run.GPUStats {
			return run.GPUStats{Utilization: new(int64(87)), MemoryUsed: new(int64(40960)), Power: new(int64(312))}
		},
	}
	sampled(t, c, workers(2), func(s *machines.Sampler) {
		time.Sleep(machines.Every)
		synctest.Wait()
		c.mu.Lock()
		defer c.mu.Unlock()
		if len(c.stored) != 2 {
			t.Fatalf("%d reports of two workers", len(c.stored))
		}
		r := c.stored[0]
		if r.Run != training.ID || r.Attempt != 1 {
			t.Errorf("report is %+v", r)
		}
		got := map[string]float64{}
		for _, p := range r.Points {
			if p.Step != r.At.UnixMilli() {
				t.Errorf("%s is at %d, not at %d", p.Metric, p.Step, r.At.UnixMilli())
			}
			got[p.Metric] = p.Value
		}
		for name, want := range map[string]float64{
			"system/task_cpu_percent": 780.5, "system/task_memory_bytes": 4e9, "system/task_memory_peak_bytes": 5e9,
			"system/gpu0/utilization_percent": 87, "system/gpu7/memory_used_bytes": 40960 << 20, "system/gpu7/power_watts": 312,
		} {
			if got[name] != want {
				t.Errorf("%s is %v, want %v", name, got[name], want)
			}
		}
		if _, ok := got["system/gpu0/temperature_celsius"]; ok {
			t.Error("a temperature that is not known is stored")
		}
	})
}

func TestANodeThatDoesNotAnswerIsLeftAloneForLongerAndLonger(t *testing.T) {
	c := &cluster{down: map[string]error{"n0": errors.New("No path to node")}}
	sampled(t, c, workers(2), func(*machines.Sampler) {
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		c.mu.Lock()
		defer c.mu.Unlock()
		if n := len(c.asked["n0"]); n < 6 || n > 14 {
			t.Errorf("the node that is down was asked %d times in half an hour", n)
		}
		if n := len(c.asked["n1"]); n < 170 {
			t.Errorf("the other was asked %d times", n)
		}
		delete(c.down, "n0")
	})
}

func TestWorkersThatEndAreNoLongerMeasured(t *testing.T) {
	c := &cluster{}
	ws := workers(2)
	sampled(t, c, ws, func(s *machines.Sampler) {
		time.Sleep(machines.Every)
		ws[0].State = run.WorkerFailed
		s.Follow(training, first, ws)
		synctest.Wait()
		c.mu.Lock()
		c.stored, c.gone = nil, false
		c.mu.Unlock()
		time.Sleep(2 * machines.Every)
		synctest.Wait()
		c.mu.Lock()
		if slices.ContainsFunc(c.stored, func(r points.Report) bool { return r.Rank == 0 }) {
			t.Error("a worker that has failed is measured")
		}
		c.stored, c.gone = nil, true // Nomad knows it no more
		c.mu.Unlock()
		time.Sleep(2 * machines.Every)
		synctest.Wait()
		c.mu.Lock()
		if len(c.stored) != 0 {
			t.Error("the GPUs of a worker that Nomad does not know are stored as its own")
		}
		asked := len(c.asked["n1"])
		c.mu.Unlock()
		s.Forget(training.ID)
		time.Sleep(5 * machines.Every)
		synctest.Wait()
		c.mu.Lock()
		defer c.mu.Unlock()
		if len(c.asked["n1"]) != asked {
			t.Error("a run that has ended is measured")
		}
	})
}

func TestWhatLooksWrongIsSaid(t *testing.T) {
	t.Parallel()
	busy := run.GPUStats{Utilization: new(int64(95)), Temperature: new(int64(60))}
	odd := func(g run.GPUStats) func(string, int) run.GPUStats {
		return func(node string, i int) run.GPUStats {
			if node == "n1" && i == 3 {
				return g
			}
			return busy
		}
	}
	for _, test := range []struct {
		name string
		c    *cluster
		hear float64 // what the shim says of throttling, from 0 to 1
		kind run.NoticeKind
		text string // "" for no notice
	}{
		{name: "nothing", c: &cluster{}},
		{name: "a GPU that does nothing", c: &cluster{usage: odd(run.GPUStats{Utilization: new(int64(2))})}, kind: run.NoticeGPUIdle, text: "GPU 3 of worker 1 (gpu-n1) has done nothing for 4m50s"},
		{name: "a GPU of which nothing is known", c: &cluster{usage: odd(run.GPUStats{})}},
		{name: "a GPU that does less", c: &cluster{usage: odd(run.GPUStats{Utilization: new(int64(50))})}, kind: run.NoticeGPUSlow, text: "GPU 3 of worker 1 (gpu-n1) is 50 % busy, where others of its model are 95 %"},
		{name: "a GPU that does a little less", c: &cluster{usage: odd(run.GPUStats{Utilization: new(int64(80))})}},
		{name: "all GPUs do little", c: &cluster{usage: func(string, int) run.GPUStats { return run.GPUStats{Utilization: new(int64(20))} }}},
		{name: "a GPU that is hot", c: &cluster{usage: odd(run.GPUStats{Utilization: new(int64(95)), Temperature: new(int64(91))})}, kind: run.NoticeGPUThrottled, text: "GPU 3 of worker 1 (gpu-n1) is at 91 °C"},
		{name: "a GPU whose memory has errors", c: &cluster{usage: odd(run.GPUStats{Utilization: new(int64(95)), ECCErrors: new(int64(1))})}, kind: run.NoticeGPUErrors, text: "the memory of GPU 3 of worker 1 (gpu-n1) has 1 error"},
		{name: "a GPU that is held down", c: &cluster{}, hear: 0.75, kind: run.NoticeGPUThrottled, text: "the clocks of GPU 3 of worker 1 (gpu-n1) are held down 7"},
		{name: "a GPU that is held down now and then", c: &cluster{}, hear: 0.25},
		{name: "memory near the limit", c: &cluster{task: run.TaskUsage{Memory: new(int64(990 << 20))}}, kind: run.NoticeMemory, text: "worker 0 (gpu-n0) uses 99 % of its memory"},
		{name: "memory that nothing limits", c: &cluster{task: run.TaskUsage{Memory: new(int64(4000 << 20))}}},
		{
			name: "a node without memory", c: &cluster{node: run.NodeUsage{MemoryUsed: new(int64(98)), MemoryTotal: new(int64(100))}},
			kind: run.NoticeMemory, text: "the memory of the node of worker 0 (gpu-n0) is 98 % full",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := test.c
			sampled(t, c, workers(2), func(s *machines.Sampler) {
				for i := range 31 {
					value := 0.0
					if float64(i%4) < 4*test.hear {
						value = 1
					}
					s.Hear(&store.Batch{RunID: training.ID, Attempt: 1, Rank: 1, AllocID: "a-n1", Points: []points.Point{
						{Metric: run.GPUMetric(3, run.GPUThrottled), Value: value}, {Metric: "system/gpu-1/throttled", Value: 1}, {Metric: "system/gpu999999999/throttled", Value: 1},
					}})
				}
				fiveMinutes()
				ns := s.Notices(training.ID)
				if test.text == "" {
					if len(ns) > 0 {
						t.Errorf("it says %+v", ns)
					}
					return
				}
				if len(ns) == 0 || ns[0].Kind != test.kind || !strings.HasPrefix(ns[0].Text, test.text) {
					t.Fatalf("it says %+v, want %q", ns, test.text)
				}
				if ns[0].Hint == "" || ns[0].Since.IsZero() {
					t.Errorf("the notice is %+v", ns[0])
				}
			})
		})
	}
}

func TestNothingIsSaidOfTheFirstMinutes(t *testing.T) {
	c := &cluster{usage: func(string, int) run.GPUStats { return run.GPUStats{Utilization: new(int64(0))} }}
	sampled(t, c, workers(1), func(s *machines.Sampler) {
		time.Sleep(4 * time.Minute)
		synctest.Wait()
		if ns := s.Notices(training.ID); len(ns) > 0 {
			t.Errorf("after four minutes it says %+v", ns)
		}
		fiveMinutes()
		if ns := s.Notices(training.ID); len(ns) != 1 || !strings.Contains(ns[0].Text, "each of GPUs 0, 1, 2, 3, 4, 5, 6, 7") {
			t.Errorf("later it says %+v", ns)
		}
		s.Follow(training, run.Attempt{Number: 2}, workers(1))
		if ns := s.Notices(training.ID); len(ns) > 0 {
			t.Errorf("of another attempt it says %+v", ns)
		}
	})
}
