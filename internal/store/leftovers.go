package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/cotrain/cotrain/internal/store/db"
)

// leave notes what the archive is to delete, a blob or a folder with a slash at the end, with the rows that named it.
func leave(ctx context.Context, tx *db.Tx, name string) error {
	_, err := tx.Exec(ctx, `INSERT INTO log_leftovers (name) VALUES (?) ON CONFLICT (name) DO NOTHING`, name)
	return err
}

// leftAtOnce is how many blobs are deleted before their rows are.
const leftAtOnce = 200

// TidyLogs deletes from the archive what nothing names any more. While the archive does not answer it is kept in mind.
func (s *Store) TidyLogs(ctx context.Context) error {
	for {
		names, err := db.Select(ctx, s.db, db.One[string], `SELECT name FROM log_leftovers ORDER BY name LIMIT ?`, leftAtOnce)
		if err != nil || len(names) == 0 {
			return err
		}
		for i, name := range names {
			if folder, is := strings.CutSuffix(name, "/"); is {
				err = s.blobs.DeleteAll(ctx, folder)
			} else {
				err = s.blobs.Delete(ctx, name)
			}
			if err != nil {
				return errors.Join(fmt.Errorf("tidy the archive of logs: %w", err), s.deleted(ctx, names[:i]))
			}
		}
		if err := s.deleted(ctx, names); err != nil {
			return err
		}
	}
}

func (s *Store) deleted(ctx context.Context, names []string) error {
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		for _, name := range names {
			if _, err := tx.Exec(ctx, `DELETE FROM log_leftovers WHERE name = ?`, name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("tidy the archive of logs: %w", err)
	}
	return nil
}
