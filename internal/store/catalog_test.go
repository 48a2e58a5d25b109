package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/db"
	"github.com/cotrain/cotrain/internal/store/pgtest"
	"github.com/cotrain/cotrain/internal/store/storetest"
)

// shared is a store whose database others write.
type shared struct {
	*store.Store
	other *sql.DB
}

func eachShared(t *testing.T, test func(*testing.T, shared)) {
	t.Helper()
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		s := open(t, dir)
		test(t, shared{s, openSQL(t, "sqlite", filepath.Join(dir, "cotrain.db")+"?_pragma=busy_timeout(5000)&_pragma=synchronous(0)")})
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		url := pgtest.URL(t)
		s := openPostgres(t, url)
		test(t, shared{s, openSQL(t, "pgx", url+"&search_path=cotrain")})
	})
}

func (s shared) write(t *testing.T, query string) {
	t.Helper()
	if _, err := s.other.ExecContext(t.Context(), query); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

func (s shared) create(t *testing.T, ids ...run.ID) {
	t.Helper()
	for _, id := range ids {
		if _, _, err := s.CreateRun(t.Context(), newRun(id), ""); err != nil {
			t.Fatal(err)
		}
	}
}

// finds expects the runs of a list.
func (s shared) finds(t *testing.T, f run.RunFilter, want ...run.ID) {
	t.Helper()
	f.Projects, f.Limit = run.AllProjects(), 100
	found, err := s.Runs(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	var ids []run.ID
	for _, r := range found {
		ids = append(ids, r.ID)
	}
	if !slices.Equal(ids, want) {
		t.Errorf("%+v finds %v, want %v", f, ids, want)
	}
}

// TestAListShowsWhatAnotherWriterHasChanged changes what a list knows of a run behind the console's back.
func TestAListShowsWhatAnotherWriterHasChanged(t *testing.T) {
	t.Parallel()
	eachShared(t, func(t *testing.T, s shared) {
		const a, b = run.ID("r-0000000001"), run.ID("r-0000000002")
		s.create(t, a, b)
		byLoss := run.RunFilter{Order: run.Order{By: "loss", Up: true}, Owner: "ann"}
		s.finds(t, run.RunFilter{Order: byLoss.Order}, b, a)
		for _, change := range []struct {
			statement string
			filter    run.RunFilter
			want      []run.ID
		}{
			{`UPDATE runs SET owner = 'ann' WHERE id < 'r-0000000009'`, run.RunFilter{Owner: "ann"}, []run.ID{b, a}},
			{`UPDATE runs SET archived = 1, state = 'failed' WHERE id = 'r-0000000002'`, run.RunFilter{Archived: run.OnlyArchived, States: []run.State{run.Failed}}, []run.ID{b}},
			{`INSERT INTO run_labels (kind, label, run_id) VALUES ('tag', 'wide', 'r-0000000001')`, run.RunFilter{Tags: []string{"wide"}}, []run.ID{a}},
			{`DELETE FROM run_labels WHERE label = 'wide'`, run.RunFilter{Tags: []string{"wide"}}, nil},
			{`UPDATE run_texts SET text = 'needle' WHERE id = 'r-0000000001'`, run.RunFilter{Text: "needle"}, []run.ID{a}},
			{`INSERT INTO run_results (run_id, metric, last) VALUES ('r-0000000001', ' loss', 3), ('r-0000000001', ' ended', 1)`, byLoss, []run.ID{a, b}},
			{`DELETE FROM run_results WHERE run_id = 'r-0000000001'`, byLoss, []run.ID{b, a}},
			{`UPDATE runs SET name = 'zz' WHERE id = 'r-0000000001'`, run.RunFilter{Order: run.Order{By: "name"}}, []run.ID{a, b}},
			{`DELETE FROM runs WHERE id = 'r-0000000002'`, run.RunFilter{}, []run.ID{a}},
		} {
			s.write(t, change.statement)
			s.finds(t, change.filter, change.want...)
		}
	})
}

// TestAListIsRightWhateverTheOrderOfCommits has a transaction that began first end last.
func TestAListIsRightWhateverTheOrderOfCommits(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	s := shared{openPostgres(t, url), openSQL(t, "pgx", url+"&search_path=cotrain")}
	const first, second, third = run.ID("r-0000000001"), run.ID("r-0000000002"), run.ID("r-0000000003")
	s.create(t, first, second, third)
	of := func(owner string) run.RunFilter { return run.RunFilter{Owner: owner} }
	s.finds(t, of("bob"))
	tx, err := s.other.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(t.Context(), `UPDATE runs SET owner = 'bob' WHERE id = 'r-0000000001'`); err != nil {
		t.Fatal(err)
	}
	for i, id := range []run.ID{second, third} { // later transactions, which commit earlier
		if err := s.Exec(t.Context(), `UPDATE runs SET owner = 'bob' WHERE id = ?`, id); err != nil {
			t.Fatal(err)
		}
		s.finds(t, of("bob"), []run.ID{third, second}[1-i:]...)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	s.finds(t, of("bob"), third, second, first)
}

// TestADumpOfAnotherServerIsListed has transactions that this server has not had yet.
func TestADumpOfAnotherServerIsListed(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	before, err := store.OpenAt(t.Context(), t.TempDir(), db.Options{URL: url, MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	s := shared{before, openSQL(t, "pgx", url+"&search_path=cotrain")}
	s.create(t, "r-0000000001")
	s.write(t, `UPDATE run_changes SET xact = 1000000000000000`)
	if err := before.Close(); err != nil {
		t.Fatal(err)
	}
	s.Store = openPostgres(t, url)
	s.finds(t, run.RunFilter{}, "r-0000000001")
	var n int
	if err := s.other.QueryRowContext(t.Context(), `SELECT count(*) FROM run_changes WHERE xact > 0`).Scan(&n); err != nil || n != 0 {
		t.Errorf("every list would look at %d runs again: %v", n, err)
	}
	s.write(t, `UPDATE runs SET owner = 'bob'`)
	s.finds(t, run.RunFilter{Owner: "bob"}, "r-0000000001")
}

// TestManyChangesAreReadAsAWhole has more runs change than are read one by one.
func TestManyChangesAreReadAsAWhole(t *testing.T) {
	t.Parallel()
	eachShared(t, func(t *testing.T, s shared) {
		s.create(t, "r-0000000001")
		s.finds(t, run.RunFilter{}, "r-0000000001")
		storetest.Many(t, s.Store, s.other, 10_000)
		s.write(t, `UPDATE runs SET owner = 'bob' WHERE id = 'r-0000000001'`)
		s.finds(t, run.RunFilter{Owner: "bob"}, "r-0000000001")
		if n, err := s.CountRuns(t.Context(), run.RunFilter{Projects: run.AllProjects()}); err != nil || n.Total() != 10_002 {
			t.Errorf("%d runs, %v", n.Total(), err)
		}
	})
}

// TestListsAreOfTheirSnapshotWhileOthersWrite has transactions of one or two runs overlap while lists are read.
func TestListsAreOfTheirSnapshotWhileOthersWrite(t *testing.T) {
	t.Parallel()
	const runs, writers, rounds = 20, 4, 40
	owners := []string{"ann", "bob", "cyd"}
	eachShared(t, func(t *testing.T, s shared) {
		id := func(i int) run.ID { return run.ID(fmt.Sprintf("r-%010d", i)) }
		for i := range runs {
			s.create(t, id(i))
		}
		s.other.SetMaxOpenConns(writers)
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for w := range writers {
			random := rand.New(rand.NewPCG(uint64(w), 7))
			all.Go(func() {
				for range rounds {
					tx, err := s.other.BeginTx(ctx, nil)
					if err != nil {
						t.Error(err)
						return
					}
					first := random.IntN(runs)
					for _, i := range slices.Compact([]int{first, min(first+random.IntN(3), runs-1)}) { // in the order of IDs, as everybody locks
						_, err := tx.ExecContext(ctx, fmt.Sprintf(`UPDATE runs SET owner = '%s' WHERE id = '%s'`, owners[random.IntN(len(owners))], id(i)))
						if err != nil {
							t.Error(err)
						}
					}
					if err := tx.Commit(); err != nil {
						t.Error(err)
					}
				}
			})
		}
		var readers sync.WaitGroup
		for r := range 3 {
			readers.Go(func() {
				for ctx.Err() == nil {
					f := run.RunFilter{Projects: run.AllProjects(), Owner: owners[r], Limit: runs}
					found, err := s.Runs(ctx, f)
					if err != nil && !errors.Is(err, context.Canceled) {
						t.Error(err)
					}
					for _, r := range found {
						if r.Owner != f.Owner {
							t.Errorf("a list of %s's runs has one of %s", f.Owner, r.Owner)
						}
					}
				}
			})
		}
		all.Wait()
		cancel()
		readers.Wait()
		for _, owner := range owners {
			var n int
			if err := s.other.QueryRowContext(t.Context(), `SELECT count(*) FROM runs WHERE owner = '`+owner+`'`).Scan(&n); err != nil {
				t.Fatal(err)
			}
			found, err := s.Runs(t.Context(), run.RunFilter{Projects: run.AllProjects(), Owner: owner, Limit: runs})
			if err != nil || len(found) != n {
				t.Errorf("%d of %d runs of %s: %v", len(found), n, owner, err)
			}
		}
	})
}
