package bench

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/db"
	"github.com/cotrain/cotrain/internal/store/pgtest"
)

func openSQLite(b *testing.B) *store.Store {
	b.Helper()
	return opened(b, db.Options{})
}

func opened(b *testing.B, o db.Options) *store.Store {
	b.Helper()
	s, err := store.OpenAt(b.Context(), b.TempDir(), o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	return s
}

// versus reports what the same work takes on both databases.
func versus(b *testing.B, work func(*testing.B, *store.Store) time.Duration) {
	b.Helper()
	for range b.N {
		dbs := databases(b)
		ratio(b, work(b, dbs[0].store), work(b, dbs[1].store))
	}
}

func ratio(b *testing.B, lite, pg time.Duration) {
	b.Helper()
	b.ReportMetric(float64(pg.Nanoseconds())/1e6, "ms-postgres")
	b.ReportMetric(float64(lite.Nanoseconds())/1e6, "ms-baseline-sqlite")
	b.ReportMetric(float64(pg)/float64(lite), "ratio(<=2)")
}

// BenchmarkDatabases does the same work on SQLite and on PostgreSQL.
func BenchmarkDatabases(b *testing.B) {
	b.Run("submit", func(b *testing.B) { versus(b, submits) })
	b.Run("ingest", func(b *testing.B) {
		versus(b, func(b *testing.B, s *store.Store) time.Duration { return wholePath(b, s, fewWorkers, nil) })
	})
	b.Run("run-page", func(b *testing.B) { versus(b, runPages) })
	b.Run("queue-round", queueRounds)
	b.Run("idle-console", idleConsoles)
}

// idleConsoles starts a console on each, on a database that is migrated, and reads its resident memory at rest.
func idleConsoles(b *testing.B) {
	for range b.N {
		var memory, took [2]float64
		for i, env := range [2]string{"COTRAIN_DATABASE_URL=", "COTRAIN_DATABASE_URL=" + pgtest.URL(b)} {
			dir := b.TempDir()
			_, s := firstPage(b, dir, env)
			_ = s.cmd.Process.Signal(os.Interrupt) // it may be gone already
			if _, err := s.cmd.Process.Wait(); err != nil {
				b.Fatal(err)
			}
			d, s := firstPage(b, dir, env)
			time.Sleep(time.Second) // what it is like at rest
			memory[i], took[i] = residentMB(b, s.cmd.Process.Pid), float64(d.Microseconds())/1000
		}
		b.ReportMetric(memory[1], "MB-postgres")
		b.ReportMetric(memory[0], "MB-baseline-sqlite")
		b.ReportMetric(memory[1]/memory[0], "ratio-memory(<=2)")
		b.ReportMetric(took[1], "ms-start-postgres")
		b.ReportMetric(took[0], "ms-start-baseline-sqlite")
		b.ReportMetric(took[1]/took[0], "ratio-start(<=2)")
	}
}

const sampled = 501

// submits is the median of storing a run with its first event under a new key.
func submits(b *testing.B, s *store.Store) time.Duration {
	b.Helper()
	n := 0
	return middle(b, func() error {
		r := queued(n)
		n++
		_, created, err := s.CreateRun(b.Context(), r, fmt.Sprint("key ", n), run.Event{RunID: r.ID, At: time.Now(), Kind: "state", To: run.Queued, Rank: -1})
		if err == nil && !created {
			err = fmt.Errorf("run %s was there", r.ID)
		}
		return err
	})
}

// queueRounds compares the medians of the queue's look at 10 000 runs that wait.
func queueRounds(b *testing.B) {
	for range b.N {
		dbs := databases(b)
		lite, other := newLooker(b, dbs[0].store, waitingRuns), newLooker(b, dbs[1].store, waitingRuns)
		if _, err := dbs[1].sql.ExecContext(b.Context(), `ANALYZE`); err != nil { // as autovacuum does within a minute; until then it sorts what waits
			b.Fatal(err)
		}
		round := func(l *looker) time.Duration {
			return middle(b, func() error { l.queue.Round(b.Context()); return nil })
		}
		ratio(b, round(lite), round(other))
	}
}

// runPages is the median of everything that the page of a run reads: the run of the benchmark of ingest, its workers,
// attempts and events, its curves and the end of its log.
func runPages(b *testing.B, s *store.Store) time.Duration {
	b.Helper()
	wholePath(b, s, fewWorkers, nil)
	const id = run.ID("r-0000000001")
	for more := true; more; {
		r, _, err := s.RollUp(b.Context(), id)
		if err != nil {
			b.Fatal(err)
		}
		more = r.More
	}
	return middle(b, func() error {
		ctx := b.Context()
		if _, err := s.Run(ctx, id); err != nil {
			return err
		}
		if _, err := s.Workers(ctx, id); err != nil {
			return err
		}
		if _, err := s.Attempts(ctx, id); err != nil {
			return err
		}
		if _, err := s.EventsBefore(ctx, id, 1<<62, 200); err != nil {
			return err
		}
		for _, metric := range []string{"loss", "tokens_per_second"} {
			if curve, err := s.Curve(ctx, id, metric, 0); err != nil || len(curve) != fewWorkers.steps {
				return fmt.Errorf("%d steps of %s: %w", len(curve), metric, err)
			}
		}
		lines, err := s.Logs(ctx, id, run.LogQuery{Rank: -1, Tail: true, Limit: 500})
		if err == nil && len(lines) != 500 {
			err = fmt.Errorf("%d lines", len(lines))
		}
		return err
	})
}

// middle is the median time of many calls.
func middle(b *testing.B, do func() error) time.Duration {
	b.Helper()
	var took []time.Duration
	for range sampled {
		began := time.Now()
		if err := do(); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return took[len(took)/2]
}
