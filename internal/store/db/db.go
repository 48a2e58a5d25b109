package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net/url"
	"path/filepath"
	"time"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver

	"github.com/cotrain/cotrain/internal/fault"
)

// DB is a SQLite database, safe for concurrent use.
type DB struct {
	dir         string
	write, read *sql.DB // SQLite has one writer
	stmts       statements
}

// readers is the number of concurrent queries.
const readers = 4

// Open opens or creates a database file and migrates it. It refuses a schema newer than the migrations.
func Open(ctx context.Context, file string, migrations fs.FS) (*DB, error) {
	write, err := sql.Open("sqlite", dsn(file, "_txlock=immediate"))
	if err != nil {
		return nil, err
	}
	write.SetMaxOpenConns(1)
	d := &DB{dir: filepath.Dir(file), write: write, stmts: statements{db: write, byQuery: map[string]*sql.Stmt{}}}
	if err := d.migrate(ctx, migrations); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	if d.read, err = sql.Open("sqlite", dsn(file, "_pragma=query_only(1)")); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	d.read.SetMaxOpenConns(readers)
	d.read.SetMaxIdleConns(readers)
	return d, nil
}

// dsn sets what every connection needs. With synchronous NORMAL a killed process loses nothing; a power cut can lose the
// last moments, which are read from Nomad again since the cursors roll back too.
func dsn(file, more string) string {
	return "file:" + (&url.URL{Path: file}).EscapedPath() +
		"?_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_pragma=busy_timeout(5000)&_pragma=cache_size(-8000)&_pragma=wal_autocheckpoint(8000)&" + more
}

func (d *DB) migrate(ctx context.Context, migrations fs.FS) error {
	p, err := goose.NewProvider(goose.DialectSQLite3, d.write, migrations)
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	have, want, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	if have > want {
		return fmt.Errorf("%w: its schema is version %d and this program knows up to %d: start a newer cotrain", fault.ErrConflict, have, want)
	}
	if have < want {
		if _, err := p.Up(ctx); err != nil {
			return fmt.Errorf("migrate: %w", err)
		}
	}
	return nil
}

// Close closes the database; commits are on disk.
func (d *DB) Close() error {
	errs := []error{d.stmts.close()}
	if d.read != nil {
		errs = append(errs, d.read.Close())
	}
	return errors.Join(append(errs, d.write.Close())...)
}

// Exec runs one statement in its own transaction.
func (d *DB) Exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	res, err := d.write.ExecContext(ctx, query, args...)
	return res, MapError(err)
}

// Query reads committed rows.
func (d *DB) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	rows, err := d.read.QueryContext(ctx, query, args...)
	return rows, MapError(err)
}

// QueryRow reads one committed row; none is [fault.ErrNotFound].
func (d *DB) QueryRow(ctx context.Context, query string, args ...any) Row {
	return Row{d.read.QueryRowContext(ctx, query, args...)}
}

// Snapshot is the database at one moment.
type Snapshot struct{ tx *sql.Tx }

// Read calls fn with a snapshot.
func (d *DB) Read(ctx context.Context, fn func(*Snapshot) error) error {
	tx, err := d.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return MapError(err)
	}
	defer func() { _ = tx.Rollback() }() // nothing to undo
	return MapError(fn(&Snapshot{tx}))
}

// Query reads the snapshot.
func (s *Snapshot) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	rows, err := s.tx.QueryContext(ctx, query, args...)
	return rows, MapError(err)
}

// QueryRow reads one row of the snapshot; none is [fault.ErrNotFound].
func (s *Snapshot) QueryRow(ctx context.Context, query string, args ...any) Row {
	return Row{s.tx.QueryRowContext(ctx, query, args...)}
}

// Prepare prepares a query until the snapshot ends.
func (s *Snapshot) Prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	st, err := s.tx.PrepareContext(ctx, query)
	return st, MapError(err)
}

// Querier reads: a [DB], a [Snapshot] or a [Tx].
type Querier interface {
	Query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRow(ctx context.Context, query string, args ...any) Row
}

// Scanner is a row.
type Scanner interface{ Scan(...any) error }

// Row is the one row of a query.
type Row struct{ row *sql.Row }

// Scan is sql.Row's, except that no row is [fault.ErrNotFound].
func (r Row) Scan(into ...any) error { return MapError(r.row.Scan(into...)) }

// Select returns a query's rows, read by scan.
func Select[T any](ctx context.Context, q Querier, scan func(Scanner) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return Collect(rows, scan)
}

// One scans a row of one column.
func One[T any](row Scanner) (v T, err error) {
	err = row.Scan(&v)
	return v, err
}

// Collect scans and closes rows.
func Collect[T any](rows *sql.Rows, scan func(Scanner) (T, error)) ([]T, error) {
	defer func() { _ = rows.Close() }()
	var out []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, MapError(rows.Err())
}

// Millis is a time as stored; see the migrations.
func Millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// FromMillis undoes [Millis].
func FromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// FromNull undoes SQLite's storing NaN as NULL.
func FromNull(v sql.NullFloat64) float64 {
	if !v.Valid {
		return math.NaN()
	}
	return v.Float64
}
