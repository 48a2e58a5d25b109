package store

import (
	"context"
	"fmt"
	"os"
)

// CannotOpen explains an error at the start.
var CannotOpen = cannotOpen

// LimitPages makes SQLite report a full disk once the database has this many pages; 0 lifts the limit.
func (s *Store) LimitPages(ctx context.Context, n int) error {
	if n == 0 {
		n = 1 << 30
	}
	_, err := s.db.Exec(ctx, fmt.Sprintf(`PRAGMA max_page_count = %d`, n))
	return err
}

// Failed is what is said of an error.
func (b *FileBlobs) Failed(doing string, err error) error { return b.failed(doing, err) }

// Lock returns the file that keeps other consoles from the folder.
func (s *Store) Lock() *os.File { return s.lock }

// Migrations are those of the store.
var Migrations = migrations

// Plan is how the database executes a statement, a line for each step.
func (s *Store) Plan(ctx context.Context, query string, args ...any) ([]string, error) {
	return s.db.Explain(ctx, query, args...)
}

// Exec executes a statement.
func (s *Store) Exec(ctx context.Context, query string, args ...any) error {
	_, err := s.db.Exec(ctx, query, args...)
	return err
}
