package bench

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/ingest"
	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/nomad/nomadtest"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/storetest"
	"github.com/cotrain/cotrain/internal/watch"
)

// trainLoad is what workers print: a machine line of some metrics at each step.
type trainLoad struct{ workers, steps, metrics int }

// metricNames are those of CotrainCore's machine lines, and what others add.
var metricNames = []string{"loss", "learning_rate", "perplexity", "total_tokens", "grad_norm", "tokens_per_second", "mfu", "num_peers", "z_loss", "outer_mfu"}

var (
	fewWorkers  = trainLoad{workers: 8, steps: 5000, metrics: 8}
	manyWorkers = trainLoad{workers: 1000, steps: 30, metrics: 10}
)

// BenchmarkIngest takes the logs of workers through the whole path (follow, cut, parse, archive, store, publish) and compares with
// inserting the same rows into the same table, 1000 a transaction, one prepared statement a row. The baseline writes no logs, cursors
// or events and parses nothing. Of 1000 workers that print 10 metrics a second there are 10 000 samples a second.
func BenchmarkIngest(b *testing.B) {
	b.Run("workers=8", func(b *testing.B) { ingested(b, fewWorkers, "ratio(>=0.5)") })
	b.Run("workers=1000", func(b *testing.B) { ingested(b, manyWorkers, "ratio(>=0.1)") })
}

// BenchmarkIngestWatched runs the same path with the watch that learns from every batch, and prints what the watch takes of the time that
// the rest takes. Runs with and without it differ by more than that on a busy machine, so the calls are timed themselves; ingest makes
// them one after the other, between its commits.
func BenchmarkIngestWatched(b *testing.B) {
	for range b.N {
		var spent atomic.Int64
		w := watch.New(watch.Options{Now: time.Now})
		whole := wholePath(b, openSQLite(b), fewWorkers, func(batch *store.Batch) {
			began := time.Now()
			w.Pulse(batch)
			spent.Add(int64(time.Since(began)))
		})
		took := time.Duration(spent.Load())
		b.ReportMetric(took.Seconds()/(whole-took).Seconds(), "watch-adds(<=0.1)")
		b.ReportMetric(float64(took.Nanoseconds())/float64(fewWorkers.workers*fewWorkers.steps), "ns/step")
	}
}

func ingested(b *testing.B, load trainLoad, unit string) {
	for range b.N {
		whole := wholePath(b, openSQLite(b), load, nil)
		bare := bareInserts(b, load)
		samples := float64(load.workers * load.steps * load.metrics)
		b.ReportMetric(samples/whole.Seconds(), "samples/s")
		b.ReportMetric(samples/bare.Seconds(), "baseline-samples/s")
		b.ReportMetric(bare.Seconds()/whole.Seconds(), unit)
	}
}

func wholePath(b *testing.B, s *store.Store, load trainLoad, pulse func(*store.Batch)) time.Duration {
	b.Helper()
	text := load.log()
	cluster := nomadtest.New()
	id := run.ID("r-0000000001")
	if _, _, err := s.CreateRun(b.Context(), run.Run{ID: id, State: run.Queued}, "", run.Event{RunID: id}); err != nil {
		b.Fatal(err)
	}
	child, err := cluster.Dispatch(b.Context(), nomad.Dispatch{Parent: "p", Token: "t"})
	if err != nil {
		b.Fatal(err)
	}
	for rank := range load.workers {
		cluster.Print(child, rank, text)
	}
	in := ingest.New(ingest.Options{
		Pulse:  pulse,
		Tailer: cluster, Store: s, Publisher: feed.NewHub(time.Now), Logger: slog.New(slog.DiscardHandler), Now: time.Now, Health: func(err error) {
			if err != nil {
				b.Error(err)
			}
		},
	})
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- in.Run(ctx) }()
	began := time.Now()
	for rank := range load.workers {
		in.Follow(run.Worker{AllocID: nomadtest.Alloc(child, rank), RunID: id, Attempt: 1, Rank: rank, State: run.WorkerRunning, Started: true})
	}
	last := func(rank int) bool {
		c, err := s.Cursor(b.Context(), nomadtest.Alloc(child, rank), "stdout")
		if err != nil {
			b.Fatal(err)
		}
		return c.Offset == int64(len(text))
	}
	for rank := range load.workers {
		for !last(rank) {
			time.Sleep(time.Millisecond)
		}
	}
	took := time.Since(began)
	cancel()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
	pts, err := storetest.AllPoints(b.Context(), s, id, "loss")
	if err != nil || len(pts) != load.workers*load.steps {
		b.Fatalf("%d points, %v", len(pts), err)
	}
	return took
}

// log is what one worker prints.
func (l trainLoad) log() string {
	var out strings.Builder
	for step := 1; step <= l.steps; step++ {
		fmt.Fprintf(&out, `COTRAIN {"v":1,"kind":"metrics","step":%d`, step)
		for i, name := range metricNames[:l.metrics] {
			fmt.Fprintf(&out, `,"%s":%v`, name, float64(step)*1.25+float64(i))
		}
		out.WriteString("}\n")
	}
	return out.String()
}

func bareInserts(b *testing.B, load trainLoad) time.Duration {
	b.Helper()
	file := filepath.Join(b.TempDir(), "bare.db")
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_txlock=immediate")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1)
	exec := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	_, err = db.ExecContext(b.Context(), `CREATE TABLE points (series INTEGER NOT NULL, step INTEGER NOT NULL, value REAL, at INTEGER NOT NULL,
		exact INTEGER NOT NULL, attempt INTEGER NOT NULL, PRIMARY KEY (series, step)) STRICT, WITHOUT ROWID`)
	exec(err)
	stmt, err := db.PrepareContext(b.Context(), `INSERT INTO points VALUES (?,?,?,?,?,?)`)
	exec(err)
	began := time.Now()
	var tx *sql.Tx
	var insert *sql.Stmt
	begin := func() {
		tx, err = db.BeginTx(b.Context(), nil)
		exec(err)
		insert = tx.StmtContext(b.Context(), stmt)
	}
	begin()
	rows := 0
	for step := 1; step <= load.steps; step++ {
		for rank := range load.workers {
			for i := range load.metrics {
				_, err := insert.ExecContext(b.Context(), rank*load.metrics+i, step, float64(step)*1.25+float64(i), began.UnixMilli(), 1, 1)
				exec(err)
				if rows++; rows%1000 == 0 {
					exec(tx.Commit())
					begin()
				}
			}
		}
	}
	exec(tx.Commit())
	return time.Since(began)
}
