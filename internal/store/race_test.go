package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/db"
	"github.com/cotrain/cotrain/internal/store/pgtest"
)

// patience is how long a test waits for what must come.
const patience = time.Minute

const raced = run.ID("r-0000000001")

// race is a store on PostgreSQL, and another session of the same database that stops the store's transactions where a test
// wants them: what is to meet does meet.
type race struct {
	*store.Store
	t   *testing.T
	raw *sql.DB
}

// begin makes a store with a run.
func begin(t *testing.T) *race {
	t.Helper()
	t.Parallel()
	url := pgtest.URL(t)
	r := &race{Store: openAt(t, db.Options{URL: url + "&deadlock_timeout=3s", MaxConns: 24}), t: t, raw: session(t, url)}
	r.create(raced)
	return r
}

// session is another client of the database, in the schema of the console.
func session(t *testing.T, url string) *sql.DB {
	t.Helper()
	raw, err := sql.Open("pgx", url+"&search_path=cotrain")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = raw.Close() })
	return raw
}

func openAt(t *testing.T, o db.Options) *store.Store {
	t.Helper()
	s, err := store.OpenAt(t.Context(), t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func (r *race) create(id run.ID) {
	r.t.Helper()
	if _, _, err := r.CreateRun(r.t.Context(), newRun(id), "", run.Event{RunID: id}); err != nil {
		r.t.Fatal(err)
	}
}

func newRun(id run.ID) run.Run {
	return run.Run{ID: id, Project: "default", Name: "a", State: run.Queued, Shape: run.Shape{Nodes: 1}}
}

// hold executes statements in a transaction of the other session, and undoes them at the call of the result.
func (r *race) hold(statements ...string) (release func()) {
	r.t.Helper()
	tx, err := r.raw.BeginTx(context.Background(), nil)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, q := range statements {
		if _, err := tx.ExecContext(r.t.Context(), q); err != nil {
			r.t.Fatalf("%s: %v", q, err)
		}
	}
	r.t.Cleanup(func() { _ = tx.Rollback() })
	return func() {
		if err := tx.Rollback(); err != nil {
			r.t.Error(err)
		}
	}
}

const lockRun = `SELECT 1 FROM runs WHERE id = '` + string(raced) + `' FOR UPDATE`

// ended lets all points be sealed.
const ended = `UPDATE runs SET state = '` + string(run.Succeeded) + `'`

// blocks stops who would write a table; it can be read.
func blocks(table string) string { return `LOCK TABLE ` + table + ` IN EXCLUSIVE MODE` }

// waiting returns once so many sessions wait for a lock.
func (r *race) waiting(n int) {
	r.t.Helper()
	r.until(fmt.Sprintf("%d sessions wait", n), func() bool {
		return r.ask(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`) >= n
	})
}

func (r *race) until(what string, is func() bool) {
	r.t.Helper()
	eventually(r.t, what, is)
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not so after %s: %s", patience, what)
		}
	}
}

func (r *race) ask(query string, args ...any) (n int) {
	r.t.Helper()
	if err := r.raw.QueryRowContext(context.Background(), query, args...).Scan(&n); err != nil {
		r.t.Fatalf("%s: %v", query, err)
	}
	return n
}

func (r *race) exec(statements ...string) {
	r.t.Helper()
	for _, q := range statements {
		if _, err := r.raw.ExecContext(context.Background(), q); err != nil {
			r.t.Fatalf("%s: %v", q, err)
		}
	}
}

// call is a call under way.
type call struct {
	done chan struct{}
	err  error
}

func start(f func() error) *call {
	c := &call{done: make(chan struct{})}
	go func() {
		defer close(c.done)
		c.err = f()
	}()
	return c
}

func (c *call) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// end waits for the end of calls, of which none may fail.
func (r *race) end(calls ...*call) {
	r.t.Helper()
	for i, err := range r.errors(calls...) {
		if err != nil {
			r.t.Errorf("call %d: %v", i, err)
		}
	}
}

func (r *race) errors(calls ...*call) []error {
	r.t.Helper()
	var all []error
	for i, c := range calls {
		select {
		case <-c.done:
			all = append(all, c.err)
		case <-time.After(patience):
			r.t.Fatalf("call %d does not end", i)
		}
	}
	return all
}

// blockedOrDone returns when a call waits for a lock, beside n others, or has ended.
func (r *race) blockedOrDone(c *call, n int) {
	r.t.Helper()
	r.until("a call waits or has ended", func() bool {
		return c.ended() || r.ask(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`) > n
	})
}
