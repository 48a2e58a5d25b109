// Package db is the database below the store: one connection that writes, several that read, statements prepared once, and
// the driver's errors as faults. All that is SQLite's alone is here, but for the SQL itself.
package db
