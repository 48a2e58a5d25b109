package pgtest_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/cotrain/cotrain/internal/store/pgtest"
)

func TestAProxyForwardsWhatIsLargeAndWhatIsLate(t *testing.T) {
	t.Parallel()
	p := pgtest.NewProxy(t, pgtest.URL(t))
	conn := connect(t, p.URL())
	large := strings.Repeat("é", 1<<20)
	var back string
	if err := conn.QueryRow(t.Context(), "SELECT $1", large).Scan(&back); err != nil || back != large {
		t.Fatalf("%d bytes come back as %d: %v", len(large), len(back), err)
	}

	p.Hang()
	asked := silent(t, func() error { return conn.QueryRow(t.Context(), "SELECT $1", "late").Scan(&back) })
	connected := silent(t, func() error {
		conn, err := pgx.Connect(t.Context(), p.URL())
		if err == nil {
			err = conn.Close(t.Context())
		}
		return err
	})
	p.Restore()
	asked()
	connected()
	if back != "late" {
		t.Errorf("the late answer is %q", back)
	}
}

func TestACutProxyClosesAndRefusesUntilItIsRestored(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	p, other := pgtest.NewProxy(t, url), pgtest.NewProxy(t, url)
	watcher, beside := connect(t, url), connect(t, other.URL())
	for _, first := range []func(){func() {}, p.Hang} {
		conn := connect(t, p.URL())
		pid := conn.PgConn().PID()
		first()
		p.Cut()
		if _, err := conn.Exec(t.Context(), "SELECT 1"); err == nil {
			t.Error("a query passes")
		}
		if _, err := pgx.Connect(t.Context(), p.URL()); err == nil || !strings.Contains(err.Error(), "connection refused") {
			t.Errorf("a new connection: %v", err)
		}
		eventually(t, "the server has noticed", func() bool {
			var n int
			if err := watcher.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE pid = $1", pid).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n == 0
		})
		p.Restore()
		ask[int](t, connect(t, p.URL()), "SELECT 1")
	}
	ask[int](t, beside, "SELECT 1")
}

func TestACommitIsCutBeforeTheServerHasItOrAfter(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	direct := connect(t, url)
	do(t, direct, "CREATE TABLE kept (id int)")
	commit := func(message []byte) bool { return message[0] == 'Q' && bytes.Contains(message, []byte("commit")) }
	for _, c := range []struct {
		name string
		cut  func(*pgtest.Proxy) <-chan struct{}
		kept int
	}{
		{"before", func(p *pgtest.Proxy) <-chan struct{} { return p.CutBefore(commit) }, 0},
		{"after", func(p *pgtest.Proxy) <-chan struct{} { return p.CutAfter(commit) }, 1},
	} {
		do(t, direct, "TRUNCATE kept")
		p := pgtest.NewProxy(t, url)
		beside := connect(t, p.URL())
		sprung := c.cut(p)
		insert := func() error {
			tx, err := connect(t, p.URL()).Begin(t.Context())
			if err != nil {
				return err
			}
			if _, err := tx.Exec(t.Context(), "INSERT INTO kept VALUES (1)"); err != nil {
				t.Errorf("cut too early: %v", err)
			}
			return tx.Commit(t.Context())
		}
		if err := insert(); err == nil {
			t.Errorf("cut %s: the client has an answer", c.name)
		}
		<-sprung
		if n := ask[int](t, direct, "SELECT count(*) FROM kept"); n != c.kept {
			t.Errorf("cut %s: %d rows, want %d", c.name, n, c.kept)
		}
		ask[int](t, beside, "SELECT 1")
		if err := insert(); err != nil {
			t.Errorf("cut %s: and again: %v", c.name, err)
		}
	}
}
