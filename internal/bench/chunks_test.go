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
	"github.com/cotrain/cotrain/internal/store/db"
	"github.com/cotrain/cotrain/internal/store/pgtest"
	"github.com/cotrain/cotrain/internal/store/points"
)

const (
	chunkedWorkers = 8
	chunkedSteps   = 5000
	// chunkedMetric is the one that is read. It has no curve kept ready, so that its curve is joined from all workers.
	chunkedMetric = "mfu"
	// xorPoints is how many points a chunk of the baseline holds.
	xorPoints = 960
)

// measured is a metric of a line and its value at a step.
type measured struct {
	metric string
	value  float64
}

// noise is what a machine line of CotrainCore says at a step. Loss, perplexity and norm are PyTorch's, of 32 bits; what Python
// derives or measures is noisy to the last of 64 bits, and some follow the step exactly.
func noise(rnd *rand.Rand, step int) []measured {
	loss := 2.5 + 8*math.Exp(-float64(step)/800) + 0.05*rnd.NormFloat64()
	rate := 40_000 * (1 + 0.02*rnd.NormFloat64())
	return []measured{
		{"loss", float64(float32(loss))},
		{"learning_rate", 4e-4 * 0.5 * (1 + math.Cos(math.Pi*float64(step)/chunkedSteps))},
		{"perplexity", float64(float32(math.Exp(loss)))},
		{"total_tokens", float64(step) * 524_288},
		{"grad_norm", float64(float32(1 + 0.1*rnd.NormFloat64()))},
		{"tokens_per_second", rate},
		{"mfu", rate / 1000},
		{"num_peers", chunkedWorkers},
	}
}

// rounded is what the line for people says of the same.
func rounded(rnd *rand.Rand, step int) []measured {
	var out []measured
	for _, m := range noise(rnd, step) {
		switch m.metric {
		case "loss":
			out = append(out, measured{m.metric, math.Round(m.value*1e4) / 1e4})
		case "tokens_per_second", "mfu":
			out = append(out, measured{m.metric, math.Round(m.value*100) / 100})
		case "num_peers":
			out = append(out, m)
		}
	}
	return out
}

// BenchmarkChunks stores the metrics of 8 workers of 5000 steps, reads one as rows, seals all into chunks and reads it again.
// Each step has its own jittering time of receipt. Sizes are of the tables with their indexes in the database as it was
// written. The baseline xor is the same points in Prometheus' XOR chunks, as they were stored at first, in the same table.
func BenchmarkChunks(b *testing.B) {
	for name, line := range map[string]func(*rand.Rand, int) []measured{"machine-lines": noise, "printed-lines": rounded} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				benchmarkChunks(b, line)
			}
		})
		b.Run(name+"-postgres", func(b *testing.B) {
			for range b.N {
				chunksInPostgres(b, line)
			}
		})
	}
}

// chunksInPostgres does the same on PostgreSQL.
func chunksInPostgres(b *testing.B, line func(*rand.Rand, int) []measured) {
	b.Helper()
	url := pgtest.URL(b)
	s := opened(b, db.Options{URL: url})
	id := run.ID("r-0000000001")
	points := storeLines(b, s, id, line)
	sealEnded(b, s, id)
	pg, err := sql.Open("pgx", url)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = pg.Close() }()
	var size float64
	if err := pg.QueryRowContext(b.Context(), `SELECT pg_total_relation_size('point_chunks')`).Scan(&size); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(size/points, "bytes/point")
	b.ReportMetric(curveTime(b, s, id).Seconds()*1000, "ms-curve")
	b.ReportMetric(seriesTime(b, s, id).Seconds()*1000, "ms-worker")
}

func benchmarkChunks(b *testing.B, line func(*rand.Rand, int) []measured) {
	b.Helper()
	dir := b.TempDir()
	s, err := store.Open(b.Context(), dir)
	if err != nil {
		b.Fatal(err)
	}
	id := run.ID("r-0000000001")
	points := storeLines(b, s, id, line)
	rows, rowCurve, rowSeries := tableBytes(b, dir), curveTime(b, s, id), seriesTime(b, s, id)
	began := time.Now()
	sealEnded(b, s, id)
	sealed := time.Since(began)
	chunks, chunkCurve, chunkSeries := tableBytes(b, dir), curveTime(b, s, id), seriesTime(b, s, id)
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	xor, decoding, decodingXOR := inXOR(b, dir)
	b.ReportMetric(chunks/points, "bytes/point")
	b.ReportMetric(xor/points, "baseline-xor-bytes/point")
	b.ReportMetric(rows/points, "baseline-rows-bytes/point")
	b.ReportMetric(rows/chunks, "ratio-bytes(>=3)")
	b.ReportMetric(float64(decoding.Nanoseconds())/points, "ns-decode/point")
	b.ReportMetric(float64(decodingXOR.Nanoseconds())/points, "baseline-xor-ns-decode/point")
	b.ReportMetric(chunkCurve.Seconds()*1000, "ms-curve")
	b.ReportMetric(rowCurve.Seconds()*1000, "baseline-rows-ms-curve")
	b.ReportMetric(rowCurve.Seconds()/chunkCurve.Seconds(), "ratio-curve(>=2)")
	b.ReportMetric(chunkSeries.Seconds()*1000, "ms-worker")
	b.ReportMetric(rowSeries.Seconds()*1000, "baseline-rows-ms-worker")
	b.ReportMetric(rowSeries.Seconds()/chunkSeries.Seconds(), "ratio-worker(>=2)")
	b.ReportMetric(points/sealed.Seconds(), "sealed-points/s")
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
				bt.Points = append(bt.Points, points.Point{Metric: "loss", Step: int64(step), Value: noise(rnd, step)[0].value, Exact: true})
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

// storeLines makes a run and stores its points, a step of all workers in one transaction, and returns how many there are.
func storeLines(b *testing.B, s *store.Store, id run.ID, line func(*rand.Rand, int) []measured) (count float64) {
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
			for _, m := range line(rnd, step) {
				bt.Points = append(bt.Points, points.Point{Metric: m.metric, Step: int64(step), Value: m.value, Exact: true})
				count++
			}
			batches[rank] = bt
			cursors[rank] = to
		}
		if err := s.Commit(b.Context(), batches); err != nil {
			b.Fatal(err)
		}
		at = at.Add(time.Second)
	}
	return count
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
