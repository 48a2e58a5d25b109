// Package store keeps what was asked for and what happened: all SQL is here and
// below. It stands on db (SQLite: WAL, one writer, several readers) and embeds
// points, which keeps the points of metrics; storetest holds the suite that any
// other implementation must pass. Raw log lines live as rows until a run has about a
// mebibyte of them, then as one compressed block in the archive.
package store
