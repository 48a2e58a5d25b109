package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/auditlog"
	"github.com/cotrain/cotrain/internal/store/db"
)

// Secrets returns the registered secrets by name.
func (s *Store) Secrets(ctx context.Context) ([]run.Secret, error) {
	out, err := db.Select(ctx, s.db, scanSecret, `SELECT body FROM run_secrets ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("list secrets: %w", err)
	}
	return out, nil
}

func scanSecret(row db.Scanner) (out run.Secret, err error) {
	var body string
	if err := row.Scan(&body); err != nil {
		return out, err
	}
	return out, json.Unmarshal([]byte(body), &out)
}

// RegisterSecret stores a new secret; one of that name is [fault.ErrConflict].
func (s *Store) RegisterSecret(ctx context.Context, secret run.Secret) error {
	body, err := json.Marshal(secret)
	if err != nil {
		return fmt.Errorf("encode secret %s: %w", secret.Name, err)
	}
	return s.changeSecret(ctx, "register secret "+secret.Name, func(tx *db.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO run_secrets (name, body) VALUES (?,?)`, secret.Name, string(body)); err != nil {
			if errors.Is(db.MapError(err), fault.ErrConflict) {
				return fault.New(fault.ErrConflict, fmt.Sprintf("There is a secret %s already.", secret.Name), "Choose another name, or change that one.").Because(err)
			}
			return err
		}
		return auditSecret(ctx, tx, secret.Name, nil, secret)
	})
}

// ChangeSecret changes all of a secret but its name. What changes nothing is not audited.
func (s *Store) ChangeSecret(ctx context.Context, secret run.Secret) error {
	body, err := json.Marshal(secret)
	if err != nil {
		return fmt.Errorf("encode secret %s: %w", secret.Name, err)
	}
	return s.changeSecret(ctx, "change secret "+secret.Name, func(tx *db.Tx) error {
		before, err := lockSecret(ctx, tx, secret.Name)
		if err != nil || reflect.DeepEqual(before, secret) {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE run_secrets SET body = ? WHERE name = ?`, string(body), secret.Name); err != nil {
			return err
		}
		return auditSecret(ctx, tx, secret.Name, before, secret)
	})
}

// RemoveSecret removes a secret. Runs that ask for it wait from their next attempt on.
func (s *Store) RemoveSecret(ctx context.Context, name string) error {
	return s.changeSecret(ctx, "remove secret "+name, func(tx *db.Tx) error {
		before, err := lockSecret(ctx, tx, name)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM run_secrets WHERE name = ?`, name); err != nil {
			return err
		}
		return auditSecret(ctx, tx, name, before, nil)
	})
}

func (s *Store) changeSecret(ctx context.Context, doing string, fn func(*db.Tx) error) error {
	if err := s.db.Write(ctx, fn); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}

// lockSecret returns a secret, which nobody else changes until the transaction ends.
func lockSecret(ctx context.Context, tx *db.Tx, name string) (run.Secret, error) {
	out, err := scanSecret(tx.QueryRow(ctx, `SELECT body FROM run_secrets WHERE name = ? FOR UPDATE`, name))
	return out, missing(err, run.NoSecret(name))
}

func auditSecret(ctx context.Context, tx *db.Tx, name string, before, after any) error {
	return auditlog.Append(ctx, tx, "secret:"+name, "", before, after)
}
