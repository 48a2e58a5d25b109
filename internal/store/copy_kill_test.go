package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/db"
	"github.com/cotrain/cotrain/internal/store/pgtest"
	"github.com/cotrain/cotrain/internal/store/transfer"
)

// killedCopy and killedWay are the environment variables by which the test below makes its own program a copy to be killed.
const (
	killedCopy = "COTRAIN_TEST_KILLED_COPY" // folder and URL
	killedWay  = "COTRAIN_TEST_KILLED_WAY"  // there or back
)

// TestAKilledCopyGoesOnWhereItStopped kills copies at random places, both ways, until one is done. It is not parallel: a
// process that it is about to start has for a moment the locks of the data folders that other tests have open.
func TestAKilledCopyGoesOnWhereItStopped(t *testing.T) {
	if sides := os.Getenv(killedCopy); sides != "" {
		dir, url, _ := strings.Cut(sides, " ")
		from, to := onSQLite(dir), onPostgres(url, dir)
		if os.Getenv(killedWay) == "back" {
			from, to = to, from
		}
		_, err := store.Copy(t.Context(), from, to, func(p transfer.Progress) { fmt.Println("told", p.Table, p.Rows, p.Verifying, p.Done) })
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println("told the end")
		return
	}
	first, url := filled(t, 4), pgtest.URL(t)
	more := openDB(t, db.Options{File: filepath.Join(first, "cotrain.db")})
	for _, q := range []string{
		`INSERT INTO events (run_id, at, kind, level, actor, from_state, to_state, attempt, rank, message) SELECT 'r-0000000000', n, 'note', 'info', 'x', '', '', 1, 0, 'more' FROM n`,
		`INSERT INTO points (series, step, value, at, exact, attempt) SELECT 1 + n % 3, 10000 + n, 1.5 * n, n, 0, 1 FROM n`,
	} {
		_, err := more.Exec(t.Context(), `WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 40000) `+q)
		must(t, err)
	}
	must(t, more.Close())
	// The archive of logs stays in one folder.
	back := t.TempDir()
	must(t, os.Symlink(filepath.Join(first, "logs"), filepath.Join(back, "logs")))
	want := sums(t, db.Options{File: filepath.Join(first, "cotrain.db")})
	for _, way := range []struct {
		name, dir string
		target    db.Options
	}{{"there", first, db.Options{URL: url}}, {"back", back, db.Options{File: filepath.Join(back, "cotrain.db")}}} {
		kills, done := 0, false
		for tries := 0; !done; tries++ {
			if done = copyAndKill(t, way.dir, url, way.name, 1+rand.IntN(60)*tries); !done {
				kills++
			}
		}
		t.Logf("%d kills", kills)
		if kills < 2 {
			t.Error("it was hardly killed")
		}
		if diff := cmp.Diff(want, sums(t, way.target)); diff != "" {
			t.Errorf("%s: %s", way.name, diff)
		}
	}
}

// copyAndKill copies in a process of its own, and kills that after some lines of its output.
func copyAndKill(t *testing.T, dir, url, way string, lines int) (done bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), killedCopy+"="+dir+" "+url, killedWay+"="+way)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	text := ""
	for in := bufio.NewScanner(out); in.Scan(); {
		text += in.Text() + "\n"
		if strings.HasPrefix(in.Text(), "told the end") {
			done = true
		}
		if lines--; lines == 0 && !done {
			must(t, cmd.Process.Kill())
		}
	}
	if err := cmd.Wait(); err != nil && strings.Contains(text, "FAIL") {
		t.Fatalf("%v: %s", err, text)
	}
	return done
}

// sums are those of all tables.
func sums(t *testing.T, o db.Options) map[string]transfer.Sum {
	t.Helper()
	m, err := store.Migrations()
	must(t, err)
	d, err := db.OpenReading(t.Context(), o, m)
	must(t, err)
	defer func() { must(t, d.Close()) }()
	must(t, transfer.Unfinished(t.Context(), d))
	tables, err := transfer.Tables(t.Context(), d)
	must(t, err)
	out := map[string]transfer.Sum{}
	for _, table := range tables {
		out[table.Name], err = transfer.SumOf(t.Context(), d, table, func(int64) {})
		must(t, err)
	}
	return out
}

// TestAnUnfinishedCopyIsNoConsole stops a copy between two tables, and changes the source.
func TestAnUnfinishedCopyIsNoConsole(t *testing.T) {
	t.Parallel()
	dir, url := filled(t, 1), pgtest.URL(t)
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := store.Copy(ctx, onSQLite(dir), onPostgres(url, dir), func(transfer.Progress) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Fatalf("stopped with %v", err)
	}
	if s, err := store.OpenAt(t.Context(), t.TempDir(), db.Options{URL: url}); err == nil || !strings.Contains(err.Error(), "has not finished") {
		t.Errorf("a console opened it: %v, %v", s, err)
	}
	refused(t, onSQLite(filled(t, 1)), onPostgres(url, t.TempDir()), fault.ErrConflict, "another source")
	refused(t, onPostgres(url, dir), onSQLite(t.TempDir()), fault.ErrConflict, "has not finished")
	s, err := store.Open(t.Context(), dir)
	must(t, err)
	_, _, err = s.CreateRun(t.Context(), run.Run{ID: "r-0000000010"}, "", run.Event{RunID: "r-0000000010"})
	must(t, err)
	must(t, s.Close())
	refused(t, onSQLite(dir), onPostgres(url, dir), fault.ErrConflict, "before it changed", "Empty the destination")
}

// TestACopyGoesOnAfterItsDatabaseCrashed crashes PostgreSQL in the middle.
func TestACopyGoesOnAfterItsDatabaseCrashed(t *testing.T) {
	t.Parallel()
	dir, database := filled(t, 1), pgtest.Start(t)
	crashed := false
	_, err := store.Copy(t.Context(), onSQLite(dir), onPostgres(database.URL(), dir), func(p transfer.Progress) {
		if !crashed && p.Table == "events" {
			crashed = true
			database.Stop()
		}
	})
	if !errors.Is(err, fault.ErrStoreUnavailable) {
		t.Errorf("without its database: %v", err)
	}
	database.Restart()
	if _, err = store.Copy(t.Context(), onSQLite(dir), onPostgres(database.URL(), dir), silent); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sums(t, db.Options{File: filepath.Join(dir, "cotrain.db")}), sums(t, db.Options{URL: database.URL()})); diff != "" {
		t.Error(diff)
	}
}
