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

// SetPointsPerChunk makes chunks small enough for a test; as many of the newest points stay rows.
func (s *Store) SetPointsPerChunk(n int) { s.sealer.perChunk, s.sealer.keep = n, n }

// CountPoints returns how many points are rows, and how many chunks there are.
func (s *Store) CountPoints(ctx context.Context) (rows, chunks int, err error) {
	err = s.db.QueryRow(ctx, `SELECT (SELECT count(*) FROM points), (SELECT count(*) FROM point_chunks)`).Scan(&rows, &chunks)
	return rows, chunks, err
}

// Lock returns the file that keeps other consoles from the folder.
func (s *Store) Lock() *os.File { return s.lock }
