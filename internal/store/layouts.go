package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/accounts"
	"github.com/cotrain/cotrain/internal/store/auditlog"
	"github.com/cotrain/cotrain/internal/store/db"
)

// Layout returns how a user has arranged a page in a project ("" for all of them), or else how the project has, or else "".
func (s *Store) Layout(ctx context.Context, project string, user access.UserID, page run.LayoutPage) (data string, err error) {
	err = s.db.QueryRow(ctx, `SELECT data FROM layouts WHERE project = ? AND page = ? AND owner IN ('', ?) ORDER BY owner DESC LIMIT 1`, project, page, user).Scan(&data)
	if err != nil && !errors.Is(err, fault.ErrNotFound) {
		return "", fmt.Errorf("layout of %s: %w", page, err)
	}
	return data, nil
}

// SetLayout stores how a user arranges a page in a project ("" for all of them); no user is the project's default, and no data
// removes it. What is not valid is [run.FieldErrors], and a project that is gone [fault.ErrNoProject].
func (s *Store) SetLayout(ctx context.Context, project string, user access.UserID, page run.LayoutPage, data string) error {
	if err := run.CheckLayout(page, data); err != nil {
		return err
	}
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		if project != "" {
			if err := accounts.KeepProject(ctx, tx, project); err != nil {
				return err
			}
		}
		query, args := `INSERT INTO layouts (project, page, owner, data) VALUES (?,?,?,?) ON CONFLICT (project, page, owner) DO UPDATE SET data = excluded.data`, []any{project, page, user, data}
		if data == "" {
			query, args = `DELETE FROM layouts WHERE project = ? AND page = ? AND owner = ?`, args[:3]
		}
		if _, err := tx.Exec(ctx, query, args...); err != nil {
			return err
		}
		return auditlog.Append(ctx, tx, "layout:"+string(page), project, nil, map[string]any{"layout": data})
	})
	if err != nil {
		return fmt.Errorf("save the layout of %s: %w", page, err)
	}
	return nil
}
