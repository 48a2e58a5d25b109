package db

import (
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cotrain/cotrain/internal/fault"
)

// said is what an error of PostgreSQL means to people.
type said struct {
	kind      fault.Kind
	what, fix string
}

func (s said) Fault() *fault.Error { return fault.New(s.kind, s.what, s.fix) }

const goesOn = "; the console keeps trying."

var (
	away     = said{fault.ErrStoreUnavailable, "The console cannot reach its PostgreSQL server.", "Check that the server runs and can be reached (database.url)" + goesOn}
	crowded  = said{fault.ErrStoreUnavailable, "Other writes to the database were in the way of this one again and again.", "Try again in a moment."}
	readOnly = said{fault.ErrStoreUnavailable, "The PostgreSQL server only allows reading: it is a standby, or was made one.", "Make it the primary, or give the addresses of all servers with target_session_attrs=read-write" + goesOn}
	locked   = said{fault.ErrStoreUnavailable, "The PostgreSQL server does not let the console in, or not write.", "Check its user's password and rights, and that the database exists" + goesOn}
)

// codes are the errors that mean something to others, by SQLSTATE or its class; see appendix A of PostgreSQL's manual.
var codes = map[string]said{
	"08":    away, // connection
	"53":    {fault.ErrStoreUnavailable, "The PostgreSQL server has run out of memory or another resource.", "Look at its log" + goesOn},
	"53100": {fault.ErrFull, "The disk of the PostgreSQL server is full, so nothing can be stored.", "Free space there; the console continues by itself once there is room."},
	"53300": {fault.ErrStoreUnavailable, "The PostgreSQL server has no connection left for the console.", "Allow more there (max_connections, or its user's CONNECTION LIMIT), or fewer here (database.max_connections)" + goesOn},
	"57P":   away, // shutting down, crashed, starting, idle too long
	"57014": {fault.ErrStoreUnavailable, "The PostgreSQL server cancelled this: it took too long, or someone cancelled it.", "Try again in a moment; if it persists, look at what else the server does."},
	"58":    {fault.ErrStoreUnavailable, "The PostgreSQL server cannot read or write its files.", "Look at its log" + goesOn},
	"25P03": away, // idle in a transaction
	"25006": readOnly,
	"28":    locked,
	"3D000": locked,
	"42501": locked,
	"40001": crowded, // serialization failure
	"40P01": crowded, // deadlock
	"55P03": crowded, // lock not available
	"23505": {kind: fault.ErrConflict},
	"54000": {fault.ErrInvalid, "A text is too long for the database.", "Use a shorter one."},
	"XX001": {fault.ErrDamaged, "The PostgreSQL server says that its data is damaged.", "Stop the console, and restore the database from a backup."},
	"XX002": {fault.ErrDamaged, "The PostgreSQL server says that one of its indexes is damaged.", "Stop the console, and rebuild them: REINDEX DATABASE ... ."},
}

func postgresFault(e *pgconn.PgError) *fault.Error {
	for _, n := range []int{5, 3, 2} {
		if s, ok := codes[e.Code[:min(n, len(e.Code))]]; ok {
			return s.Fault()
		}
	}
	return nil
}

// code is the SQLSTATE of an error of PostgreSQL, or "".
func code(err error) string {
	if pg := (*pgconn.PgError)(nil); errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// lost reports whether the connection to the database broke, or could not be made.
func lost(err error) bool {
	var network net.Error
	var connect *pgconn.ConnectError
	return !cancelled(err) && (pgconn.SafeToRetry(err) || errors.Is(err, pgconn.ErrConnClosed) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || errors.As(err, &network) || errors.As(err, &connect))
}

// hung reports whether the server did not answer in time: to wait for it once is enough.
func hung(err error) bool {
	var network net.Error
	return errors.As(err, &network) && network.Timeout()
}

// staleConns reports whether other connections may be as bad as this one: to a server that ended, or became a standby.
func staleConns(err error) bool {
	return code(err) == "25006" || strings.HasPrefix(code(err), "57P") || lost(err)
}

// uniqueTries is how often a transaction is tried that found a unique key taken: by another one, which has committed.
const uniqueTries = 2

// postgresRepeatable is true for a transaction that lost to another one, or whose connection broke: what fails before the
// commit has not happened.
func postgresRepeatable(err error, try int) bool {
	switch c := code(err); c {
	case "23505":
		return try < uniqueTries
	case "25P03":
		return true
	case "":
		return lost(err) && !hung(err)
	default:
		return postgresUndone(err, try) || strings.HasPrefix(c, "57P") || strings.HasPrefix(c, "08")
	}
}

// postgresUndone is true where the server surely did nothing.
func postgresUndone(err error, _ int) bool {
	switch code(err) {
	case "40001", "40P01", "25006":
		return true
	}
	var connect *pgconn.ConnectError
	return errors.As(err, &connect) && !cancelled(err) && !hung(err)
}

// postgresUncertain is true for the error of a commit unless the server says that it did not commit. One that ends the
// session may come after the commit.
func postgresUncertain(err error) bool {
	if pg := (*pgconn.PgError)(nil); errors.As(err, &pg) {
		return pg.SeverityUnlocalized != "ERROR"
	}
	return !cancelled(err) && !pgconn.SafeToRetry(err) && !errors.Is(err, pgx.ErrTxCommitRollback)
}
