package bench

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/db"
	"github.com/cotrain/cotrain/internal/store/pgtest"
	"github.com/cotrain/cotrain/internal/store/storetest"
)

// database is a store in one of the databases.
type database struct {
	name  string
	store *store.Store
	sql   *sql.DB
}

// databases opens an empty store in SQLite and one in PostgreSQL, or skips where that cannot be started. The server is on a
// socket of this machine, with fsync off: SQLite, too, does not wait for the disk.
func databases(b *testing.B) []database {
	b.Helper()
	dir, url := b.TempDir(), pgtest.URL(b)
	out := []database{{name: "sqlite"}, {name: "postgresql"}}
	for i, o := range []db.Options{{}, {URL: url}} {
		s, err := store.OpenAt(b.Context(), filepath.Join(dir, out[i].name), o)
		if err != nil {
			b.Fatal(err)
		}
		out[i].store = s
		b.Cleanup(func() {
			if err := s.Close(); err != nil {
				b.Error(err)
			}
		})
	}
	for i, name := range []string{filepath.Join(dir, "sqlite", "cotrain.db") + "?_pragma=busy_timeout(5000)", url + "&search_path=cotrain"} {
		conn, err := sql.Open([]string{"sqlite", "pgx"}[i], name)
		if err != nil {
			b.Fatal(err)
		}
		out[i].sql = conn
		b.Cleanup(func() { _ = conn.Close() })
	}
	return out
}

// compare times the same work on both, which take turns, and reports the medians and their ratio.
func compare(b *testing.B, dbs []database, rounds int, work func(context.Context, *store.Store) error) {
	b.Helper()
	took := make([][]time.Duration, len(dbs))
	for round := range rounds + 1 {
		for i, d := range dbs {
			began := time.Now()
			if err := work(b.Context(), d.store); err != nil {
				b.Fatalf("%s: %v", d.name, err)
			}
			if round > 0 { // the first is cold
				took[i] = append(took[i], time.Since(began))
			}
		}
	}
	for i, d := range dbs {
		slices.Sort(took[i])
		b.ReportMetric(float64(took[i][rounds/2].Microseconds())/1000, "ms-"+d.name)
	}
	b.ReportMetric(took[1][rounds/2].Seconds()/took[0][rounds/2].Seconds(), "ratio(<=2)")
}

// BenchmarkList measures the list of runs among 100 000 (or COTRAIN_BENCH_RUNS), with each kind of filter, and the counts above it:
// PostgreSQL against SQLite.
func BenchmarkList(b *testing.B) {
	n := 100_000
	if v := os.Getenv("COTRAIN_BENCH_RUNS"); v != "" {
		var err error
		if n, err = strconv.Atoi(v); err != nil {
			b.Fatal(err)
		}
	}
	dbs := databases(b)
	var f storetest.Filled
	for _, d := range dbs {
		f = storetest.Many(b, d.store, d.sql, n)
	}
	if _, err := dbs[1].sql.ExecContext(b.Context(), `VACUUM ANALYZE`); err != nil { // as autovacuum does in time
		b.Fatal(err)
	}
	const rounds = 9
	for name, filter := range map[string]run.RunFilter{
		"all": {}, "deep": {Before: f.Middle}, "state": {States: []run.State{run.Failed}}, "states": {States: []run.State{run.Queued, run.Failed, run.Stopped}},
		"sweep": {Sweep: f.Ended}, "text=none": {Text: storetest.NoText}, "text=few": {Text: storetest.RareText}, "text=half": {Text: storetest.FrequentText},
		"text=old-half": {Text: storetest.OldText}, "text=all": {Text: "-"}, "text=2-characters": {Text: "7b"}, "text=1-character": {Text: "7"},
		"text=half,state": {Text: storetest.FrequentText, States: []run.State{run.Failed}}, "text=old-half,state=none": {Text: storetest.OldText, States: []run.State{run.Queued}},
		"project": {Projects: run.InProjects(storetest.SomeProject)}, "project=10-runs": {Projects: run.InProjects(storetest.TinyProject)},
	} {
		if filter.Projects.None() {
			filter.Projects = run.AllProjects()
		}
		filter.Limit, filter.Folded = 51, filter.Sweep == ""
		b.Run(name, func(b *testing.B) {
			for range b.N {
				compare(b, dbs, rounds, func(ctx context.Context, s *store.Store) error {
					_, err := s.Runs(ctx, filter)
					return err
				})
			}
		})
	}
	for name, text := range map[string]string{"counts": "", "counts,text=none": storetest.NoText, "counts,text=half": storetest.FrequentText, "counts,text=old-half": storetest.OldText} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				compare(b, dbs, rounds, func(ctx context.Context, s *store.Store) error {
					_, err := s.CountRuns(ctx, run.RunFilter{Projects: run.AllProjects(), Text: text})
					return err
				})
			}
		})
	}
}

// BenchmarkListOfAProject measures the list of one project of ten, and of one with 10 runs, among 100 000, against the list of all, in
// each database.
func BenchmarkListOfAProject(b *testing.B) {
	const n, rounds = 100_000, 99
	for _, d := range databases(b) {
		storetest.Many(b, d.store, d.sql, n)
		if d.name == "postgresql" {
			if _, err := d.sql.ExecContext(b.Context(), `VACUUM ANALYZE`); err != nil { // as autovacuum does in time
				b.Fatal(err)
			}
		}
		median := func(in run.Projects) time.Duration {
			var took []time.Duration
			for range rounds {
				began := time.Now()
				if _, err := d.store.Runs(b.Context(), run.RunFilter{Projects: in, Folded: true, Limit: 51}); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			return took[rounds/2]
		}
		for name, project := range map[string]string{"one of ten": storetest.SomeProject, "10 runs": storetest.TinyProject} {
			b.Run(d.name+"/"+name, func(b *testing.B) {
				for range b.N {
					all := median(run.AllProjects())
					one := median(run.InProjects(project))
					b.ReportMetric(float64(one.Microseconds()), "us")
					b.ReportMetric(one.Seconds()/all.Seconds(), "of-the-list-of-all(<=2)")
				}
			})
		}
	}
}
