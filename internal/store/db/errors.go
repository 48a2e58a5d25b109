package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"

	"github.com/cotrain/cotrain/internal/fault"
)

// unknown is the error of a commit, which may have succeeded.
type unknown struct{ error }

func (u unknown) Unwrap() error { return u.error }

// MapError turns the drivers' errors into faults where one fits.
func MapError(err error) error {
	var told *fault.Error
	var lite *sqlite.Error
	var pg *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return fault.ErrNotFound
	case errors.As(err, &unknown{}):
		told = fault.New(fault.ErrStoreUnavailable, "The connection to the PostgreSQL server broke while this was being stored, so it may be stored or not.", "Look whether it is there before you do it again.")
	case errors.As(err, &lite):
		if kind := sqliteKind(lite); kind != "" {
			told = kind.Fault()
		}
	case errors.As(err, &pg):
		told = postgresFault(pg)
	case lost(err):
		if told = untrusted(err); told == nil {
			told = away.Fault()
		}
	}
	switch {
	case told == nil || errors.Is(err, told.Kind):
		return err
	case told.Kind == fault.ErrConflict: // the caller knows which kind
		return fmt.Errorf("%w: %w", err, fault.ErrConflict)
	}
	return told.Because(err)
}

// explain is [MapError] for what was to be written.
func (d *DB) explain(err error) error {
	err = MapError(err)
	if f := (*fault.Error)(nil); d.file != "" && errors.Is(err, fault.ErrFull) && errors.As(err, &f) {
		return fault.New(fault.ErrFull, fmt.Sprintf("The disk that holds the console's data folder %s is full, so nothing can be stored.", filepath.Dir(d.file)), "").Because(f.Unwrap())
	}
	return err
}

// cancelled reports whether the caller ended the call.
func cancelled(err error) bool {
	var connect *pgconn.ConnectError // has a time-out of its own
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) && !errors.As(err, &connect)
}
