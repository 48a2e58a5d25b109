package bench

import (
	"io"
	"math"
	"testing"

	"github.com/cotrain/cotrain/internal/chart"
	"github.com/cotrain/cotrain/internal/metricfile"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/series"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/points"
)

// BenchmarkChartCache asks for a smoothed chart of an ended run of 8 workers and 5000 steps: computed, from the console's cache, and by
// who has it.
func BenchmarkChartCache(b *testing.B) {
	for range b.N {
		s, id := endedRun(b)
		r := run.Run{ID: id, State: run.Succeeded, Shape: run.Shape{Nodes: 8}}
		q := chart.Query{Metrics: []string{"loss", "perplexity", "grad_norm"}, X: chart.Step, From: math.Inf(-1), To: math.Inf(1), Pixels: 800, Workers: chart.AllWorkers, Smooth: series.Smoothing{Kernel: series.EMA, Amount: 0.9}}
		nobody := func(string) bool { return false }
		ask := func(c *chart.Cache, known func(string) bool) func() (int, error) {
			return func() (int, error) {
				_, _, err := c.Answer(b.Context(), s, r, q, known)
				return 1, err
			}
		}
		computed := median(b, ask(chart.NewCache(0, "none"), nobody), 1)
		kept := chart.NewCache(1<<20, "some")
		cached := median(b, ask(kept, nobody), 1)
		unchanged := median(b, ask(kept, func(string) bool { return true }), 1)
		if kept.Stats().Hits == 0 {
			b.Fatal("nothing came from the cache")
		}
		b.ReportMetric(float64(cached.Microseconds()), "us-cached")
		b.ReportMetric(float64(unchanged.Microseconds()), "us-unchanged")
		b.ReportMetric(float64(computed.Microseconds()), "baseline-us-computed")
		b.ReportMetric(computed.Seconds()/cached.Seconds(), "ratio(>=20)")
	}
}

// BenchmarkExport writes every value of a run as a table, and reads them alone.
func BenchmarkExport(b *testing.B) {
	for range b.N {
		s, id := endedRun(b)
		rows := 0
		pass := func(take func([]metricfile.Row) error) func() (int, error) {
			return func() (int, error) {
				rows = 0
				err := eachPage(b, s, id, func(page []metricfile.Row) error {
					rows += len(page)
					return take(page)
				})
				return 1, err
			}
		}
		read := median(b, pass(func([]metricfile.Row) error { return nil }), 1)
		b.ReportMetric(float64(rows)/read.Seconds(), "baseline-read-rows/s")
		for _, name := range []string{"csv", "parquet", "jsonl"} {
			format, _ := metricfile.ByName(name)
			var table metricfile.Writer
			write := pass(func(page []metricfile.Row) error { return table.Write(page) })
			took := median(b, func() (int, error) {
				table = format.Open(io.Discard)
				if n, err := write(); err != nil {
					return n, err
				}
				return 1, table.Close()
			}, 1)
			b.ReportMetric(float64(rows)/took.Seconds(), name+"-rows/s")
			b.ReportMetric(read.Seconds()/took.Seconds(), name+"-ratio(>=0.05)")
		}
	}
}

func endedRun(b *testing.B) (*store.Store, run.ID) {
	b.Helper()
	s, err := store.Open(b.Context(), b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	id := run.ID("r-0000000001")
	storeLines(b, s, id, noise)
	sealEnded(b, s, id)
	return s, id
}

// eachPage reads all of a run as an export does.
func eachPage(b *testing.B, s *store.Store, id run.ID, take func([]metricfile.Row) error) error {
	b.Helper()
	const atOnce = 20_000
	metrics, err := s.Metrics(b.Context(), id)
	if err != nil {
		return err
	}
	attempt := int32(1)
	for _, metric := range metrics {
		for after, more := (*points.PageCursor)(nil), true; more; {
			page, err := s.PointsPage(b.Context(), id, metric, 0, after, atOnce)
			if err != nil {
				return err
			}
			rows := make([]metricfile.Row, 0, len(page))
			for i, p := range page {
				rows = append(rows, metricfile.Row{Run: string(id), Metric: metric, Worker: int32(p.Rank), Step: &page[i].Step, Time: p.At, Value: float64(p.Value), Attempt: &attempt})
				after = &points.PageCursor{Rank: p.Rank, Step: p.Step}
			}
			if err := take(rows); err != nil {
				return err
			}
			more = len(page) == atOnce
		}
	}
	return nil
}
