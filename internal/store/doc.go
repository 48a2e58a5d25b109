// Package store keeps what was asked for and what happened: all SQL is here. The
// implementation is SQLite (WAL, one writer, several readers); storetest holds the
// suite that any other must pass. Raw log lines live as rows until a run has about
// a mebibyte of them, then as one compressed block in the archive. Points of
// metrics live as rows while they are the newest of their series, then in
// compressed chunks.
package store
