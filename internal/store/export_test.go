package store

import (
	"context"
	"fmt"
)

// LimitPages makes SQLite report a full disk once the database has this many pages; 0 lifts the limit.
func (s *Store) LimitPages(ctx context.Context, n int) error {
	if n == 0 {
		n = 1 << 30
	}
	_, err := s.write.ExecContext(ctx, fmt.Sprintf(`PRAGMA max_page_count = %d`, n))
	return err
}
