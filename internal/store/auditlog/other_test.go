package auditlog_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/auditlog"
	"github.com/cotrain/cotrain/internal/store/db"
	"github.com/cotrain/cotrain/internal/store/pgtest"
)

// TestOtherProcessesAndRollbacksLeaveOneChain has two processes change things in turns, in which each believes that it knows where the log ends.
func TestOtherProcessesAndRollbacksLeaveOneChain(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]func(testing.TB) string{"SQLite": func(testing.TB) string { return "" }, "PostgreSQL": pgtest.URL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one, other := beside(t, url(t))
			dbs := []*db.DB{one, other}
			r := rand.New(rand.NewPCG(3, 4))
			appended := 0
			for n := range 400 {
				d := dbs[r.IntN(2)]
				var err error
				switch r.IntN(8) {
				case 0:
					if err = change(t, d, n, errUndone); errors.Is(err, errUndone) {
						err = nil
					}
				case 1:
					err = auditlog.New(d).AppendAlone(t.Context(), audit.Entry{Action: "login", Request: fmt.Sprint(n)})
					appended++
				case 2:
					_, err = auditlog.New(d).Index(t.Context())
				case 3:
					if r.IntN(4) > 0 {
						break
					}
					time.Sleep(2 * time.Millisecond) // so that all that was appended is older
					var removed int64
					if removed, err = auditlog.New(d).Cut(t.Context(), time.Now(), nil); removed > 0 {
						appended++
					}
				default:
					err = change(t, d, n, nil)
					appended++
				}
				if err != nil {
					t.Fatal(n, err)
				}
			}
			v := auditlog.New(one).NewVerification()
			if done, err := v.Next(t.Context(), 10_000); err != nil || !done {
				t.Fatal(done, err)
			}
			if got := v.Verdict(); !got.OK() || got.Last != int64(appended) {
				t.Errorf("%d were appended: %+v", appended, got)
			}
		})
	}
}

func TestChangesAtOnceOfTwoProcessesLeaveOneChain(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]func(testing.TB) string{"SQLite": func(testing.TB) string { return "" }, "PostgreSQL": pgtest.URL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one, other := beside(t, url(t))
			var all sync.WaitGroup
			const each = 40
			for i, d := range []*db.DB{one, other, one, other} {
				all.Go(func() {
					for n := range each {
						if err := change(t, d, i*each+n, nil); err != nil {
							t.Error(err)
						}
					}
				})
			}
			all.Wait()
			v := auditlog.New(one).NewVerification()
			if done, err := v.Next(t.Context(), 10_000); err != nil || !done {
				t.Fatal(done, err)
			}
			if got := v.Verdict(); !got.OK() || got.Entries != 4*each {
				t.Errorf("%+v", got)
			}
		})
	}
}

// beside opens a database twice, as a console and a command beside it do.
func beside(t *testing.T, url string) (one, other *db.DB) {
	t.Helper()
	dir := t.TempDir()
	s, err := store.OpenAt(t.Context(), dir, db.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	for _, d := range []**db.DB{&one, &other} {
		*d, err = store.OpenBeside(t.Context(), store.Address{Folder: dir, Database: db.Options{URL: url}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = (*d).Close() })
	}
	return one, other
}

var errUndone = errors.New("undone")

// change changes something with its entry, unless it fails.
func change(t *testing.T, d *db.DB, n int, fail error) error {
	t.Helper()
	ctx, p := audit.Begin(context.Background(), audit.Entry{Action: string(access.RunsStop), Request: fmt.Sprint(n)})
	err := d.Write(ctx, func(tx *db.Tx) error {
		if err := auditlog.Append(ctx, tx, "run:r-1", "", nil, map[string]int{"n": n}); err != nil {
			return err
		}
		return fail
	})
	if p.Recorded() != (err == nil) {
		t.Errorf("recorded: %v, %v", p.Recorded(), err)
	}
	return err
}

// TestChangesThatVanishAreMissed removes the newest entries, which changes have appended, before the log's end was noted and after.
func TestChangesThatVanishAreMissed(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]func(testing.TB) string{"SQLite": func(testing.TB) string { return "" }, "PostgreSQL": pgtest.URL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one, other := beside(t, url(t))
			for n := range 10 {
				if err := change(t, one, n, nil); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := auditlog.New(one).Index(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := other.Exec(t.Context(), `DELETE FROM audit WHERE seq > 8`); err != nil {
				t.Fatal(err)
			}
			for _, d := range []*db.DB{nil, other, one} { // whoever goes on gives no number again
				if d != nil {
					if err := change(t, d, 11, nil); err != nil {
						t.Fatal(err)
					}
				}
				v := auditlog.New(one).NewVerification()
				if done, err := v.Next(t.Context(), 100); err != nil || !done {
					t.Fatal(done, err)
				}
				if got := v.Verdict().Findings(); !strings.HasPrefix(got, "Entries 9 to 10 are missing") {
					t.Errorf("found %q", got)
				}
			}
		})
	}
}
