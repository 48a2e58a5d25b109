package bench

import (
	"database/sql"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/points"
)

const (
	chunkedWorkers = 8
	chunkedSteps   = 5000
	// chunkedMetric is the one that is read. It has no curve kept ready, so that its curve is joined from all workers.
	chunkedMetric = "grad_norm"
)

// noise is what a machine line of CotrainCore says at a step: the same metrics as metricNames. Loss and norm are of 32 bits as
// PyTorch has them, what Python derives or measures is noisy to the last of 64 bits, and some follow the step exactly.
func noise(rnd *rand.Rand, step int) [metricsPerStep]float64 {
	loss := float64(float32(2.5 + 8*math.Exp(-float64(step)/800) + 0.05*rnd.NormFloat64()))
	rate := 40_000 * (1 + 0.02*rnd.NormFloat64())
	lr := 4e-4 * 0.5 * (1 + math.Cos(math.Pi*float64(step)/chunkedSteps))
	return [metricsPerStep]float64{loss, lr, math.Exp(loss), float64(step) * 524_288, float64(float32(1 + 0.1*rnd.NormFloat64())), rate, rate / 1000, chunkedWorkers}
}

// BenchmarkChunks stores 8 metrics of 8 workers of 5000 steps, reads one as rows, seals all into chunks and reads it again.
// Each step has its own jittering time of receipt. Sizes are of the tables with their indexes in the database as it was
// written.
func BenchmarkChunks(b *testing.B) {
	for range b.N {
		dir := b.TempDir()
		s, err := store.Open(b.Context(), dir)
		if err != nil {
			b.Fatal(err)
		}
		id := run.ID("r-0000000001")
		storeNoise(b, s, id)
		rows, rowCurve, rowSeries := tableBytes(b, dir), curveTime(b, s, id), seriesTime(b, s, id)
		began := time.Now()
		sealEnded(b, s, id)
		sealed := time.Since(began)
		chunks, chunkCurve, chunkSeries := tableBytes(b, dir), curveTime(b, s, id), seriesTime(b, s, id)
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		points := float64(chunkedWorkers * chunkedSteps * metricsPerStep)
		b.ReportMetric(chunks/points, "bytes/point")
		b.ReportMetric(rows/points, "baseline-rows-bytes/point")
		b.ReportMetric(rows/chunks, "ratio-bytes(>=3)")
		b.ReportMetric(chunkCurve.Seconds()*1000, "ms-curve")
		b.ReportMetric(rowCurve.Seconds()*1000, "baseline-rows-ms-curve")
		b.ReportMetric(rowCurve.Seconds()/chunkCurve.Seconds(), "ratio-curve(>=2)")
		b.ReportMetric(chunkSeries.Seconds()*1000, "ms-worker")
		b.ReportMetric(rowSeries.Seconds()*1000, "baseline-rows-ms-worker")
		b.ReportMetric(rowSeries.Seconds()/chunkSeries.Seconds(), "ratio-worker(>=2)")
		b.ReportMetric(points/sealed.Seconds(), "sealed-points/s")
	}
}

// BenchmarkLongCurve reads the loss of 88 000 steps as the run's page does, from the blocks that the store keeps ready, and
// from a table with a row for each step.
func BenchmarkLongCurve(b *testing.B) {
	const steps, atOnce = 88_000, 1000
	for range b.N {
		dir := b.TempDir()
		s, err := store.Open(b.Context(), dir)
		if err != nil {
			b.Fatal(err)
		}
		id := run.ID("r-0000000001")
		if _, _, err := s.CreateRun(b.Context(), run.Run{ID: id, State: run.Running}, ""); err != nil {
			b.Fatal(err)
		}
		rnd := rand.New(rand.NewPCG(1, 2))
		var cursor store.Cursor
		for first := 0; first < steps; first += atOnce {
			bt := &store.Batch{RunID: id, AllocID: "a", Stream: "stdout", Attempt: 1, At: time.UnixMilli(int64(first)), From: cursor, To: store.Cursor{File: "f", Offset: int64(first) + 1}}
			for step := first; step < first+atOnce; step++ {
				bt.Points = append(bt.Points, points.Point{Metric: "loss", Step: int64(step), Value: noise(rnd, step)[0], Exact: true})
			}
			if err := s.Commit(b.Context(), []*store.Batch{bt}); err != nil {
				b.Fatal(err)
			}
			cursor = bt.To
		}
		for more := true; more; {
			rolled, _, err := s.RollUp(b.Context(), id)
			if err != nil {
				b.Fatal(err)
			}
			more = rolled.More
		}
		blocks := median(b, func() (int, error) {
			curve, err := s.Curve(b.Context(), id, "loss", 0)
			return len(curve), err
		}, steps)
		rows := rowsTime(b, s, id, steps)
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(blocks.Seconds()*1000, "ms")
		b.ReportMetric(rows.Seconds()*1000, "baseline-rows-ms")
		b.ReportMetric(rows.Seconds()/blocks.Seconds(), "ratio(>=5)")
	}
}

// rowsTime stores the curve as a row for each step, and reads it.
func rowsTime(b *testing.B, s *store.Store, id run.ID, steps int) time.Duration {
	b.Helper()
	curve, err := s.Curve(b.Context(), id, "loss", 0)
	if err != nil {
		b.Fatal(err)
	}
	db, err := sql.Open("sqlite", filepath.Join(b.TempDir(), "rows.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	tx, err := db.BeginTx(b.Context(), nil)
	if err != nil {
		b.Fatal(err)
	}
	if _, err = tx.ExecContext(b.Context(), `CREATE TABLE curve (step INTEGER PRIMARY KEY, low REAL, high REAL, sum REAL, workers INTEGER, at INTEGER)`); err != nil {
		b.Fatal(err)
	}
	for _, p := range curve {
		if _, err := tx.ExecContext(b.Context(), `INSERT INTO curve VALUES (?,?,?,?,?,?)`, p.Step, p.Min, p.Max, p.Sum, p.Workers, p.At.UnixMilli()); err != nil {
			b.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		b.Fatal(err)
	}
	return median(b, func() (int, error) {
		rows, err := db.QueryContext(b.Context(), `SELECT step, low, high, sum, workers, at FROM curve ORDER BY step`)
		if err != nil {
			return 0, err
		}
		defer func() { _ = rows.Close() }()
		var out []run.CurvePoint
		for rows.Next() {
			var p run.CurvePoint
			var at int64
			if err := rows.Scan(&p.Step, &p.Min, &p.Max, &p.Sum, &p.Workers, &at); err != nil {
				return 0, err
			}
			p.Mean, p.At = p.Sum/float64(p.Workers), time.UnixMilli(at)
			out = append(out, p)
		}
		return len(out), rows.Err()
	}, steps)
}

// storeNoise makes a run and stores its points, a step of all workers in one transaction.
func storeNoise(b *testing.B, s *store.Store, id run.ID) {
	b.Helper()
	if _, _, err := s.CreateRun(b.Context(), run.Run{ID: id, State: run.Queued}, "", run.Event{RunID: id}); err != nil {
		b.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	at := time.UnixMilli(1_700_000_000_000)
	cursors := make([]store.Cursor, chunkedWorkers)
	for step := range chunkedSteps {
		batches := make([]*store.Batch, chunkedWorkers)
		for rank := range batches {
			to := store.Cursor{File: "f", Offset: int64(step) + 1}
			bt := &store.Batch{
				RunID: id, AllocID: fmt.Sprint("a", rank), Stream: "stdout", Rank: rank, Attempt: 1, From: cursors[rank], To: to,
				At: at.Add(time.Duration(rnd.IntN(100)) * time.Millisecond),
			}
			for i, v := range noise(rnd, step) {
				bt.Points = append(bt.Points, points.Point{Metric: metricNames[i], Step: int64(step), Value: v, Exact: true})
			}
			batches[rank] = bt
			cursors[rank] = to
		}
		if err := s.Commit(b.Context(), batches); err != nil {
			b.Fatal(err)
		}
		at = at.Add(time.Second)
	}
}

// sealEnded ends the run and seals all that it has.
func sealEnded(b *testing.B, s *store.Store, id run.ID) {
	b.Helper()
	_, err := s.Update(b.Context(), id, func(u *store.Update) error {
		_, err := u.Run.Transition(run.Failed, "bench", "", time.Now())
		return err
	})
	for more := true; more && err == nil; {
		more, err = s.SealPoints(b.Context())
	}
	if err != nil {
		b.Fatal(err)
	}
}

// tableBytes is what all points take on disk.
func tableBytes(b *testing.B, dir string) float64 {
	b.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, "cotrain.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var size float64
	err = db.QueryRowContext(b.Context(), `SELECT sum(pgsize) FROM dbstat WHERE name = 'points' OR name LIKE 'point\_chunks%' ESCAPE '\'`).Scan(&size)
	if err != nil {
		b.Fatal(err)
	}
	return size
}

// median is that of five timings.
func median(b *testing.B, fn func() (int, error), want int) time.Duration {
	b.Helper()
	var took []time.Duration
	for range 5 {
		began := time.Now()
		n, err := fn()
		took = append(took, time.Since(began))
		if err != nil || n != want {
			b.Fatalf("%d points, %v; want %d", n, err, want)
		}
	}
	slices.Sort(took)
	return took[len(took)/2]
}

// curveTime reads the metric over all workers.
func curveTime(b *testing.B, s *store.Store, id run.ID) time.Duration {
	b.Helper()
	return median(b, func() (int, error) {
		curve, err := s.Curve(b.Context(), id, chunkedMetric, 0)
		return len(curve), err
	}, chunkedSteps)
}

// seriesTime reads one worker's points.
func seriesTime(b *testing.B, s *store.Store, id run.ID) time.Duration {
	b.Helper()
	return median(b, func() (int, error) {
		points, err := s.PointsPage(b.Context(), id, chunkedMetric, 0, &points.PageCursor{Rank: chunkedWorkers / 2, Step: -1}, chunkedSteps)
		return len(points), err
	}, chunkedSteps)
}
