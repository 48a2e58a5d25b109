package store_test

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pressly/goose/v3"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/series"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/db"
	"github.com/cotrain/cotrain/internal/store/pgtest"
	"github.com/cotrain/cotrain/internal/store/points"
	"github.com/cotrain/cotrain/internal/store/storetest"
)

// older makes a database as the first migrations alone did, up to a version, and runs statements on it.
func older(t *testing.T, dir string, version int64, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, "cotrain.db"))
	if err != nil {
		t.Fatal(err)
	}
	newer := slices.DeleteFunc(migrationNames(t), func(name string) bool { return name < "00012" }) // which goose's own reader does not know
	p, err := goose.NewProvider(goose.DialectSQLite3, db, os.DirFS("migrations"), goose.WithExcludeNames(newer))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(t.Context(), version); err != nil {
		t.Fatal(err)
	}
	for _, q := range statements {
		if _, err := db.ExecContext(t.Context(), q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func migrationNames(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for i := range names {
		names[i] = filepath.Base(names[i])
	}
	return names
}

// TestADatabaseOfTheFirstSchemaIsBroughtUpToDate makes one with the first migration alone.
func TestADatabaseOfTheFirstSchemaIsBroughtUpToDate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	older(t, dir, 1,
		`INSERT INTO runs VALUES ('r-0000000001', 'old one', 'debug', 'x = 1', '{"nodes":2,"gpus":0,"gpu_model":"","gpu_min_memory":0,"cpu":100,"memory":300}',
			'running', 'because', 0, 1, 20, 5, 1000, 2000, 0, 2, 7, 2.5, 1, 100.0, 3000, 'key')`,
		`INSERT INTO attempts VALUES ('r-0000000001', 1, 'p', 'p/dispatch-1', 0, 1500, 0)`,
		`INSERT INTO series VALUES (1, 'r-0000000001', 'loss', 0)`,
		`INSERT INTO points VALUES (1, 7, 2.5, 3000, 1, 1), (1, 900, 2, 3100, 1, 1)`,
		`INSERT INTO curves VALUES ('r-0000000001', 'loss', 7, 2.5, 2.5, 2.5, 2.5, 1, 3000), ('r-0000000001', 'loss', 900, 2, 2, 2, 2, 1, 3100)`,
	)

	s := open(t, dir)
	want := run.Run{
		ID: "r-0000000001", Project: "default", Owner: "local", Name: "old one", Preset: "debug", Config: "x = 1", Shape: run.Shape{Nodes: 2, CPU: 100, Memory: 300}, State: run.Running,
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
	again, created, err := s.CreateRun(t.Context(), run.Run{ID: "r-0000000002", Project: "default", State: run.Queued}, "key")
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
	behind, err := s.StaleCurves(t.Context())
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

// TestRunsGoOnInADatabaseThatIsBroughtUpToDate has one with its second attempt under way, at a time when rewinds were made
// as an attempt began, one that is stopping, and a queue.
func TestRunsGoOnInADatabaseThatIsBroughtUpToDate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var sealed []series.Point
	for step := int64(1); step <= 40; step++ {
		sealed = append(sealed, series.Point{Step: step, Value: 100 + float64(step), At: 1000 + step})
	}
	data, err := series.EncodeChunk(sealed)
	if err != nil {
		t.Fatal(err)
	}
	row := func(id, state, reason string, stop, attempt, step, priority int, sweep string) string {
		return fmt.Sprintf(`INSERT INTO runs (id, name, preset, config, shape, state, reason, stop_requested, attempt, steps_total, inner_steps, created_at, started_at,
			ended_at, participants, step, loss, has_loss, tokens_per_sec, progress_at, priority, sweep) VALUES ('%s', 'n', '', '', '{"nodes":1}', '%s', '%s', %d, %d, 100, 5, 1, 1, 0, 1, %d, 9, 1, 5, 1, %d, '%s')`,
			id, state, reason, stop, attempt, step, priority, sweep)
	}
	older(t, dir, 5,
		row("r-0000000001", "running", "", 0, 2, 50, 50, ""),
		`INSERT INTO attempts VALUES ('r-0000000001', 1, 'p', 'j1', 0, 1, 2, ''), ('r-0000000001', 2, 'p', 'j2', 0, 1, 0, 'models/step_30')`,
		`INSERT INTO workers VALUES ('a2', 'r-0000000001', 2, 0, 'running', '{"alloc_id":"a2","run_id":"r-0000000001","attempt":2,"rank":0,"state":"running","started":true,"started_at":"2026-01-02T03:04:05Z"}')`,
		`INSERT INTO series VALUES (1, 'r-0000000001', 'loss', 0)`,
		// Of 40 points of the first attempt the rewind had left 30.
		fmt.Sprintf(`INSERT INTO point_chunks VALUES (1, 1, 1, 1, 1, 30, 30, 0, 101, 130, 3465, 1001, 1030, x'%x')`, data),
		`WITH RECURSIVE n (i) AS (SELECT 31 UNION ALL SELECT i + 1 FROM n WHERE i < 50) INSERT INTO points SELECT 1, i, 200 + i, 2000 + i, 1, 2 FROM n`,
		`INSERT INTO unrolled VALUES ('r-0000000001', 0, 1, 50)`,
		`INSERT INTO streams VALUES ('a2', 'stdout', 'r-0000000001', 'f.0', 77, '{"step":50}', 0)`,
		`INSERT INTO checkpoints VALUES ('r-0000000001', 0, 30, 1, 'models/step_30'), ('r-0000000001', 0, 45, 2, 'models/step_45')`,
		`INSERT INTO events (run_id, at, kind, level, actor, from_state, to_state, attempt, rank, message) VALUES
			('r-0000000001', 1, 'state', 'info', 'ann', '', 'queued', 0, -1, ''), ('r-0000000001', 2, 'state', 'info', 'queue', 'queued', 'dispatching', 1, -1, '')`,
		row("r-0000000002", "stopping", "took longer than 1 h", 1, 1, 0, 50, ""),
		row("r-0000000003", "stopping", "workers were asked to save and leave", 1, 1, 0, 50, ""),
		row("r-0000000004", "queued", "", 0, 0, 0, 10, "s-0000000001"), row("r-0000000005", "queued", "", 0, 0, 0, 90, ""),
	)

	s := open(t, dir)
	const id = run.ID("r-0000000001")
	cur, err := s.Cursor(t.Context(), "a2", "stdout")
	if err != nil || cur.File != "f.0" || cur.Offset != 77 || cur.Report != (run.ExitReport{}) {
		t.Fatalf("cursor %+v, %v", cur, err)
	}
	more := &store.Batch{RunID: id, AllocID: "a2", Stream: "stdout", Attempt: 2, At: at(5000), From: cur, To: store.Cursor{File: "f.0", Offset: 99, Report: run.ExitReport{Step: 52}}}
	for step := int64(51); step <= 52; step++ {
		more.Points = append(more.Points, points.Point{Metric: "loss", Step: step, Value: 200 + float64(step), Exact: true})
	}
	if err := s.Commit(t.Context(), []*store.Batch{more}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.RollUp(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	curve, err := s.Curve(t.Context(), id, "loss", 0)
	if err != nil || len(curve) != 52 {
		t.Fatalf("%d steps, %v", len(curve), err)
	}
	for i, p := range curve {
		step, want := int64(i+1), float64(100*min(2, 1+i/30)+i+1)
		if p.Step != step || p.Mean != want {
			t.Errorf("step %d is %v, want %v", p.Step, p.Mean, want)
		}
	}
	if p, err := s.Headline(t.Context(), id); err != nil || p.Step != 52 || p.Loss != 252 {
		t.Errorf("headline %+v, %v", p, err)
	}
	if told, err := s.ExitReports(t.Context(), id); err != nil || told["a2"].Step != 52 {
		t.Errorf("told %+v, %v", told, err)
	}
	if evs, err := s.Events(t.Context(), id, 0, 9); err != nil || len(evs) < 2 || evs[0].Actor != "ann" || evs[1].Actor != run.Console {
		t.Errorf("events %+v, %v", evs, err)
	}
	if saved, err := s.SavedCheckpoints(t.Context(), id); err != nil || len(saved) != 2 {
		t.Errorf("checkpoints %+v, %v", saved, err)
	}
	for id, want := range map[run.ID]run.Run{
		"r-0000000001": {}, "r-0000000003": {StopCause: run.StopByPerson},
		"r-0000000002": {StopCause: run.StopExpired, StopReason: "took longer than 1 h"},
	} {
		if r, err := s.Run(t.Context(), id); err != nil || r.StopReason != want.StopReason || r.StopCause != want.StopCause {
			t.Errorf("%s: stopped for %q, %q, %v", id, r.StopCause, r.StopReason, err)
		}
	}
	groups, err := s.ReadyGroups(t.Context())
	if err != nil || len(groups) != 2 {
		t.Errorf("groups %+v, %v", groups, err)
	}
	waiting := []run.Run{{ID: "r-0000000004", Project: "default", State: run.Queued}}
	if err := s.SetQueuePlaces(t.Context(), waiting); err != nil || waiting[0].QueuePlace == nil || waiting[0].QueuePlace.Position != 2 || waiting[0].QueuePlace.Ahead[0].ID != "r-0000000005" {
		t.Errorf("line %+v, %v", waiting[0].QueuePlace, err)
	}
	if err := s.DeleteRun(t.Context(), id); err != nil {
		t.Error(err)
	}
	if orders, err := s.Orders(t.Context()); err != nil || len(orders) != 2 {
		t.Errorf("orders %+v, %v", orders, err)
	}
}

// TestAMigrationThatFailsLeavesTheDatabaseAsItWas gives the second migration something in its way.
func TestAMigrationThatFailsLeavesTheDatabaseAsItWas(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := os.ReadFile(filepath.Join("migrations", "00001_runs.sqlite.sql"))
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, "cotrain.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	p, err := goose.NewProvider(goose.DialectSQLite3, db, fstest.MapFS{"00001_runs.sqlite.sql": {Data: first}})
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

// TestOlderRunsAreFoundByTheirLabels has a run with a tag, and a worker on a node, in a database without labels.
func TestOlderRunsAreFoundByTheirLabels(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	older(t, dir, 1, `INSERT INTO runs VALUES ('r-0000000001', 'Old One', 'debug', 'x = 1', '{"nodes":2,"gpus":0,"gpu_model":"","gpu_min_memory":0,"cpu":100,"memory":300}',
			'failed', 'because', 0, 1, 20, 5, 1000, 2000, 3000, 2, 7, 2.5, 1, 100.0, 3000, 'key')`,
		`INSERT INTO attempts VALUES ('r-0000000001', 1, 'p', 'p/dispatch-1', 0, 1500, 0)`,
		`INSERT INTO workers (alloc_id, run_id, attempt, rank, state, body) VALUES ('a', 'r-0000000001', 1, 0, 'complete', '{"alloc_id":"a","run_id":"r-0000000001","attempt":1,"node_name":"gpu-1"}')`)
	older(t, dir, 2, `UPDATE runs SET options = '{"tags":["paper"]}'`)
	s := open(t, dir)
	for _, f := range []run.RunFilter{{Tags: []string{"paper"}, Model: "debug"}, {Node: "gpu-1", States: []run.State{run.Failed}}, {Tags: []string{"paper"}, Node: "gpu-1", Archived: run.WithoutArchived, Order: run.Order{By: "name"}}} {
		f.Projects, f.Limit = run.AllProjects(), 2
		if page, err := s.ListRuns(t.Context(), f); err != nil || len(page.Runs) != 1 || page.Runs[0].Name != "Old One" {
			t.Errorf("%+v finds %v, %v", f, page.Runs, err)
		}
	}
}

func at(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// before are the statements for a sweep and a template of a time without projects.
var before = []string{
	`INSERT INTO sweeps VALUES ('s-0000000001', 'rates', '{}', '["nodes"]', 2, 0, 1000, 'ann', 'key')`,
	`INSERT INTO templates VALUES ('mine', 1, 'Mine', 'what for', 'x = 1', '{"nodes":2}', '{}', 'first', 'ann', 1000)`,
}

func TestSweepsAndTemplatesWithoutAProjectAreOfTheDefaultOne(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	older(t, dir, 11, before...)
	hasDefaultProject(t, open(t, dir))
}

func TestSweepsAndTemplatesWithoutAProjectAreOfTheDefaultOneInPostgreSQL(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	first, err := os.ReadFile("migrations/00012_two_databases.postgres.sql")
	if err != nil {
		t.Fatal(err)
	}
	d, err := db.Open(t.Context(), db.Options{URL: url}, db.Migrations{Files: fstest.MapFS{"00012_two_databases.postgres.sql": {Data: first}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range before {
		if _, err := d.Exec(t.Context(), q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	hasDefaultProject(t, openPostgres(t, url))
}

func hasDefaultProject(t *testing.T, s *store.Store) {
	t.Helper()
	sweep, err := s.SweepByKey(t.Context(), "default", "key")
	if err != nil || sweep.ID != "s-0000000001" || sweep.Project != "default" {
		t.Errorf("sweep %+v, %v", sweep, err)
	}
	if _, err := s.SweepByKey(t.Context(), "vision", "key"); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("its key in another project: %v", err)
	}
	if list, err := s.Sweeps(t.Context(), run.InProjects("default"), "", 10); err != nil || len(list) != 1 {
		t.Errorf("sweeps %+v, %v", list, err)
	}
	template, err := s.Template(t.Context(), "default", "Mine", 0)
	if err != nil || template.Project != "default" || template.Config != "x = 1" || template.Shape.Nodes != 2 {
		t.Errorf("template %+v, %v", template, err)
	}
	if list, err := s.Templates(t.Context(), run.InProjects("vision")); err != nil || len(list) != 0 {
		t.Errorf("templates of another project: %+v, %v", list, err)
	}
}

// TestSeriesOfSeveralAttemptsAreBroughtUpToDate has one in which two attempts reported, of which the second repeats steps from 2 on, one
// of a worker that the second attempt did not hear of, and what of each was replaced.
func TestSeriesOfSeveralAttemptsAreBroughtUpToDate(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{"SQLite": "", "PostgreSQL": pgtest.URL(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at26 := fstest.MapFS{}
			for _, file := range migrationNames(t) {
				if file > "00027" {
					continue
				}
				data, err := os.ReadFile(filepath.Join("migrations", file))
				if err != nil {
					t.Fatal(err)
				}
				at26[file] = &fstest.MapFile{Data: data}
			}
			dir := t.TempDir()
			d, err := db.Open(t.Context(), db.Options{URL: url, File: filepath.Join(dir, "cotrain.db")}, db.Migrations{Files: at26})
			if err != nil {
				t.Fatal(err)
			}
			for _, q := range []string{
				`INSERT INTO repeats VALUES ('r-0000000001', 2, 2)`,
				`INSERT INTO series (id, run_id, metric, rank) VALUES (1, 'r-0000000001', 'other', 0), (2, 'r-0000000001', 'other', -1048577), (3, 'r-0000000001', 'other', 1), (4, 'r-0000000001', 'other', -1048578)`,
				`INSERT INTO points VALUES (1, 1, 11, 5, 1, 1), (1, 2, 12, 5, 1, 2), (2, 2, 22, 5, 1, 1), (2, 3, 23, 5, 1, 1), (3, 1, 31, 5, 1, 1), (4, 2, 42, 5, 1, 1)`,
			} {
				if _, err := d.Exec(t.Context(), q); err != nil {
					t.Fatalf("%s: %v", q, err)
				}
			}
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			s, err := store.OpenAt(t.Context(), dir, db.Options{URL: url})
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}()
			for _, want := range []struct {
				worker, replaced int
				values           []float64
			}{{0, 0, []float64{11, 12}}, {0, 1, []float64{22, 23}}, {1, 0, []float64{31}}, {1, 1, nil}} {
				v, err := s.View(t.Context(), "r-0000000001", "other", points.ViewQuery{Worker: want.worker, To: 100, Limit: 100, Replaced: want.replaced})
				if err != nil {
					t.Fatal(err)
				}
				var have []float64
				for _, c := range v.Columns {
					have = append(have, c.Value)
				}
				if !slices.Equal(have, want.values) {
					t.Errorf("worker %d, replaced of attempt %d: %v, want %v", want.worker, want.replaced, have, want.values)
				}
			}
			if err := s.Tidy(t.Context()); err != nil {
				t.Error(err)
			}
			if pts, err := storetest.AllPoints(t.Context(), s, "r-0000000001", "other"); err != nil || len(pts) != 3 {
				t.Errorf("tidied it has %d points, %v", len(pts), err)
			}
		})
	}
}
