package store

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/db"
	"github.com/cotrain/cotrain/internal/store/points"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

func migrations() (db.Migrations, error) {
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return db.Migrations{}, fmt.Errorf("read migrations: %w", err)
	}
	return db.Migrations{Files: files, After: map[int64]func(context.Context, *db.Tx) error{12: fillTexts, 24: fillLabels, 26: points.FillColumns}}, nil
}

// fillTexts makes the runs of an older database searchable.
func fillTexts(ctx context.Context, tx *db.Tx) error {
	runs, err := db.Select(ctx, tx, func(row db.Scanner) (r run.Run, err error) {
		var options string
		if err := row.Scan(&r.ID, &r.Name, &options); err != nil {
			return r, err
		}
		return r, json.Unmarshal([]byte(options), &r.Options)
	}, `SELECT id, name, options FROM runs`)
	if err != nil {
		return err
	}
	for _, r := range runs {
		if err := insertText(ctx, tx, r); err != nil {
			return err
		}
	}
	return nil
}
