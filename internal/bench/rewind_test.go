package bench

import (
	"fmt"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/points"
)

// BenchmarkRewind measures the one transaction in which a second attempt begins to repeat half of what 1000 workers have reported of
// 10 metrics, while everyone else who writes waits. The baseline is the transaction that stored the last step of all of them.
func BenchmarkRewind(b *testing.B) {
	for _, d := range databases(b) {
		b.Run(d.name, func(b *testing.B) { rewound(b, d.store) })
	}
}

func rewound(b *testing.B, s *store.Store) {
	const steps = 200
	for n := range b.N {
		id := run.ID(fmt.Sprintf("r-%010d", n+1))
		if _, _, err := s.CreateRun(b.Context(), run.Run{ID: id, State: run.Queued}, "", run.Event{RunID: id}); err != nil {
			b.Fatal(err)
		}
		report := func(attempt, rank int, from, to int64) *store.Batch {
			batch := &store.Batch{
				RunID: id, AllocID: fmt.Sprintf("%s-%d-%d", id, attempt, rank), Stream: "stdout", Rank: rank, Attempt: attempt, At: time.UnixMilli(1_700_000_000_000 + to),
				From: store.Cursor{File: "f", Offset: from}, To: store.Cursor{File: "f", Offset: to},
			}
			if from == 0 {
				batch.From = store.Cursor{}
			}
			for step := from; step < to; step++ {
				for _, name := range metricNames {
					batch.Points = append(batch.Points, points.Point{Metric: name, Step: step, Value: float64(step), Exact: true})
				}
			}
			return batch
		}
		for rank := range manyWorkers.workers {
			if err := s.Commit(b.Context(), []*store.Batch{report(1, rank, 0, steps-1)}); err != nil {
				b.Fatal(err)
			}
		}
		for more := true; more; {
			var err error
			if more, err = s.SealPoints(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		var last []*store.Batch
		for rank := range manyWorkers.workers {
			last = append(last, report(1, rank, steps-1, steps))
		}
		began := time.Now()
		if err := s.Commit(b.Context(), last); err != nil {
			b.Fatal(err)
		}
		step := time.Since(began)
		again := report(2, 0, 0, 1)
		for i := range again.Points {
			again.Points[i].Step = steps / 2
		}
		began = time.Now()
		if err := s.Commit(b.Context(), []*store.Batch{again}); err != nil {
			b.Fatal(err)
		}
		rewind := time.Since(began)
		b.ReportMetric(rewind.Seconds()*1000, "ms-rewind")
		b.ReportMetric(step.Seconds()*1000, "ms-baseline-step")
		b.ReportMetric(step.Seconds()/rewind.Seconds(), "ratio(>=0.2)")
	}
}
