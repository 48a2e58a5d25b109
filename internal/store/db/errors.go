package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"

	"github.com/cotrain/cotrain/internal/fault"
)

// MapError turns the drivers' errors into faults where one fits.
func MapError(err error) error {
	var kind fault.Kind
	var lite *sqlite.Error
	var pg *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return fault.ErrNotFound
	case errors.As(err, &lite):
		kind = sqliteKind(lite)
	case errors.As(err, &pg):
		kind = postgresKind(pg)
	case lost(err):
		kind = fault.ErrStoreUnavailable
	}
	switch {
	case kind == "" || errors.Is(err, kind):
		return err
	case kind == fault.ErrConflict: // the caller knows which kind
		return fmt.Errorf("%w: %w", err, kind)
	}
	if lite == nil && kind == fault.ErrStoreUnavailable {
		return fault.New(kind, "The console cannot reach its PostgreSQL database, or not write it.", "Check that the database is running and reachable (database.url); the console keeps trying.").Because(err)
	}
	return kind.Fault().Because(err)
}

// lost reports whether the connection to the database broke, or could not be made.
func lost(err error) bool {
	var network net.Error
	var connect *pgconn.ConnectError
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded) && !errors.As(err, &connect):
		return false // the caller's wish
	}
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &network) || errors.As(err, &connect) ||
		errors.Is(err, net.ErrClosed) || pgconn.SafeToRetry(err) // that is of a connection that broke before
}

func diskFull(dir string, cause error) error {
	what := fmt.Sprintf("The disk that holds the console's data folder %s is full, so nothing can be stored.", dir)
	if dir == "" {
		what = "The disk of the PostgreSQL server is full, so nothing can be stored."
	}
	return fault.New(fault.ErrFull, what, "").Because(cause)
}
