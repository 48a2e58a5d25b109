package bench

import (
	"database/sql"
	"math"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/series"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/points"
)

const (
	viewedPoints = 10_000_000
	viewedWidth  = 800 // pixels
	viewedID     = run.ID("r-0000000001")
)

// BenchmarkViews looks at a series of 10 million points, of one worker and as a stored curve over workers: all of it, a tenth, a
// thousandth, and smoothed. The baseline decodes all points. It fails where a spike of one step is not seen.
func BenchmarkViews(b *testing.B) {
	for range b.N {
		s := longSeries(b)
		for _, of := range []struct {
			name, metric string
			worker       int
		}{{"worker", chunkedMetric, 0}, {"curve", "loss", points.AllWorkers}} {
			spent := func(q points.ViewQuery) float64 {
				q.Worker, q.Limit = of.worker, viewedWidth
				return float64(medianOf(b, func() {
					v, err := s.View(b.Context(), viewedID, of.metric, q)
					if err != nil || len(v.Columns) == 0 || len(v.Columns) > viewedWidth {
						b.Fatalf("%d columns, %v", len(v.Columns), err)
					}
					if !slices.ContainsFunc(v.Columns, func(c series.Column) bool { return c.Max == spike }) {
						b.Fatal("the spike is not seen")
					}
				}).Microseconds()) / 1000
			}
			before := allocated()
			first := spent(points.ViewQuery{From: 0, To: viewedPoints})
			bytes := (allocated() - before) / 5
			all := float64(medianOf(b, func() {
				n := 0
				err := s.Each(b.Context(), viewedID, of.metric, of.worker, 0, viewedPoints, func(run.CurvePoint) bool { n++; return true })
				if err != nil || n != viewedPoints {
					b.Fatal(n, err)
				}
			}).Microseconds()) / 1000
			b.ReportMetric(first, "ms-first-"+of.name)
			b.ReportMetric(spent(points.ViewQuery{From: spikeAt - viewedPoints/20, To: spikeAt + viewedPoints/20}), "ms-zoom10-"+of.name)
			b.ReportMetric(spent(points.ViewQuery{From: spikeAt - viewedPoints/2000, To: spikeAt + viewedPoints/2000}), "ms-zoom1000-"+of.name)
			b.ReportMetric(spent(points.ViewQuery{From: 0, To: viewedPoints, Smooth: series.Smoothing{Kernel: series.EMA, Amount: 0.9}}), "ms-ema-"+of.name)
			b.ReportMetric(all, "baseline-ms-all-"+of.name)
			b.ReportMetric(all/first, "ratio-"+of.name+"(>=5)")
			b.ReportMetric(bytes/(1<<20), "MiB-"+of.name)
		}
	}
}

const (
	spike   = 1e6
	spikeAt = 7_654_321
)

// longSeries stores the points as sealing and rolling up would, which for so many takes minutes.
func longSeries(b *testing.B) *store.Store {
	b.Helper()
	dir := b.TempDir()
	s, err := store.Open(b.Context(), dir)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	if _, _, err := s.CreateRun(b.Context(), run.Run{ID: viewedID, State: run.Failed}, ""); err != nil {
		b.Fatal(err)
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, "cotrain.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	tx, err := db.BeginTx(b.Context(), nil)
	if err != nil {
		b.Fatal(err)
	}
	exec := func(query string, args ...any) {
		if _, err := tx.ExecContext(b.Context(), query, args...); err != nil {
			b.Fatal(err)
		}
	}
	exec(`INSERT INTO series (id, run_id, metric, rank, attempt, until) VALUES (1, ?, ?, 0, 1, ?)`, string(viewedID), chunkedMetric, int64(math.MaxInt64))
	rnd := rand.New(rand.NewPCG(1, 2))
	const perChunk, perBlock, perGroup = 2048, 512, 128
	var chunk []series.Point
	var block []run.CurvePoint
	var columns []series.Column
	for step := range int64(viewedPoints) {
		v := float64(float32(2.5 + 8*math.Exp(-float64(step)/1e6) + 0.05*rnd.NormFloat64()))
		if step == spikeAt {
			v = spike
		}
		at := 1_700_000_000_000 + step*1000 + int64(rnd.IntN(100))
		chunk = append(chunk, series.Point{Step: step, Value: v, At: at})
		block = append(block, run.CurvePoint{Step: step, Mean: v, Min: v - 0.01, Max: v, Sum: 8 * v, Workers: 8, At: time.UnixMilli(at)})
		if block[len(block)-1].Mean == spike {
			block[len(block)-1].Max = spike
		}
		last := step == viewedPoints-1
		if len(chunk) == perChunk || last {
			data, err := series.EncodeChunk(chunk)
			if err != nil {
				b.Fatal(err)
			}
			st := series.StatsOf(chunk)
			exec(`INSERT INTO point_chunks (series, attempt, exact, first_step, last_step, count, nans, low, high, sum, first_at, last_at, data) VALUES (1,1,1,?,?,?,?,?,?,?,?,?,?)`,
				st.First, st.Last, st.Count, st.NaNs, st.Min, st.Max, st.Sum, st.FirstAt, st.LastAt, data)
			chunk = chunk[:0]
		}
		if len(block) == perBlock || last {
			data, err := series.EncodeCurve(block)
			if err != nil {
				b.Fatal(err)
			}
			exec(`INSERT INTO curve_blocks (run_id, metric, block, data) VALUES (?, 'loss', ?, ?)`, string(viewedID), step/perBlock, data)
			columns, block = append(columns, series.ColumnOf(block)), block[:0]
		}
		if len(columns) == perGroup || last {
			data, err := series.EncodeColumns(columns)
			if err != nil {
				b.Fatal(err)
			}
			exec(`INSERT INTO curve_columns (run_id, metric, block, data) VALUES (?, 'loss', ?, ?)`, string(viewedID), step/perBlock/perGroup, data)
			columns = columns[:0]
		}
	}
	if err := tx.Commit(); err != nil {
		b.Fatal(err)
	}
	return s
}

// medianOf is that of five calls.
func medianOf(b *testing.B, fn func()) time.Duration {
	b.Helper()
	return median(b, func() (int, error) { fn(); return 0, nil }, 0)
}

// allocated is how much memory was ever allocated.
func allocated() float64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.TotalAlloc)
}
