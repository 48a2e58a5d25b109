package auditlog_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/db"
	"github.com/cotrain/cotrain/internal/store/pgtest"
)

// entryOf is the nth of many.
func entryOf(r *rand.Rand, n int) audit.Entry {
	e := audit.Entry{
		Action: []string{"runs.stop", "runs.submit", "login"}[r.IntN(3)], Outcome: audit.Done, Project: []string{"llm", "vision", ""}[r.IntN(3)], Subject: fmt.Sprintf("run:r-%010d", n/2), Request: fmt.Sprintf("q%d", n),
		Actor: audit.Actor{Name: []string{"ann", "bob", "ci-bot"}[r.IntN(3)], Address: fmt.Sprintf("10.0.0.%d", r.IntN(4))},
	}
	if e.Actor.Name == "bob" && r.IntN(9) == 0 {
		e.Outcome, e.Reason = audit.Refused, "Needs the role Operator."
	}
	if n%700 == 3 {
		e.After = []byte(`{"name":"Größe-7B"}`)
	}
	return e
}

// TestASearchFindsWhatALookAtEachEntryFinds compares indexed and other rows with [audit.Filter.Matches].
func TestASearchFindsWhatALookAtEachEntryFinds(t *testing.T) {
	both(t, func(t *testing.T, s *store.Store) {
		r := rand.New(rand.NewPCG(1, 2))
		const n = 3000
		var middle time.Time
		for i := 0; i < n; i += 500 {
			var es []audit.Entry
			for j := range 500 {
				es = append(es, entryOf(r, i+j))
			}
			if i == n/2 {
				time.Sleep(2 * time.Millisecond) // so that a millisecond lies between
				middle = time.Now().Truncate(time.Millisecond)
			}
			if err := s.Audit.AppendAlone(t.Context(), es...); err != nil {
				t.Fatal(err)
			}
			if i < n-500 { // the newest rows are not indexed
				index(t, s)
			}
		}
		rows := all(t, s)
		for _, f := range []audit.Filter{
			{}, {Text: "größe"}, {Text: "7b"}, {Text: "größe-7b"}, {Text: "giraffe"}, {Text: "operator needs"}, {Text: "q77"}, {Text: "10.0.0.3 login"}, {Actor: "bob"}, {Actor: "bob", Outcome: audit.Refused}, {Actor: "ann", Outcome: audit.Refused},
			{Action: "login", Address: "10.0.0.1"}, {Subject: "run:r-0000000700"}, {Subject: "run:r-9"}, {Since: middle}, {Until: middle}, {Text: "größe", Until: middle}, {Actor: "bob", Since: middle}, {Since: time.Now().Add(time.Hour)},
			{Projects: []string{"llm"}}, {Projects: []string{"llm", "vision"}, Actor: "ann"}, {Projects: []string{"none"}}, {Before: 100}, {Before: 100, Actor: "ann"}, {Outcome: audit.Done, Text: "bob"}, {Text: "' OR 1=1 --"}, {Actor: "%"},
		} {
			if len(f.Projects) == 0 {
				f.AllProjects = true
			}
			var want, got []int64
			for i := len(rows) - 1; i >= 0; i-- {
				if f.Matches(rows[i].Entry) && (f.Before == 0 || rows[i].Seq < f.Before) {
					want = append(want, rows[i].Seq)
				}
			}
			for g, more := f, true; more; {
				g.Limit = 70
				p, err := s.Audit.Search(t.Context(), g)
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range p.Rows {
					got = append(got, r.Seq)
				}
				more, g.Before = p.Next != 0, p.Next
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%+v: found %d, want %d", f, len(got), len(want))
			}
			exported := 0
			if err := s.Audit.Export(t.Context(), f, func(audit.Row, audit.Hash) error { exported++; return nil }); err != nil || exported != len(want) {
				t.Errorf("%+v: exported %d, want %d: %v", f, exported, len(want), err)
			}
		}
		for _, f := range []audit.Filter{{Text: "ann"}, {Projects: []string{}}} { // of nobody who may see anything
			if p, err := s.Audit.Search(t.Context(), f); err != nil || len(p.Rows) != 0 || p.Next != 0 {
				t.Errorf("%+v, %v", p, err)
			}
		}
	})
}

func index(t *testing.T, s *store.Store) {
	t.Helper()
	for more := true; more; {
		var err error
		if more, err = s.Audit.Index(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// raw is another client of the database.
func raw(t *testing.T, url, dir string) *sql.DB {
	t.Helper()
	driver, name := "sqlite", filepath.Join(dir, "cotrain.db")+"?_pragma=busy_timeout(5000)"
	if url != "" {
		driver, name = "pgx", url+"&search_path=cotrain"
	}
	conn, err := sql.Open(driver, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func TestTamperingIsFoundAndNamed(t *testing.T) {
	t.Parallel()
	for what, test := range map[string]struct{ q, want string }{
		"a text":       {`UPDATE audit SET name = 'eve' WHERE seq = 700`, "Entry 700 was changed."},
		"a time":       {`UPDATE audit SET at = at + 1 WHERE seq = 3`, "Entry 3 was changed."},
		"a hash":       {`UPDATE audit SET hash = (SELECT hash FROM audit WHERE seq = 1) WHERE seq = 4`, "Entry 4 was changed. And 1 more."},
		"one row":      {`DELETE FROM audit WHERE seq = 700`, "Entry 700 is missing."},
		"some rows":    {`DELETE FROM audit WHERE seq BETWEEN 5 AND 600`, "Entries 5 to 600 are missing."},
		"the first":    {`DELETE FROM audit WHERE seq < 3`, "Entries 1 to 2 are missing."},
		"the last":     {`DELETE FROM audit WHERE seq > 990`, "Entries 991 to 1000 are missing at the end."},
		"a new row":    {`INSERT INTO audit SELECT seq + 1000, at, logged, user_id, name, token, session, address, agent, request, action, project, subject, outcome, reason, before_value, after_value, hash FROM audit WHERE seq = 1`, "Entry 1001 was changed."},
		"moved rows":   {`UPDATE audit SET name = CASE WHEN seq = 8 THEN 'x' ELSE 'y' END WHERE seq IN (8, 9)`, "Entry 8 was changed. And 1 more."},
		"a forged cut": {`UPDATE audit_head SET cut_seq = 10, cut_hash = (SELECT hash FROM audit WHERE seq = 10)`, "The log begins with entry 11, and no entry says"},
	} {
		for database, url := range map[string]func() string{"SQLite": func() string { return "" }, "PostgreSQL": func() string { return pgtest.URL(t) }} {
			t.Run(what+" in "+database, func(t *testing.T) {
				t.Parallel()
				dir, url := t.TempDir(), url()
				s, err := store.OpenAt(t.Context(), dir, db.Options{URL: url})
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = s.Close() }()
				r := rand.New(rand.NewPCG(1, 2))
				var es []audit.Entry
				for i := range 1000 {
					es = append(es, entryOf(r, i))
				}
				if err := s.Audit.AppendAlone(t.Context(), es...); err != nil {
					t.Fatal(err)
				}
				if v := verdict(t, s); !v.OK() || v.Entries != 1000 {
					t.Fatalf("%+v", v)
				}
				if _, err := raw(t, url, dir).ExecContext(t.Context(), test.q); err != nil {
					t.Fatal(err)
				}
				if got := verdict(t, s).Findings(); !strings.HasPrefix(got, test.want) {
					t.Errorf("found %q, want %q", got, test.want)
				}
			})
		}
	}
}

func TestRetentionLeavesAChain(t *testing.T) {
	both(t, func(t *testing.T, s *store.Store) {
		r := rand.New(rand.NewPCG(1, 2))
		appendSome := func(n int) {
			var es []audit.Entry
			for i := range n {
				es = append(es, entryOf(r, i))
			}
			if err := s.Audit.AppendAlone(t.Context(), es...); err != nil {
				t.Fatal(err)
			}
			index(t, s)
		}
		appendSome(12_000)
		time.Sleep(2 * time.Millisecond)
		cut := time.Now()
		time.Sleep(2 * time.Millisecond)
		appendSome(600)
		if err := s.Audit.SetForwarded(t.Context(), "webhook", 500); err != nil {
			t.Fatal(err)
		}
		if n, err := s.Audit.Cut(t.Context(), cut, []string{"webhook"}); err != nil || n != 500 {
			t.Errorf("with a webhook that has 500: %d, %v", n, err)
		}
		if n, err := s.Audit.Cut(t.Context(), cut, nil); err != nil || n != 11_500 {
			t.Errorf("%d, %v", n, err)
		}
		if n, err := s.Audit.Cut(t.Context(), cut, nil); err != nil || n != 0 {
			t.Errorf("again: %d, %v", n, err)
		}
		v := verdict(t, s)
		if !v.OK() || v.First != 12_001 || v.Entries != 603 {
			t.Errorf("%+v: %s", v, v.Findings())
		}
		var lines audit.Verifier
		err := s.Audit.Export(t.Context(), audit.Filter{AllProjects: true}, func(r audit.Row, prev audit.Hash) error {
			l, ok := audit.ParseLine(audit.AppendLine(nil, prev, r.Entry, r.Hash))
			if !ok {
				t.Error("no line")
			}
			lines.Add(l)
			return nil
		})
		if v := lines.Verdict(); err != nil || !v.OK() || v.Entries != 603 {
			t.Errorf("exported: %+v, %v", v, err)
		}
		p, err := s.Audit.Search(t.Context(), audit.Filter{AllProjects: true, Text: "retention", Limit: 9})
		if err != nil || len(p.Rows) != 3 || p.Rows[0].Actor.Name != audit.Console {
			t.Errorf("%+v, %v", p, err)
		}
	})
}

func TestCallersAtTheSameTimeShareTransactions(t *testing.T) {
	both(t, func(t *testing.T, s *store.Store) {
		var wg sync.WaitGroup
		const n = 200
		for i := range n {
			wg.Go(func() {
				if err := s.Audit.AppendAlone(context.Background(), audit.Entry{Action: "login", Subject: fmt.Sprint(i), Outcome: audit.Refused}); err != nil {
					t.Error(err)
				}
			})
		}
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		wg.Go(func() { _ = s.Audit.AppendAlone(cancelled) })
		wg.Wait()
		seen := map[string]bool{}
		for _, r := range all(t, s) {
			seen[r.Subject] = true
		}
		if v := verdict(t, s); !v.OK() || v.Entries != n || len(seen) != n {
			t.Errorf("%+v, %d subjects", v, len(seen))
		}
	})
}
