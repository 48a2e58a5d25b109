package store_test

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/db"
	"github.com/cotrain/cotrain/internal/store/pgtest"
	"github.com/cotrain/cotrain/internal/store/points"
	"github.com/cotrain/cotrain/internal/store/storetest"
	"github.com/cotrain/cotrain/internal/store/transfer"
)

// TestBothDatabasesHaveTheSameTables keeps a migration from being forgotten in one of them, or by a copy.
func TestBothDatabasesHaveTheSameTables(t *testing.T) {
	t.Parallel()
	lite, pg := openDB(t, db.Options{File: filepath.Join(t.TempDir(), "cotrain.db")}), openDB(t, db.Options{URL: pgtest.URL(t)})
	tables := map[string][]db.Table{}
	left := transfer.Left()
	for name, d := range map[string]*db.DB{"SQLite": lite, "PostgreSQL": pg} {
		all, err := d.Tables(t.Context())
		must(t, err)
		for _, table := range all {
			delete(left, table.Name)
		}
		tables[name], err = transfer.Tables(t.Context(), d)
		must(t, err)
	}
	delete(left, "store_copy") // there only during a copy
	if len(left) > 0 {
		t.Errorf("%v are said to stay behind, but neither database has them", left)
	}
	if len(tables["SQLite"]) < 18 {
		t.Errorf("only %d tables are copied", len(tables["SQLite"]))
	}
	for _, d := range transfer.Differences(tables["SQLite"], tables["PostgreSQL"]) {
		t.Error("PostgreSQL:", d)
	}
	for _, d := range transfer.Differences(tables["PostgreSQL"], tables["SQLite"]) {
		t.Error("SQLite:", d)
	}
}

func openDB(t *testing.T, o db.Options) *db.DB {
	t.Helper()
	m, err := store.Migrations()
	must(t, err)
	d, err := db.Open(t.Context(), o, m)
	must(t, err)
	t.Cleanup(func() { must(t, d.Close()) })
	return d
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// cell draws what a column can hold.
func cell(c db.TableColumn) *rapid.Generator[any] {
	var g *rapid.Generator[any]
	switch c.Type {
	case db.Text:
		g = rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "a", "b", "\n", "é", "\uFFFD", "👍"})).AsAny()
	case db.Integer:
		g = rapid.OneOf(rapid.Int64Range(0, 3), rapid.Int64(), rapid.SampledFrom([]int64{math.MinInt64, -1, math.MaxInt64})).AsAny()
	case db.Double:
		g = rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{math.Inf(1), math.Inf(-1), math.Copysign(0, -1), 5, math.MaxFloat64, math.SmallestNonzeroFloat64, math.NaN()})).AsAny()
	case db.Blob:
		g = rapid.OneOf(rapid.SliceOf(rapid.Byte()), rapid.Just([]byte{}), rapid.Just([]byte{0, 0xff, 0})).AsAny()
	}
	if c.Nullable {
		return rapid.OneOf(rapid.Just[any](nil), g)
	}
	return g
}

// rowsOf reads all of a table.
func rowsOf(ctx context.Context, t *rapid.T, d *db.DB, table db.Table) [][]any {
	var columns []string
	for _, c := range table.Columns {
		columns = append(columns, c.Name)
	}
	rows, err := d.Query(ctx, `SELECT `+strings.Join(columns, ", ")+` FROM `+table.Name+` ORDER BY `+strings.Join(table.Key, ", "))
	if err != nil {
		t.Fatal(err)
	}
	out, err := db.Collect(rows, func(row db.Scanner) ([]any, error) {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		err := row.Scan(into...)
		for i, v := range values {
			if b, ok := v.([]byte); ok {
				values[i] = string(b) // an empty one is nil or not, as the driver likes
			}
			if v == nil && !table.Columns[i].Nullable {
				values[i] = ""
			}
		}
		return values, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestAnythingComesBackAsItWas copies random rows of all tables to PostgreSQL and back.
func TestAnythingComesBackAsItWas(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	lite := func() *db.DB { return openDB(t, db.Options{File: filepath.Join(t.TempDir(), "cotrain.db")}) }
	first, there, back := lite(), openDB(t, db.Options{URL: pgtest.URL(t)}), lite()
	tables, err := transfer.Tables(ctx, first)
	must(t, err)
	rapid.Check(t, func(rt *rapid.T) {
		for _, d := range []*db.DB{first, there, back} {
			clearTables(ctx, t, d, tables)
		}
		want := map[string][][]any{}
		for _, table := range tables {
			insertRandom(ctx, rt, first, table)
			want[table.Name] = rowsOf(ctx, rt, first, table)
		}
		copied, err := transfer.Copy(ctx, first, there, noFiles, silent)
		if err != nil {
			rt.Fatal(err)
		}
		returned, err := transfer.Copy(ctx, there, back, noFiles, silent)
		if err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(copied, returned); diff != "" {
			rt.Fatalf("sums differ: %s", diff)
		}
		for where, d := range map[string]*db.DB{"there": there, "back": back} {
			for _, table := range tables {
				if diff := cmp.Diff(want[table.Name], rowsOf(ctx, rt, d, table)); diff != "" {
					rt.Errorf("%s: %s differs: %s", where, table.Name, diff)
				}
			}
			before, err := first.LastNumbers(ctx)
			must(t, err)
			after, err := d.LastNumbers(ctx)
			must(t, err)
			for _, table := range []string{"events", "log_chunks", "point_chunks"} {
				if before[table] > after[table] {
					rt.Errorf("%s: %s goes on from %d, not %d", where, table, after[table], before[table])
				}
			}
		}
	})
}

// clearTables also forgets a copy that failed: the next one would go on after its rows.
func clearTables(ctx context.Context, t *testing.T, d *db.DB, tables []db.Table) {
	must(t, d.Write(ctx, func(tx *db.Tx) error {
		if _, err := tx.Exec(ctx, `DROP TABLE IF EXISTS store_copy`); err != nil {
			return err
		}
		for _, table := range tables {
			if _, err := tx.Exec(ctx, `DELETE FROM `+table.Name); err != nil {
				return err
			}
		}
		return nil
	}))
}

func insertRandom(ctx context.Context, rt *rapid.T, d *db.DB, table db.Table) {
	var names []string
	for _, c := range table.Columns {
		names = append(names, c.Name)
	}
	for range rapid.IntRange(0, 3).Draw(rt, "rows of "+table.Name) {
		var values []any
		long := rapid.IntRange(-1, len(table.Columns)-1).Draw(rt, "long text") // one at most: an entry of an index holds no more than 2.7 KB, compressed
		for i, c := range table.Columns {
			if i == long && c.Type == db.Text {
				values = append(values, strings.Repeat("x", 70_000))
				continue
			}
			values = append(values, cell(c).Draw(rt, table.Name+"."+c.Name))
		}
		if _, err := d.Exec(ctx, `INSERT INTO `+table.Name+` (`+strings.Join(names, ", ")+`) VALUES (?`+strings.Repeat(",?", len(values)-1)+`) ON CONFLICT DO NOTHING`, values...); err != nil {
			rt.Fatal(err)
		}
	}
}

func silent(transfer.Progress) {}

func noFiles() error { return nil }

// filled is a data folder with SQLite.
func filled(t *testing.T, runs int) string {
	t.Helper()
	dir := t.TempDir()
	s, err := store.Open(t.Context(), dir)
	must(t, err)
	must(t, storetest.Fill(t.Context(), s, runs))
	must(t, s.Close())
	return dir
}

// TestAConsoleGoesOnAfterItsMove is about what a copy of rows alone would lose.
func TestAConsoleGoesOnAfterItsMove(t *testing.T) {
	t.Parallel()
	ctx, dir, url := t.Context(), filled(t, 2), pgtest.URL(t)
	before, err := store.Open(ctx, dir)
	must(t, err)
	log, err := before.Logs(ctx, "r-0000000001", run.LogQuery{Rank: -1, Limit: 9999})
	must(t, err)
	must(t, before.DeleteRun(ctx, "r-000000000v")) // the newest event
	must(t, before.Close())

	var told []transfer.Progress
	copied, err := store.Copy(ctx, onSQLite(dir), onPostgres(url, dir), func(p transfer.Progress) {
		if p.Done {
			told = append(told, p)
		}
	})
	must(t, err)
	if len(told) != 2*len(copied.Tables) || copied.Logs.Blocks != 2 || copied.Logs.Copied != 0 || copied.Logs.Missing != 0 {
		t.Errorf("told %v; logs %+v", told, copied.Logs)
	}
	after, err := store.OpenAt(ctx, dir, db.Options{URL: url, MaxConns: 4})
	must(t, err)
	defer func() { must(t, after.Close()) }()
	got, err := after.Logs(ctx, "r-0000000001", run.LogQuery{Rank: -1, Limit: 9999})
	if diff := cmp.Diff(log, got); err != nil || diff != "" || len(got) != 2000 {
		t.Errorf("%d lines, %v: %s", len(got), err, diff)
	}
	b := &store.Batch{RunID: "r-0000000001", AllocID: "new", Stream: "stdout", Attempt: 1, At: time.UnixMilli(1), To: store.Cursor{File: "f", Offset: 1}, Log: []byte("on\n"),
		Points: []points.Point{{Metric: "new", Step: 1, Value: 1}}}
	must(t, after.Commit(ctx, []*store.Batch{b}))
	if b.ChunkID <= int64(log[len(log)-1].Pos)>>16 {
		t.Errorf("chunk %d is not after %d, which is sealed", b.ChunkID, log[len(log)-1].Pos>>16)
	}
	if found, err := after.Runs(ctx, run.RunFilter{Projects: run.AllProjects(), Text: "7b", Limit: 9}); err != nil || len(found) != 2 {
		t.Errorf("a search finds %d runs, %v", len(found), err)
	}
}

func TestLogsFollowToAnotherFolder(t *testing.T) {
	t.Parallel()
	ctx, dir, url := t.Context(), filled(t, 3), pgtest.URL(t)
	must(t, os.Remove(filepath.Join(dir, "logs", "r-0000000001", firstFile(t, filepath.Join(dir, "logs", "r-0000000001")))))
	server, back := t.TempDir(), t.TempDir()
	copied, err := store.Copy(ctx, onSQLite(dir), onPostgres(url, server), silent)
	must(t, err)
	if l := copied.Logs; l.Blocks != 3 || l.Copied != 2 || l.Missing != 1 || !strings.Contains(copied.String(), "1 of 3 sealed blocks of logs were already missing") {
		t.Errorf("%+v: %s", l, copied)
	}
	if _, err := store.Copy(ctx, onPostgres(url, back), onSQLite(back), silent); !errors.Is(err, fault.ErrNotFound) || !strings.Contains(err.Error(), "data_dir") {
		t.Errorf("without their folder: %v", err)
	}
	_, err = store.Copy(ctx, onPostgres(url, server), onSQLite(back), silent)
	must(t, err)
	name := filepath.Join("logs", "r-0000000002")
	name = filepath.Join(name, firstFile(t, filepath.Join(dir, name)))
	a, err := os.ReadFile(filepath.Join(dir, name))
	must(t, err)
	if b, err := os.ReadFile(filepath.Join(back, name)); err != nil || !slices.Equal(a, b) {
		t.Errorf("the block differs: %v", err)
	}
}

func firstFile(t *testing.T, dir string) string {
	t.Helper()
	files, err := os.ReadDir(dir)
	must(t, err)
	return files[0].Name()
}

// TestOtherProgramsTablesStayOut has some in the console's schema.
func TestOtherProgramsTablesStayOut(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	d := openDB(t, db.Options{URL: url})
	for _, q := range []string{`CREATE TABLE aaa (run_id INTEGER, at timestamptz)`, `CREATE TABLE zzz ()`, `INSERT INTO aaa VALUES (1, now())`, `CREATE SCHEMA other`, `CREATE TABLE other.runs (id TEXT PRIMARY KEY)`} {
		_, err := d.Exec(t.Context(), q)
		must(t, err)
	}
	must(t, d.Close())
	dir, back := filled(t, 1), t.TempDir()
	_, err := store.Copy(t.Context(), onSQLite(dir), onPostgres(url, dir), silent)
	must(t, err)
	_, err = store.Copy(t.Context(), onPostgres(url, dir), onSQLite(back), silent)
	must(t, err)
	if diff := cmp.Diff(sums(t, db.Options{File: filepath.Join(dir, "cotrain.db")}), sums(t, db.Options{File: filepath.Join(back, "cotrain.db")})); diff != "" {
		t.Error(diff)
	}
}

func TestACopyIsRefused(t *testing.T) {
	t.Parallel()
	ctx, dir := t.Context(), filled(t, 1)
	t.Run("while a console has the source", func(t *testing.T) {
		t.Parallel()
		dir := filled(t, 1)
		s, err := store.Open(ctx, dir)
		must(t, err)
		defer func() { must(t, s.Close()) }()
		refused(t, onSQLite(dir), onPostgres(pgtest.URL(t), dir), fault.ErrInUse, "Stop it")
	})
	t.Run("while a console has the destination", func(t *testing.T) {
		t.Parallel()
		url := pgtest.URL(t)
		openPostgres(t, url)
		refused(t, onSQLite(filled(t, 1)), onPostgres(url, t.TempDir()), fault.ErrInUse, "The database is in use")
	})
	t.Run("into what is not empty", func(t *testing.T) {
		t.Parallel()
		url := pgtest.URL(t)
		_, err := store.Copy(ctx, onSQLite(dir), onPostgres(url, dir), silent)
		must(t, err)
		folder := t.TempDir()
		refused(t, onSQLite(filled(t, 1)), onPostgres(url, folder), fault.ErrConflict, "not empty", "it has finished")
		if _, err := os.Stat(filepath.Join(folder, "logs")); err == nil {
			t.Error("logs were copied")
		}
	})
	t.Run("between two of a kind", func(t *testing.T) {
		t.Parallel()
		refused(t, onSQLite(dir), onSQLite(t.TempDir()), fault.ErrInvalid, "PostgreSQL")
		refused(t, onPostgres("postgres://a", dir), onPostgres("postgres://b", dir), fault.ErrInvalid, "pg_dump")
	})
	t.Run("from what is not there", func(t *testing.T) {
		t.Parallel()
		nowhere := filepath.Join(t.TempDir(), "nowhere")
		refused(t, onSQLite(nowhere), onPostgres(pgtest.URL(t), t.TempDir()), fault.ErrNotFound, nowhere)
		refused(t, onSQLite(t.TempDir()), onPostgres(pgtest.URL(t), t.TempDir()), fault.ErrNotFound, "cotrain.db")
		refused(t, onPostgres(pgtest.URL(t), t.TempDir()), onSQLite(t.TempDir()), fault.ErrNotFound, "no console's data")
		if _, err := os.Stat(nowhere); err == nil {
			t.Error("the source's folder was made")
		}
	})
	t.Run("from an older schema", func(t *testing.T) {
		t.Parallel()
		old := t.TempDir()
		older(t, old, 11)
		refused(t, onSQLite(old), onPostgres(pgtest.URL(t), old), fault.ErrConflict, "version 11", "cotrain server")
	})
	t.Run("without telling a password", func(t *testing.T) {
		t.Parallel()
		for _, url := range []string{"postgres://me:s3cret@127.0.0.1:1/x?sslmode=disable", "postgres://me:s3cret@[::1", "postgres://me@127.0.0.1:1/x?password=s3cret&sslmode=nonsense"} {
			_, err := store.Copy(ctx, onSQLite(dir), onPostgres(url, dir), silent)
			if err == nil || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%v", err)
			}
		}
	})
}

// onSQLite and onPostgres are where consoles are.
func onSQLite(dir string) store.Address { return store.Address{Folder: dir} }

func onPostgres(url, dir string) store.Address {
	return store.Address{Folder: dir, Database: db.Options{URL: url, MaxConns: 4}}
}

func refused(t *testing.T, from, to store.Address, kind fault.Kind, words ...string) {
	t.Helper()
	_, err := store.Copy(t.Context(), from, to, silent)
	if !errors.Is(err, kind) {
		t.Errorf("%s %s to %s %s: %v, want %s", from.Folder, from.Database.URL, to.Folder, to.Database.URL, err, kind)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%v does not say %q", err, w)
		}
	}
}
