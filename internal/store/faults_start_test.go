package store_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/db"
	"github.com/cotrain/cotrain/internal/store/pgtest"
)

// user makes a role of the server, with rights on the database.
func user(t *testing.T, url, options string, rights ...string) (as string) {
	t.Helper()
	raw := session(t, url)
	var name string
	if err := raw.QueryRowContext(t.Context(), `SELECT current_database() || '_user'`).Scan(&name); err != nil {
		t.Fatal(err)
	}
	for _, q := range slices.Concat([]string{"CREATE ROLE " + name + " LOGIN " + options}, rights) {
		if _, err := raw.ExecContext(t.Context(), strings.ReplaceAll(q, "USER", name)); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		for _, q := range []string{"DROP OWNED BY " + name + " CASCADE", "DROP ROLE " + name} {
			if _, err := raw.ExecContext(context.Background(), q); err != nil {
				t.Error(err)
			}
		}
	})
	return strings.Replace(url, "cotrain@", name+"@", 1)
}

const mayCreate = `DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO USER', current_database()); END $$`

func TestTooManyConnectionsAreSaidSo(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	r := &race{t: t}
	as := user(t, url, "CONNECTION LIMIT 3", mayCreate) // the lock's and two
	r.Store, r.raw = openAt(t, on(as)), session(t, url)
	r.create(raced)
	update := func() error {
		_, err := r.Update(context.Background(), raced, func(*store.Update) error { return nil })
		return err
	}
	release := r.hold(lockRun)
	waiting := []*call{start(update), start(update)}
	r.waiting(2)
	told(t, "one too many", update(), fault.ErrStoreUnavailable, "no connection left")
	release()
	r.end(waiting...)
	r.end(start(update))
}

func TestAUserWithoutRightsIsToldWhatToDo(t *testing.T) {
	t.Parallel()
	as := user(t, pgtest.URL(t), "")
	_, err := store.OpenAt(t.Context(), t.TempDir(), on(as))
	told(t, "no right to create", err, fault.ErrConflict, "CREATE SCHEMA")
	raw := session(t, strings.Replace(as, strings.Split(strings.Split(as, "//")[1], "@")[0]+"@", "cotrain@", 1))
	var name string
	if err := raw.QueryRowContext(t.Context(), `SELECT current_database() || '_user'`).Scan(&name); err != nil {
		t.Fatal(err)
	}
	if _, err := raw.ExecContext(t.Context(), `CREATE SCHEMA cotrain AUTHORIZATION `+name); err != nil { // as it says
		t.Fatal(err)
	}
	if err := openAt(t, on(as)).Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestADatabaseThatCannotBeReachedIsSaidWithItsAddress(t *testing.T) {
	t.Parallel()
	_, err := store.OpenAt(t.Context(), t.TempDir(), on("postgres://me:secret@127.0.0.1:1/runs"))
	if !unavailable(err) || !strings.Contains(err.Error(), "runs at 127.0.0.1:1") || strings.Contains(err.Error(), "secret") {
		t.Errorf("it is said: %v", err)
	}
	network := pgtest.NewProxy(t, pgtest.URL(t))
	network.Hang()
	if _, err := store.OpenAt(t.Context(), t.TempDir(), quick(network.URL())); !unavailable(err) {
		t.Errorf("a server that hangs: %v", err)
	}
}

func TestAMigrationThatWasKilledBeginsAgain(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	raw := session(t, url)
	r := &race{t: t, raw: raw}
	r.exec(`CREATE SCHEMA cotrain`)
	release := r.hold(`CREATE TABLE templates (x int)`) // which the migration waits for, halfway
	opening := start(func() error {
		s, err := store.OpenAt(context.Background(), t.TempDir(), on(url))
		if err == nil {
			err = errors.Join(errors.New("it is open"), s.Close())
		}
		return err
	})
	r.waiting(1)
	r.exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)
	told(t, "a migration that was killed", r.errors(opening)[0], fault.ErrStoreUnavailable, "PostgreSQL")
	release()
	if n := r.ask(`SELECT count(*) FROM pg_tables WHERE schemaname = 'cotrain' AND tablename <> 'goose_db_version'`); n != 0 {
		t.Errorf("%d tables are left", n)
	}
	r.Store = openAt(t, on(url))
	r.create(raced)
}

func TestTablesOfOthersAreLeftAlone(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	r := &race{t: t, raw: session(t, url)}
	for _, table := range []string{"runs", "events", "goose_db_version", "console", "write_checks"} {
		r.exec(`CREATE TABLE public.`+table+` (id text, version_id bigint, is_applied boolean)`, `INSERT INTO public.`+table+` VALUES ('theirs', 999999, true)`)
	}
	for range 2 {
		s, err := store.OpenAt(t.Context(), t.TempDir(), on(url))
		if err != nil {
			t.Fatal(err)
		}
		runs, err := s.Runs(t.Context(), run.RunFilter{Projects: run.AllProjects()})
		if err != nil || slices.ContainsFunc(runs, func(r run.Run) bool { return r.ID == "theirs" }) {
			t.Errorf("runs %+v, %v", runs, err)
		}
		if _, _, err := s.CreateRun(t.Context(), newRun(raced), "k", run.Event{RunID: raced}); err != nil {
			t.Error(err)
		}
		if err := errors.Join(s.Ping(t.Context()), s.Close()); err != nil {
			t.Error(err)
		}
	}
	for _, table := range []string{"runs", "events", "goose_db_version", "console", "write_checks"} {
		if n := r.ask(`SELECT count(*) FROM public.` + table + ` WHERE id = 'theirs'`); n != 1 || r.ask(`SELECT count(*) FROM public.`+table) != 1 {
			t.Errorf("public.%s is no longer what it was", table)
		}
	}
}

func TestADatabaseOfAnotherEncodingIsRefused(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	raw := session(t, url)
	var ours string
	if err := raw.QueryRowContext(t.Context(), `SELECT current_database()`).Scan(&ours); err != nil {
		t.Fatal(err)
	}
	for _, encoding := range []string{"SQL_ASCII", "LATIN1"} {
		name := ours + strings.ToLower(encoding)
		if _, err := raw.ExecContext(t.Context(), `CREATE DATABASE `+name+` ENCODING '`+encoding+`' LOCALE 'C' LOCALE_PROVIDER libc TEMPLATE template0`); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if _, err := raw.ExecContext(context.Background(), `DROP DATABASE `+name); err != nil {
				t.Error(err)
			}
		})
		_, err := store.OpenAt(t.Context(), t.TempDir(), on(strings.Replace(url, "/"+ours+"?", "/"+name+"?", 1)))
		told(t, encoding, err, fault.ErrConflict, "ENCODING 'UTF8'")
	}
}

func TestANewerSchemaOnPostgreSQLIsRefused(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	if err := openAt(t, on(url)).Close(); err != nil {
		t.Fatal(err)
	}
	(&race{t: t, raw: session(t, url)}).exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)`)
	if _, err := store.OpenAt(t.Context(), t.TempDir(), on(url)); err == nil || !strings.Contains(err.Error(), "start a newer cotrain") {
		t.Errorf("got %v", err)
	}
}

func TestASecondConsoleIsToldWhoHasTheDatabase(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	first := openAt(t, on(url+"&application_name=cotrain-east"))
	_, err := store.OpenAt(t.Context(), t.TempDir(), on(url))
	if told(t, "the second", err, fault.ErrInUse, "cotrain-east, connected since 20"); !errors.Is(err, db.ErrInUse) {
		t.Error(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	openAt(t, on(url))
}

// TestALockThatWasLostIsTakenAgainUnlessAnotherConsoleWasFaster has another session wait for the lock, which then is the next to have it.
func TestALockThatWasLostIsTakenAgainUnlessAnotherConsoleWasFaster(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	r := &race{Store: openAt(t, on(url)), t: t, raw: session(t, url)}
	r.create(raced)
	write := func() error { return r.SaveProgress(t.Context(), raced, run.Progress{}) }
	const lock = `('x' || '00636f747261696e')::bit(64)::bigint`
	other, err := r.raw.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	takeOver := func() {
		taking := start(func() error {
			_, err := other.ExecContext(context.Background(), `SELECT pg_advisory_lock(`+lock+`)`)
			return err
		})
		r.waiting(1)
		r.exec(`SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`)
		r.end(taking)
		r.until("nothing is written", func() bool { return unavailable(write()) })
	}
	takeOver()
	if _, err := r.Run(t.Context(), raced); err != nil {
		t.Errorf("reading: %v", err)
	}
	if _, err := other.ExecContext(t.Context(), `SELECT pg_advisory_unlock(`+lock+`)`); err != nil {
		t.Fatal(err)
	}
	r.until("writes go on", func() bool { return write() == nil })
	select {
	case err := <-r.Gone():
		t.Error(err)
	default:
	}

	takeOver()
	if _, err := other.ExecContext(t.Context(), `UPDATE console SET token = 'another'`); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-r.Gone():
		told(t, "another took it", err, fault.ErrInUse, "Another console has taken the database")
	case <-time.After(patience):
		t.Fatal("nobody says that the database is gone")
	}
	if _, err := other.ExecContext(t.Context(), `SELECT pg_advisory_unlock(`+lock+`)`); err != nil {
		t.Fatal(err)
	}
	told(t, "a write afterwards", write(), fault.ErrStoreUnavailable, "Another console has taken the database")
}
