package db

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"net/url"
	"os"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/cotrain/cotrain/internal/fault"
)

// readers is the number of concurrent queries.
const readers = 4

func openSQLite(ctx context.Context, o Options, prepare func(*DB) error) (*DB, error) {
	mode, readOnly := "mode=rwc", "&_pragma=query_only(1)"
	if o.existing {
		mode = "mode=rw"
	}
	if _, err := os.Stat(o.File); o.existing && errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.ErrNotFound, "There is no database "+o.File+".", "Check the data folder.")
	}
	if o.reading { // and not mode=ro, which would leave files behind
		mode += readOnly
	}
	write, err := sql.Open("sqlite", sqliteDSN(o.File, mode+"&_txlock=immediate"))
	if err != nil {
		return nil, err
	}
	write.SetMaxOpenConns(1)
	d := &DB{dialect: sqliteDialect, file: o.File, twice: o.Twice, wrote: o.Wrote, write: write, stmts: &statements{db: write, byQuery: map[string]*sql.Stmt{}}}
	if err := prepare(d); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	if d.read, err = sql.Open("sqlite", sqliteDSN(o.File, mode+readOnly)); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	d.read.SetMaxOpenConns(readers)
	d.read.SetMaxIdleConns(readers)
	if err := write.QueryRowContext(ctx, `SELECT sqlite_version()`).Scan(&d.version); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// sqliteDSN sets what every connection needs. With synchronous NORMAL a killed process loses nothing; a power cut can lose
// the last moments, which are read from Nomad again since the cursors roll back too.
func sqliteDSN(file, more string) string {
	return "file:" + (&url.URL{Path: file}).EscapedPath() +
		"?_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_pragma=busy_timeout(5000)&_pragma=cache_size(-8000)&_pragma=wal_autocheckpoint(8000)&" + more
}

// sqliteKind is what an error of SQLite means, "" for nothing that others know.
func sqliteKind(e *sqlite.Error) fault.Kind {
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		return fault.ErrFull
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return fault.ErrDamaged
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_BUSY:
		return fault.ErrStoreUnavailable
	case sqlite3.SQLITE_CONSTRAINT:
		return fault.ErrConflict
	}
	return ""
}
