package store_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pressly/goose/v3"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/storetest"
)

// TestADatabaseOfTheFirstSchemaIsBroughtUpToDate makes one with the first migration alone.
func TestADatabaseOfTheFirstSchemaIsBroughtUpToDate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := os.ReadFile(filepath.Join("migrations", "00001_runs.sql"))
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, "cotrain.db"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, fstest.MapFS{"00001_runs.sql": {Data: first}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{
		`INSERT INTO runs VALUES ('r-0000000001', 'old one', 'debug', 'x = 1', '{"nodes":2,"gpus":0,"gpu_model":"","gpu_min_memory":0,"cpu":100,"memory":300}',
			'running', 'because', 0, 1, 20, 5, 1000, 2000, 0, 2, 7, 2.5, 1, 100.0, 3000, 'key')`,
		`INSERT INTO attempts VALUES ('r-0000000001', 1, 'p', 'p/dispatch-1', 0, 1500, 0)`,
		`INSERT INTO series VALUES (1, 'r-0000000001', 'loss', 0)`,
		`INSERT INTO points VALUES (1, 7, 2.5, 3000, 1, 1), (1, 900, 2, 3100, 1, 1)`,
		`INSERT INTO curves VALUES ('r-0000000001', 'loss', 7, 2.5, 2.5, 2.5, 2.5, 1, 3000), ('r-0000000001', 'loss', 900, 2, 2, 2, 2, 1, 3100)`,
	} {
		if _, err := db.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	s := open(t, dir)
	want := run.Run{
		ID: "r-0000000001", Name: "old one", Preset: "debug", Config: "x = 1", Shape: run.Shape{Nodes: 2, CPU: 100, Memory: 300}, State: run.Running,
		Reason: "because", Attempt: 1, StepsTotal: 20, InnerSteps: 5, CreatedAt: at(1000), StartedAt: at(2000),
		Progress: run.Progress{Step: 7, Loss: 2.5, HasLoss: true, TokensPerSec: 100, Participants: 2, UpdatedAt: at(3000)},
	}
	got, err := s.Run(t.Context(), want.ID)
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Errorf("%v; the run differs (-want +got):\n%s", err, d)
	}
	as, err := s.Attempts(t.Context(), want.ID)
	if d := cmp.Diff([]run.Attempt{{RunID: want.ID, Number: 1, ParentJob: "p", JobID: "p/dispatch-1", CreatedAt: at(1500)}}, as); err != nil || d != "" {
		t.Errorf("%v; attempts differ (-want +got):\n%s", err, d)
	}
	again, created, err := s.CreateRun(t.Context(), run.Run{ID: "r-0000000002", State: run.Queued}, run.Attempt{}, "key")
	if err != nil || created || again.ID != want.ID {
		t.Errorf("its key gives %s, created %v, %v", again.ID, created, err)
	}
	if _, err := s.Update(t.Context(), want.ID, func(u *store.Update) error {
		u.Attempt.EndedAt = at(9000)
		_, err := u.Run.Transition(run.Failed, "test", "", at(9000))
		return err
	}); err != nil {
		t.Errorf("it cannot be changed: %v", err)
	}
	if pts, err := storetest.AllPoints(t.Context(), s, want.ID, "loss"); err != nil || len(pts) != 2 {
		t.Errorf("points %v, %v", pts, err)
	}
	behind, err := s.UnrolledRuns(t.Context())
	if err != nil || len(behind) != 1 || behind[0] != want.ID {
		t.Fatalf("to be rolled up: %v, %v", behind, err)
	}
	if _, _, err := s.RollUp(t.Context(), want.ID); err != nil {
		t.Fatal(err)
	}
	curve, err := s.Curve(t.Context(), want.ID, "loss", 0)
	if d := cmp.Diff([]run.CurvePoint{
		{Step: 7, Mean: 2.5, Min: 2.5, Max: 2.5, Sum: 2.5, Workers: 1, At: at(3000)}, {Step: 900, Mean: 2, Min: 2, Max: 2, Sum: 2, Workers: 1, At: at(3100)},
	}, curve); err != nil || d != "" {
		t.Errorf("%v; the curve differs (-want +got):\n%s", err, d)
	}
}

// TestAMigrationThatFailsLeavesTheDatabaseAsItWas gives the second migration something in its way.
func TestAMigrationThatFailsLeavesTheDatabaseAsItWas(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := os.ReadFile(filepath.Join("migrations", "00001_runs.sql"))
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, "cotrain.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	p, err := goose.NewProvider(goose.DialectSQLite3, db, fstest.MapFS{"00001_runs.sql": {Data: first}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), `CREATE TABLE sweeps (other INTEGER)`); err != nil {
		t.Fatal(err)
	}
	if s, err := store.Open(t.Context(), dir); err == nil {
		_ = s.Close()
		t.Fatal("it opened")
	}
	var columns, version int
	if err := db.QueryRowContext(t.Context(), `SELECT count(*) FROM pragma_table_info('runs') WHERE name = 'options'`).Scan(&columns); err != nil {
		t.Fatal(err)
	}
	if err := db.QueryRowContext(t.Context(), `SELECT max(version_id) FROM goose_db_version`).Scan(&version); err != nil {
		t.Fatal(err)
	}
	if columns != 0 || version != 1 {
		t.Errorf("%d new columns, schema version %d", columns, version)
	}
	if _, err := db.ExecContext(t.Context(), `DROP TABLE sweeps`); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
}

func at(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
