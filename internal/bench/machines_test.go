package bench

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/chart"
	"github.com/cotrain/cotrain/internal/machines"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/points"
)

// A cluster of a thousand GPUs, all of one run's workers.
const (
	sampledNodes = 125
	sampledGPUs  = 8
)

// measuredCluster answers at once.
type measuredCluster struct{ n int64 }

func (c *measuredCluster) NodeUsage(_ context.Context, id string) (u run.NodeUsage, _ error) {
	c.n++
	for i := range sampledGPUs {
		v := c.n*7 + int64(i)*13
		u.GPUs = append(u.GPUs, run.GPUStats{
			ID: fmt.Sprintf("%s-%d", id, i), Utilization: new(80 + v%20), MemoryUsed: new(60000 + v%5000), MemoryTotal: new(int64(81559)),
			Power: new(550 + v%150), PowerLimit: new(int64(700)), Temperature: new(55 + v%9), ECCErrors: new(int64(0)),
		})
	}
	return u, nil
}

func (c *measuredCluster) TaskUsage(context.Context, string, string) (run.TaskUsage, error) {
	return run.TaskUsage{CPU: new(float64(780 + c.n%50)), Memory: new(40<<30 + c.n), MemoryPeak: new(int64(50 << 30))}, nil
}

// oneByOne stores each report in a transaction of its own.
type oneByOne struct{ *store.Store }

func (s oneByOne) AddUsage(ctx context.Context, reports []points.Report) error {
	for _, r := range reports {
		for i := range r.Points {
			alone := r
			alone.Points = r.Points[i : i+1]
			if err := s.Store.AddUsage(ctx, []points.Report{alone}); err != nil {
				return err
			}
		}
	}
	return nil
}

// BenchmarkMachines samples a thousand GPUs ten times, five times as often as in use, and stores what they say: the CPU that a
// period takes of the console is reported, of ten seconds in use. The baseline stores each value by itself. Then it draws the heat map of the thousand.
func BenchmarkMachines(b *testing.B) {
	for range b.N {
		ours, s, r := sampleMachines(b, func(s *store.Store) machines.Store { return s }, 10)
		theirs, _, _ := sampleMachines(b, func(s *store.Store) machines.Store { return oneByOne{s} }, 1)
		b.ReportMetric(ours, "ms-cpu-a-period")
		b.ReportMetric(theirs, "ms-cpu-a-period-baseline")
		b.ReportMetric(ours/theirs, "ratio")
		began := time.Now()
		h, err := chart.New(s).Heat(b.Context(), r, run.GPUUtilization, time.Now().Add(-time.Hour), time.Now(), 200)
		if err != nil || len(h.Rows) != sampledNodes*sampledGPUs {
			b.Fatal(len(h.Rows), err)
		}
		b.ReportMetric(float64(time.Since(began).Microseconds())/1000, "ms-heat-map")
	}
}

// sampleMachines returns the milliseconds of CPU that a period takes.
func sampleMachines(b *testing.B, keep func(*store.Store) machines.Store, periods int) (float64, *store.Store, run.Run) {
	b.Helper()
	s, err := store.Open(b.Context(), b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	r, _, err := s.CreateRun(b.Context(), run.Run{ID: "r-0000000001", Name: "sampled", Project: "default", State: run.Running, Attempt: 1, Shape: run.Shape{Nodes: sampledNodes, GPUs: sampledGPUs, Memory: 1 << 20}}, "")
	if err != nil {
		b.Fatal(err)
	}
	var ws []run.Worker
	for rank := range sampledNodes {
		id := fmt.Sprintf("n%d", rank)
		w := run.Worker{AllocID: "a-" + id, Rank: rank, NodeID: id, NodeName: id, State: run.WorkerRunning}
		for i := range sampledGPUs {
			w.GPUs = append(w.GPUs, run.GPU{ID: fmt.Sprintf("%s-%d", id, i), Model: "nvidia/gpu/H100"})
		}
		ws = append(ws, w)
	}
	const every = 2 * time.Second
	smp := machines.New(machines.Options{Cluster: &measuredCluster{}, Store: keep(s), Logger: slog.New(slog.DiscardHandler), Now: time.Now, Every: every})
	smp.Follow(r, run.Attempt{Number: 1, JobID: "j"}, ws)
	ctx, cancel := context.WithTimeout(b.Context(), time.Duration(periods)*every)
	defer cancel()
	spent := cpuTime(b)
	if err := smp.Run(ctx); err != nil {
		b.Fatal(err)
	}
	return float64((cpuTime(b) - spent).Microseconds()) / 1000 / float64(periods), s, r
}
