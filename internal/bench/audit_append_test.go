package bench

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/db"
	"github.com/cotrain/cotrain/internal/store/pgtest"
)

const (
	appendCallers = 64
	appendedEach  = 200
)

// BenchmarkAuditAppend appends entries one by one and by many callers at once, against the 10 000 a second that are wanted, and
// makes changes with their entries, against the same changes without, and against what one more row costs a transaction.
func BenchmarkAuditAppend(b *testing.B) {
	for range b.N {
		for _, d := range databases(b) {
			one := appended(b, d.store, 1)
			b.ReportMetric(one, "rows/s-one-by-one-"+d.name)
			many := appended(b, d.store, appendCallers)
			b.ReportMetric(many, "rows/s-together-"+d.name)
			b.ReportMetric(many/10_000, "ratio-of-10000/s-"+d.name+"(>=1)")
			without, with := changed(b, d.store)
			b.ReportMetric(without, "us-change-baseline-without-"+d.name)
			b.ReportMetric(with-without, "us-entry-in-change-"+d.name)
			b.ReportMetric(bareRow(b, d.name), "us-baseline-bare-row-in-change-"+d.name)
		}
	}
}

func anEntry(n int) audit.Entry {
	return audit.Entry{
		At: time.Now(), Actor: audit.Actor{User: "u-0123456789", Name: "ann", Session: "s-0123456789", Address: "10.0.0.7", Agent: "Mozilla/5.0 (X11; Linux x86_64)"},
		Request: fmt.Sprintf("%016x", n), Action: string(access.RunsStop), Project: "default", Subject: "run:r-0123456789",
	}
}

// appended is how many entries a second so many callers append.
func appended(b *testing.B, s *store.Store, callers int) float64 {
	b.Helper()
	n := appendedEach * max(1, appendCallers/callers/8)
	var all sync.WaitGroup
	began := time.Now()
	for range callers {
		all.Go(func() {
			for i := range n {
				if err := s.Audit.AppendAlone(b.Context(), anEntry(i)); err != nil {
					b.Error(err)
				}
			}
		})
	}
	all.Wait()
	return float64(n*callers) / time.Since(began).Seconds()
}

// changed is what submitting a run takes without and with an entry, in microseconds.
func changed(b *testing.B, s *store.Store) (without, with float64) {
	b.Helper()
	var took [2][]time.Duration
	for i := range 2 * sampled {
		ctx := b.Context()
		if i%2 == 1 {
			ctx, _ = audit.Begin(ctx, anEntry(i))
		}
		r := queued(i)
		began := time.Now()
		if _, _, err := s.CreateRun(ctx, r, "", run.Event{RunID: r.ID, At: time.Now(), Kind: "state", To: run.Queued, Rank: -1}); err != nil {
			b.Fatal(err)
		}
		took[i%2] = append(took[i%2], time.Since(began))
	}
	return micros50(took[0]), micros50(took[1])
}

// bareTables are one for a change, one of rows as the audit log has, and one that says whose the database is.
const bareTables = `-- +goose Up
CREATE TABLE console (id INTEGER PRIMARY KEY, token TEXT NOT NULL) STRICT;
CREATE TABLE small (n INTEGER PRIMARY KEY) STRICT;
CREATE TABLE bare (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, name TEXT NOT NULL, session TEXT NOT NULL, address TEXT NOT NULL, agent TEXT NOT NULL,
	request TEXT NOT NULL, action TEXT NOT NULL, project TEXT NOT NULL, subject TEXT NOT NULL, after_value TEXT NOT NULL, hash BLOB NOT NULL) STRICT;
`

// bareRow is what a row with the texts of an entry, in no chain, adds to a transaction of one row, in microseconds.
func bareRow(b *testing.B, name string) float64 {
	b.Helper()
	o := db.Options{File: filepath.Join(b.TempDir(), "bare.db")}
	if name == "postgresql" {
		o.URL = pgtest.URL(b)
	}
	d, err := db.Open(b.Context(), o, db.Migrations{Files: fstest.MapFS{"00012_bare.sql": {Data: []byte(bareTables)}}})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	after, hash := `{"name":"run","state":"queued","shape":"1x8","config_sha256":"`+strings.Repeat("0", 64)+`"}`, make([]byte, 32)
	var took [2][]time.Duration
	for i := range 2 * sampled {
		e := anEntry(i)
		began := time.Now()
		err := d.Write(b.Context(), func(tx *db.Tx) error {
			if _, err := tx.Exec(b.Context(), `INSERT INTO small (n) VALUES (?)`, i); err != nil || i%2 == 0 {
				return err
			}
			_, err := tx.Exec(b.Context(), `INSERT INTO bare (seq, at, name, session, address, agent, request, action, project, subject, after_value, hash) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)`,
				i, e.At.UnixMilli(), e.Actor.Name, e.Actor.Session, e.Actor.Address, e.Actor.Agent, e.Request, e.Action, e.Project, e.Subject, after, hash)
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
		took[i%2] = append(took[i%2], time.Since(began))
	}
	return micros50(took[1]) - micros50(took[0])
}
