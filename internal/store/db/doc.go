// Package db is the database below the store, SQLite or PostgreSQL: connections, transactions, and the drivers' errors as
// faults. SQL itself is elsewhere, each statement once, in what both databases understand; dialect.go is the list of where
// they cannot agree.
//
// # Isolation
//
// SQLite has one writer, so that write transactions follow each other. PostgreSQL runs them side by side, each statement
// seeing what is committed (READ COMMITTED). They follow each other where it matters, because
//   - whoever writes what belongs to a run first locks the run's row ([Tx.Lock], or [Tx.Require] where a deleted run must
//     not come back in parts), several in the order of their IDs, and whoever changes a sweep that sweep's row: events, log
//     chunks and points of a run therefore have the order of their commits, and a cursor moves once;
//   - what is to be new rests on a unique key: idempotency keys, versions of templates, series;
//   - single statements that count up, merge or compare do so in the row itself.
//
// Each statement after a lock sees what was committed before the lock was had; what the statement that waited for it found
// is older, except for the locked rows themselves. Which transaction does what is listed in package store.
//
// A [Snapshot] is the database at one moment on both. A transaction that loses (a deadlock, a unique key taken meanwhile, a
// connection that broke before the commit was sent) is repeated a few times, so functions given to [DB.Write] must be
// repeatable. A commit without an answer is in doubt: it is not repeated, and told as such; what callers do again then
// (a submission with its key, a batch from the stored cursor, an update of the run as it is) is done once.
//
// # A server that is away
//
// Each wait for an answer is bounded in the connection itself, so every call ends, commits and roll-backs too. What a
// time-out ended is not repeated; what a broken connection ended is, and reads are. The console that has the database holds a
// lock on a connection of its own: while that is lost nothing is written, and if another console has had the lock in between
// this one never writes again.
package db
