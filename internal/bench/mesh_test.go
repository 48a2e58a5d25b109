package bench

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/rounds"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/points"
)

// BenchmarkMesh makes rounds of what 300 workers reported of 1,000, and answers a window of the timeline; the baseline reads the same
// points as a client of the API would that draws them itself.
func BenchmarkMesh(b *testing.B) {
	const workers, all, inner = 300, 1000, 50
	for range b.N {
		s, err := store.Open(b.Context(), b.TempDir())
		if err != nil {
			b.Fatal(err)
		}
		began := time.Unix(1_700_000_000, 0)
		r := run.Run{ID: "r-0000000001", Name: "mesh", State: run.Running, InnerSteps: inner, Shape: run.Shape{Nodes: workers}, Attempt: 1, Config: "[diloco]\ninner_steps = 50\n[train]\nmicro_bs = 1\n"}
		if _, _, err := s.CreateRun(b.Context(), r, ""); err != nil {
			b.Fatal(err)
		}
		for rank := range workers {
			batch := &store.Batch{RunID: r.ID, Attempt: 1, Rank: rank, AllocID: fmt.Sprint("a", rank), Stream: "stdout", At: began.Add(all * time.Minute), To: store.Cursor{Offset: 1}}
			for k := range int64(all) {
				sync := 2 + float64((int64(rank)*7+k*13)%20)
				end := began.Add(time.Duration(k+1) * time.Minute)
				batch.Points = append(batch.Points, points.Point{Metric: "sync_seconds", Step: (k + 1) * inner, Value: sync}, points.Point{Metric: "time", Step: (k + 1) * inner, Value: float64(end.Unix()) - sync, Exact: true})
			}
			if err := s.Commit(b.Context(), []*store.Batch{batch}); err != nil {
				b.Fatal(err)
			}
		}
		raw := median(b, func() (int, error) {
			for _, metric := range []string{"sync_seconds", "time"} {
				if _, err := s.PointsPage(b.Context(), r.ID, metric, 0, nil, math.MaxInt); err != nil {
					return 0, err
				}
			}
			return 1, nil
		}, 1)
		cold := median(b, func() (int, error) {
			_, err := rounds.NewCache().Of(b.Context(), s, r)
			return 1, err
		}, 1)
		kept := rounds.NewCache()
		window := median(b, func() (int, error) {
			m, err := kept.Of(b.Context(), s, r)
			if err != nil {
				return 0, err
			}
			from, to := m.Span()
			m.Grid(from, to, 300)
			return 1, nil
		}, 1)
		b.ReportMetric(float64(raw.Milliseconds()), "baseline-ms-points")
		b.ReportMetric(float64(cold.Milliseconds()), "ms-first")
		b.ReportMetric(float64(window.Milliseconds()), "ms-window")
		b.ReportMetric(raw.Seconds()/window.Seconds(), "ratio(>=3)")
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
