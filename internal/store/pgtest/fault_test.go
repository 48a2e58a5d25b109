package pgtest_test

import (
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cotrain/cotrain/internal/store/pgtest"
)

// code returns the SQLSTATE of an error.
func code(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// silent does something for which there is no answer, and returns a function that waits for one.
func silent(t *testing.T, do func() error) (wait func()) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- do() }()
	select {
	case err := <-done:
		t.Fatalf("there is an answer: %v", err)
	case <-time.After(100 * time.Millisecond): // an answer takes one
	}
	return func() {
		t.Helper()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("the late answer is %v", err)
			}
		case <-time.After(patience):
			t.Fatal("there is no late answer")
		}
	}
}

func do(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func TestAServerCrashesAndComesBackWithWhatWasCommitted(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t, pgtest.Setting("max_connections", "5"), pgtest.Setting("work_mem", "1MB"))
	conn := connect(t, s.URL())
	if got := ask[string](t, conn, "SELECT current_setting('max_connections') || current_setting('work_mem')"); got != "51MB" {
		t.Errorf("the settings are %q", got)
	}
	do(t, conn, "CREATE TABLE kept AS SELECT 1 AS id")
	do(t, conn, "BEGIN; INSERT INTO kept VALUES (2)")
	s.Stop()
	if _, err := conn.Exec(t.Context(), "COMMIT"); err == nil {
		t.Error("a stopped server commits")
	}
	if _, err := pgx.Connect(t.Context(), s.URL()); err == nil {
		t.Error("a stopped server accepts a connection")
	}
	for range 2 { // from a stop, and while it runs
		s.Restart()
		if n := ask[int](t, connect(t, s.URL()), "SELECT sum(id) FROM kept"); n != 1 {
			t.Errorf("the sum is %d", n)
		}
	}
}

func TestAPausedServerAcceptsAndNeverAnswers(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t)
	conn := connect(t, s.URL())
	do(t, conn, "CREATE TABLE kept (id int)")
	s.Pause()
	inserted := silent(t, func() error {
		_, err := conn.Exec(t.Context(), "INSERT INTO kept VALUES (1)")
		return err
	})
	connected := silent(t, func() error {
		conn, err := pgx.Connect(t.Context(), s.URL())
		if err == nil {
			err = conn.Close(t.Context())
		}
		return err
	})
	s.Resume()
	inserted()
	connected()
	s.Pause()
	s.Stop()
	s.Restart()
	if n := ask[int](t, connect(t, s.URL()), "SELECT count(*) FROM kept"); n != 1 {
		t.Errorf("%d rows after a crash", n)
	}
}

func TestADiskIsFullAndIsFreed(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t, pgtest.Disk(32))
	conn := connect(t, s.URL())
	do(t, conn, "CREATE TABLE filled (id int)")
	insert := func() error {
		_, err := conn.Exec(t.Context(), "INSERT INTO filled SELECT generate_series(1, 100000)")
		return err
	}
	s.FillDisk()
	if err := insert(); code(err) != "53100" {
		t.Errorf("with a full disk: %v", err)
	}
	if n := ask[int](t, conn, "SELECT count(*) FROM filled"); n != 0 {
		t.Errorf("%d rows are there", n)
	}
	s.FreeDisk()
	if err := insert(); err != nil {
		t.Errorf("with a disk that was freed: %v", err)
	}
	for err := error(nil); ; err = insert() { // 3.5 MiB each
		if code(err) == "53100" {
			break
		}
		if err != nil {
			t.Fatalf("filling it: %v", err)
		}
	}
}
