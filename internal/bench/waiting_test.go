package bench

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/nomad/nomadtest"
	"github.com/cotrain/cotrain/internal/queue"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

const (
	waitingRuns = 10_000
	fewRuns     = 10
	lookRounds  = 301
)

// BenchmarkWaiting measures what the queue does every two seconds while nothing can be sent: 10 000 runs are queued, of
// which 4 in 10 are in full sweeps of 500, 3 in 10 wait for a time and have a maximum duration, and the others wait for
// room. The baseline is the same round with 10 such runs; the two take turns.
func BenchmarkWaiting(b *testing.B) {
	for range b.N {
		few, many := newLooker(b, openSQLite(b), fewRuns), newLooker(b, openSQLite(b), waitingRuns)
		for range lookRounds {
			few.look(b)
			many.look(b)
		}
		b.ReportMetric(many.median(b), "ms-round")
		b.ReportMetric(few.median(b), "ms-round-baseline-10-runs")
		b.ReportMetric(many.median(b)/few.median(b), "ratio(<3)")
	}
}

// looker times the rounds of a queue.
type looker struct {
	store *writes
	queue *queue.Queue
	took  []time.Duration
}

// newLooker has n runs wait in an empty store, and has done the first round, which gives those in full sweeps their reason.
func newLooker(b *testing.B, s *store.Store, n int) *looker {
	b.Helper()
	wait(b, s, n)
	l := &looker{store: &writes{Store: s}}
	cluster := nomadtest.New()
	cluster.SetPlaces(nil)
	l.queue = queue.New(queue.Options{
		Cluster: cluster, Store: l.store, Publisher: feed.NewHub(time.Now), Logger: slog.New(slog.DiscardHandler), Now: time.Now,
		Dispatched: func(run.ID) {},
	})
	l.queue.Round(b.Context())
	if l.store.n == 0 {
		b.Fatal("the first round gave nobody a reason")
	}
	l.store.n = 0
	return l
}

func (l *looker) look(b *testing.B) {
	began := time.Now()
	l.queue.Round(b.Context())
	l.took = append(l.took, time.Since(began))
}

// median is that of a round in milliseconds.
func (l *looker) median(b *testing.B) float64 {
	b.Helper()
	if l.store.n > 0 {
		b.Fatalf("%d writes while nothing changes", l.store.n)
	}
	slices.Sort(l.took)
	return float64(l.took[len(l.took)/2].Nanoseconds()) / 1e6
}

// wait stores n queued runs, none of which can be sent.
func wait(b *testing.B, s *store.Store, n int) {
	b.Helper()
	now := time.Now()
	inSweeps := n * 4 / 10
	for i := 0; i < inSweeps; i += run.MaxSweepRuns {
		sw := run.Sweep{ID: run.SweepID(fmt.Sprintf("s-%010d", i)), Spec: run.SweepSpec{Parallel: 1}, CreatedAt: now}
		var runs []run.Run
		var evs []run.Event
		for j := range min(run.MaxSweepRuns, inSweeps-i) {
			r := queued(i + j)
			r.Origin.Sweep = sw.ID
			if j == 0 {
				r.State = run.Running
			}
			runs, evs = append(runs, r), append(evs, run.Event{RunID: r.ID, At: now, Kind: "state", To: r.State, Rank: -1})
		}
		if _, _, err := s.CreateSweep(b.Context(), sw, "", runs, evs); err != nil {
			b.Fatal(err)
		}
	}
	for i := inSweeps; i < n; i++ {
		r := queued(i)
		if i < n*7/10 {
			r.StartedAt, r.NotBefore, r.Options.MaxDuration = now, now.Add(time.Hour), 7200
		}
		if _, _, err := s.CreateRun(b.Context(), r, ""); err != nil {
			b.Fatal(err)
		}
	}
}

func queued(i int) run.Run {
	return run.Run{
		ID: run.ID(fmt.Sprintf("r-%010d", i)), State: run.Queued, Config: "[train]\n", Shape: run.Shape{Nodes: 1},
		Options: run.Options{Priority: 1 + i%100},
	}
}

// writes counts what a queue changes.
type writes struct {
	*store.Store
	n int
}

func (w *writes) SetWaitReason(ctx context.Context, reason string, ids []run.ID) error {
	w.n++
	return w.Store.SetWaitReason(ctx, reason, ids)
}

func (w *writes) Update(ctx context.Context, id run.ID, fn func(*store.Update) error) (store.Update, error) {
	w.n++
	return w.Store.Update(ctx, id, fn)
}
