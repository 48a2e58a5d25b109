package db

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/pressly/goose/v3"

	"github.com/cotrain/cotrain/internal/fault"
)

// Migrations are the versions of the schema.
type Migrations struct {
	// Files are NNNNN_words.sql for both databases, as SQLite wants it and translated for the other, or
	// NNNNN_words.sqlite.sql and NNNNN_words.postgres.sql for one of them.
	Files fs.FS
	// After is what a version does beyond its SQL, by version, in the same transaction.
	After map[int64]func(context.Context, *Tx) error
}

// of returns one database's.
func (m Migrations) of(d *dialect) ([]*goose.Migration, error) {
	files, err := fs.Glob(m.Files, "*.sql")
	if err != nil {
		return nil, err
	}
	var out []*goose.Migration
	for _, file := range files {
		words := strings.SplitN(path.Base(file), ".", 2)
		if suffix := "." + words[1]; suffix != ".sql" && suffix != d.suffix {
			continue
		}
		version, err := strconv.ParseInt(strings.SplitN(file, "_", 2)[0], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s has no version: %w", file, err)
		}
		text, err := fs.ReadFile(m.Files, file)
		if err != nil {
			return nil, err
		}
		sqls := d.schema(string(text))
		after := m.After[version]
		out = append(out, goose.NewGoMigration(version, &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
			if _, err := tx.ExecContext(ctx, sqls); err != nil || after == nil {
				return err
			}
			return after(ctx, &Tx{dialect: d, tx: tx})
		}}, nil))
	}
	return out, nil
}

func (d *DB) migrate(ctx context.Context, m Migrations) error {
	all, err := m.of(d.dialect)
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	p, err := goose.NewProvider(d.dialect.migration, d.write, nil, goose.WithGoMigrations(all...), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	have, want, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read schema version: %w", MapError(err))
	}
	if have > want {
		return fmt.Errorf("%w: its schema is version %d and this program knows up to %d: start a newer cotrain", fault.ErrConflict, have, want)
	}
	if have < want {
		if _, err := p.Up(ctx); err != nil {
			return fmt.Errorf("migrate: %w", MapError(err))
		}
	}
	return nil
}
