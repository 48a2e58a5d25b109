// Package store persists runs and their history. All SQL is here and below: it stands on db (SQLite: WAL, one writer,
// several readers) and embeds points for metrics; storetest is the suite for any implementation. Raw log lines are rows
// until a run has about 1 MiB of them, then a compressed block in the archive.
package store
