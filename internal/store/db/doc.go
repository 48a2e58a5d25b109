// Package db is the database below the store: one writing and several reading connections, prepared statements, and the
// driver's errors as faults. Only SQL itself is elsewhere.
package db
