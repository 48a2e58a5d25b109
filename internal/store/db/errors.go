package db

import (
	"database/sql"
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/cotrain/cotrain/internal/fault"
)

// MapError turns driver errors into faults where one fits.
func MapError(err error) error {
	var se *sqlite.Error
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return fault.ErrNotFound
	case !errors.As(err, &se):
		return err
	}
	var kind fault.Kind
	switch se.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		kind = fault.ErrFull
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		kind = fault.ErrDamaged
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_BUSY:
		kind = fault.ErrStoreUnavailable
	case sqlite3.SQLITE_CONSTRAINT:
		kind = fault.ErrConflict
	}
	switch {
	case kind == "" || errors.Is(err, kind):
		return err
	case kind == fault.ErrConflict: // the caller knows which kind
		return fmt.Errorf("%w: %w", err, kind)
	}
	return kind.Fault().Because(err)
}

func diskFull(dir string, cause error) error {
	return fault.New(fault.ErrFull, fmt.Sprintf("The disk that holds the console's data folder %s is full, so nothing can be stored.", dir), "").Because(cause)
}
