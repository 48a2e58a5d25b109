package db

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/store/pgtest"
)

// small is a schema of one table, and that of the lock.
var small fs.FS = fstest.MapFS{"00001_small.sql": {Data: []byte("CREATE TABLE console (id INTEGER PRIMARY KEY, token TEXT NOT NULL);\nCREATE TABLE notes (id INTEGER PRIMARY KEY);")}}

const second = time.Second

func openSmall(t *testing.T, url string) *DB {
	t.Helper()
	d, err := Open(t.Context(), Options{URL: url, ConnectTimeout: second, Timeout: second}, Migrations{Files: small})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// TestEachPartOfATransactionEndsThoughTheServerHangs has the server hang before one part of a transaction.
func TestEachPartOfATransactionEndsThoughTheServerHangs(t *testing.T) {
	t.Parallel()
	network := pgtest.NewProxy(t, pgtest.URL(t))
	d := openSmall(t, network.URL())
	insert := func(tx *Tx) error {
		_, err := tx.Exec(context.Background(), `INSERT INTO notes (id) VALUES (?)`, time.Now().UnixNano())
		return err
	}
	boom := errors.New("boom")
	for part, test := range map[string]struct {
		begin bool
		fn    func(tx *Tx) error
		words string
	}{
		"begin":     {true, insert, "cannot reach"},
		"statement": {false, func(tx *Tx) error { network.Hang(); return insert(tx) }, "cannot reach"},
		"commit":    {false, func(tx *Tx) error { defer network.Hang(); return insert(tx) }, "may be stored or not"},
		"rollback":  {false, func(tx *Tx) error { defer network.Hang(); return errors.Join(insert(tx), boom) }, ""},
	} {
		network.Restore()
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) { // the connections of the last part are closed
			if err := d.Write(t.Context(), insert); err == nil {
				break
			} else if time.Now().After(deadline) {
				t.Fatal(err)
			}
		}
		if test.begin {
			network.Hang()
		}
		calls := 0
		err := d.Write(context.Background(), func(tx *Tx) error { calls++; return test.fn(tx) })
		switch f := fault.Of(err); {
		case part == "rollback":
			if !errors.Is(err, boom) {
				t.Errorf("%s: %v", part, err)
			}
		case f.Kind != fault.ErrStoreUnavailable || !strings.Contains(f.What, test.words):
			t.Errorf("%s: %v", part, err)
		}
		if calls > 1 {
			t.Errorf("%s: the transaction was tried %d times", part, calls)
		}
	}
}

func TestAServerIsRefusedWithWhatToDo(t *testing.T) {
	t.Parallel()
	good := server{version: "15.4", number: 150004, encoding: "UTF8"}
	if why, fix := good.refused(); why != "" || fix != "" {
		t.Errorf("a good one %s: %s", why, fix)
	}
	for words, change := range map[string]func(*server){
		"needs 15 or newer":   func(s *server) { s.version, s.number = "14.11", 140011 },
		"the encoding LATIN1": func(s *server) { s.encoding = "LATIN1" },
		"is a standby":        func(s *server) { s.standby = true },
		"only allows reading": func(s *server) { s.readOnly = true },
	} {
		bad := good
		change(&bad)
		if why, fix := bad.refused(); !strings.Contains(why, words) || fix == "" {
			t.Errorf("want %q: it %s: %s", words, why, fix)
		}
	}
}

func TestACommitIsInDoubtUnlessTheServerSaysThatItFailed(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]bool{
		&pgconn.PgError{Code: "40001", SeverityUnlocalized: "ERROR"}: false,
		&pgconn.PgError{Code: "53100", SeverityUnlocalized: "ERROR"}: false,
		&pgconn.PgError{Code: "57P01", SeverityUnlocalized: "FATAL"}: true, // perhaps after the commit
		&pgconn.PgError{Code: "53100", SeverityUnlocalized: "PANIC"}: true,
		errors.New("unexpected EOF"):                                 true,
		context.Canceled:                                             false, // its caller has gone
	} {
		if got := postgresUncertain(err); got != want {
			t.Errorf("%v: %v, want %v", err, got, want)
		}
	}
}
