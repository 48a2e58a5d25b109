package store_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/pgtest"
)

// TestAUserOfPostgreSQLMayBeReplaced has users as Vault makes them: of a role that owns everything, and gone after a while.
func TestAUserOfPostgreSQLMayBeReplaced(t *testing.T) {
	t.Parallel()
	root := pgtest.URL(t)
	admin, err := pgx.Connect(t.Context(), root)
	must(t, err)
	t.Cleanup(func() { _ = admin.Close(t.Context()) })
	database := admin.Config().Database
	do := func(statements ...string) {
		t.Helper()
		for _, s := range statements {
			if _, err := admin.Exec(t.Context(), s); err != nil {
				t.Fatalf("%s: %v", s, err)
			}
		}
	}
	role := "owner_of_" + database
	user := func(n int) string { return fmt.Sprintf("v_%s_%d", database, n) }
	create := func(n int) {
		do(fmt.Sprintf(`CREATE ROLE %s LOGIN PASSWORD 'pass-%d' IN ROLE %s`, user(n), n, role), fmt.Sprintf(`ALTER ROLE %s SET role %s`, user(n), role))
	}
	do("CREATE ROLE "+role, fmt.Sprintf("GRANT CREATE ON DATABASE %s TO %s", database, role))
	create(1)
	var now atomic.Int64
	now.Store(1)
	o := on(root)
	o.Login = func() (name, password string) {
		n := int(now.Load())
		return user(n), fmt.Sprintf("pass-%d", n)
	}
	s, err := store.OpenAt(t.Context(), t.TempDir(), o)
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	stored := 0
	put := func() error {
		stored++
		id := run.ID(fmt.Sprintf("r-00000000%02d", stored))
		_, _, err := s.CreateRun(t.Context(), run.Run{ID: id, Project: "default", Name: "x", State: run.Queued, Config: "x = 1\n", Shape: run.Shape{Nodes: 1}}, "", run.Event{RunID: id})
		return err
	}
	must(t, put())
	create(2)
	now.Store(2)
	must(t, put())
	do(fmt.Sprintf(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '%s'`, user(1)), "DROP ROLE "+user(1))
	limit := time.Now().Add(time.Minute)
	for err = put(); err != nil && time.Now().Before(limit); err = put() { // the lock's connection comes back by itself
		time.Sleep(50 * time.Millisecond)
	}
	must(t, err)
	var users string
	must(t, admin.QueryRow(t.Context(), `SELECT string_agg(DISTINCT usename, ' ') FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()`, database).Scan(&users))
	if strings.TrimSpace(users) != user(2) {
		t.Errorf("connected are %q", users)
	}
}
