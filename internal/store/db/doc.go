// Package db is the database below the store, SQLite or PostgreSQL: connections, transactions, and the drivers' errors as
// faults. SQL itself is elsewhere, each statement once, in what both databases understand; dialect.go is the list of where
// they cannot agree.
//
// # Isolation
//
// SQLite has one writer, so that write transactions follow each other. PostgreSQL runs them side by side, each statement
// seeing what is committed (READ COMMITTED). They follow each other where it matters, because
//   - whoever writes what belongs to a run first locks the run's row with [Tx.Lock], several in the order of their IDs, and
//     whoever changes a sweep that sweep's row: events, log chunks and points of a run therefore have the order of their
//     commits, and a cursor moves once;
//   - what is to be new rests on a unique key: idempotency keys, versions of templates, series;
//   - single statements that count up, merge or compare do so in the row itself.
//
// A [Snapshot] is the database at one moment on both. A transaction that loses (a deadlock, a unique key taken meanwhile, a
// connection that broke before the commit was sent) is repeated, so functions given to [DB.Write] must be repeatable.
package db
