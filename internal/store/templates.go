package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/accounts"
	"github.com/cotrain/cotrain/internal/store/db"
)

const templateColumns = `project, name, version, description, config, shape, options, note, actor, created_at`

func scanTemplate(row db.Scanner) (run.Template, error) {
	var t run.Template
	var shape, options string
	var created int64
	err := row.Scan(&t.Project, &t.Name, &t.Version, &t.Description, &t.Config, &shape, &options, &t.Note, &t.Actor, &created)
	if err != nil {
		return t, err
	}
	t.CreatedAt = db.FromMillis(created)
	if err := errors.Join(json.Unmarshal([]byte(shape), &t.Shape), json.Unmarshal([]byte(options), &t.Options)); err != nil {
		return t, fmt.Errorf("template %s: %w", t.Ref(), err)
	}
	return t, nil
}

// templateKey makes names case-insensitive.
func templateKey(name string) string { return strings.ToLower(name) }

const newestTemplate = `SELECT ` + templateColumns + ` FROM templates WHERE project = ? AND key = ? ORDER BY version DESC LIMIT 1`

// SaveTemplate stores the next version of a template of a project and returns it. A name that differs only in case is the
// existing template's. Unchanged content returns the newest version.
//
// The newest version must be follows (0 for none, [run.AnyVersion] for any), or it is [run.OutdatedError].
func (s *Store) SaveTemplate(ctx context.Context, t run.Template, follows int) (run.Template, error) {
	shape, err := json.Marshal(t.Shape)
	if err != nil {
		return t, fmt.Errorf("encode shape: %w", err)
	}
	options, err := json.Marshal(t.Options)
	if err != nil {
		return t, fmt.Errorf("encode options: %w", err)
	}
	given := t
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		if err := accounts.KeepProject(ctx, tx, given.Project); err != nil {
			return err
		}
		if err := lockTemplate(ctx, tx, given.Project, given.Name); err != nil {
			return err
		}
		newest, err := scanTemplate(tx.QueryRow(ctx, newestTemplate, given.Project, templateKey(given.Name)))
		if err != nil && !errors.Is(err, fault.ErrNotFound) {
			return err
		}
		t = given
		t.Name = cmp.Or(newest.Name, given.Name)
		if follows != run.AnyVersion && follows != newest.Version {
			return &run.OutdatedError{Template: t.Name, Expected: follows, Newest: newest.Version}
		}
		same, err := sameTemplate(newest, t, string(options))
		if err != nil {
			return err
		}
		if newest.Version > 0 && same {
			t = newest
			return nil
		}
		t.Version = newest.Version + 1
		_, err = tx.Exec(ctx, `INSERT INTO templates (key, `+templateColumns+`) VALUES (?,?,?,?,?,?,?,?,?,?,?)`,
			templateKey(t.Name), t.Project, t.Name, t.Version, t.Description, t.Config, string(shape), string(options), t.Note, t.Actor, db.Millis(t.CreatedAt))
		if err != nil {
			return err
		}
		return auditTemplate(ctx, tx, t.Project, t.Name, newest, t)
	})
	if err != nil {
		return t, fmt.Errorf("store template %s: %w", t.Name, err)
	}
	return t, nil
}

// lockTemplate keeps others from saving or deleting versions of a template, by a lock of the first; a template without
// versions has none, and two firsts at once meet at their key.
func lockTemplate(ctx context.Context, tx *db.Tx, project, name string) error {
	_, err := tx.Exec(ctx, `SELECT 1 FROM templates WHERE project = ? AND key = ? AND version = 1 FOR UPDATE`, project, templateKey(name))
	return err
}

// sameTemplate ignores the notes, which are about a version.
func sameTemplate(a, b run.Template, optionsOfB string) (bool, error) {
	options, err := json.Marshal(a.Options)
	if err != nil {
		return false, fmt.Errorf("encode options: %w", err)
	}
	return a.Config == b.Config && a.Shape == b.Shape && a.Description == b.Description && string(options) == optionsOfB, nil
}

// Template returns a version of a project's template (0 for the newest), or [fault.ErrNotFound].
func (s *Store) Template(ctx context.Context, project, name string, version int) (run.Template, error) {
	row := s.db.QueryRow(ctx, newestTemplate, project, templateKey(name))
	if version != 0 {
		row = s.db.QueryRow(ctx, `SELECT `+templateColumns+` FROM templates WHERE project = ? AND key = ? AND version = ?`, project, templateKey(name), version)
	}
	t, err := scanTemplate(row)
	if err != nil && version != 0 {
		return t, fmt.Errorf("version %d of template %.80s: %w", version, name, missing(err, run.NoTemplate(name, version)))
	}
	if err != nil {
		return t, fmt.Errorf("template %.80s: %w", name, missing(err, run.NoTemplate(name, 0)))
	}
	return t, nil
}

// Templates returns the newest version of every template of projects, by name.
func (s *Store) Templates(ctx context.Context, in run.Projects) ([]run.Template, error) {
	if in.None() {
		return nil, nil
	}
	where, args := ``, []any(nil)
	if !in.All {
		where, args = `project IN (`+marks(len(in.Names))+`) AND `, anys(in.Names)
	}
	return s.templates(ctx, `SELECT `+templateColumns+` FROM templates t
		WHERE `+where+`version = (SELECT max(version) FROM templates WHERE project = t.project AND key = t.key) ORDER BY key, project`, args...)
}

// TemplateVersions returns all versions of a project's template, newest first, or [fault.ErrNotFound].
func (s *Store) TemplateVersions(ctx context.Context, project, name string) ([]run.Template, error) {
	out, err := s.templates(ctx, `SELECT `+templateColumns+` FROM templates WHERE project = ? AND key = ? ORDER BY version DESC`, project, templateKey(name))
	if err == nil && len(out) == 0 {
		return nil, run.NoTemplate(name, 0)
	}
	return out, err
}

func (s *Store) templates(ctx context.Context, query string, args ...any) ([]run.Template, error) {
	out, err := db.Select(ctx, s.db, scanTemplate, query, args...)
	if err != nil {
		return nil, fmt.Errorf("list templates: %w", err)
	}
	return out, nil
}

// DeleteTemplate removes all versions of a project's template, or returns [fault.ErrNotFound]. Its runs stay.
func (s *Store) DeleteTemplate(ctx context.Context, project, name string) error {
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		if err := lockTemplate(ctx, tx, project, name); err != nil {
			return err
		}
		newest, err := scanTemplate(tx.QueryRow(ctx, newestTemplate, project, templateKey(name)))
		if err != nil {
			return missing(err, run.NoTemplate(name, 0))
		}
		if _, err := tx.Exec(ctx, `DELETE FROM templates WHERE project = ? AND key = ?`, project, templateKey(name)); err != nil {
			return err
		}
		return auditTemplate(ctx, tx, project, newest.Name, newest, run.Template{})
	})
	if err != nil {
		return fmt.Errorf("delete template %.80s: %w", name, err)
	}
	return nil
}
