package accounts

import (
	"context"
	"fmt"
	"strings"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/store/auditlog"
	"github.com/cotrain/cotrain/internal/store/db"
)

// MaxTokens is how many API tokens a user has at most.
const MaxTokens = 100

const tokenColumns = `id, user_id, name, scopes, project, created_at, expires_at, used_at, used_from`

func scanToken(row db.Scanner) (t access.Token, err error) {
	var scopes string
	var created, expires, used int64
	err = row.Scan(&t.ID, &t.User, &t.Name, &scopes, &t.Project, &created, &expires, &used, &t.UsedFrom)
	t.CreatedAt, t.ExpiresAt, t.UsedAt = db.FromMillis(created), db.FromMillis(expires), db.FromMillis(used)
	for scope := range strings.FieldsSeq(scopes) {
		t.Scopes = append(t.Scopes, access.Scope(scope))
	}
	return t, err
}

// tokenFacts is what the audit log tells of a token.
type tokenFacts struct {
	access.Token
	Owner string `json:"owner"` // login name
}

// CreateToken stores an API token with the key of its secret.
func (a *Accounts) CreateToken(ctx context.Context, key string, t access.Token) error {
	scopes := make([]string, len(t.Scopes))
	for i, s := range t.Scopes {
		scopes[i] = string(s)
	}
	return a.change(ctx, "create a token", func(tx *db.Tx) error {
		u, err := liveUser(ctx, tx, t.User)
		if err != nil {
			return err
		}
		if t.Project != "" {
			if _, err := project(ctx, tx, t.Project); err != nil {
				return err
			}
		}
		var has int
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM api_tokens WHERE user_id = ?`, t.User).Scan(&has); err != nil {
			return err
		}
		if has >= MaxTokens {
			return fault.New(fault.ErrConflict, fmt.Sprintf("A user may have %d API tokens.", MaxTokens), "Revoke those that are not used.")
		}
		_, err = tx.Exec(ctx, `INSERT INTO api_tokens (key, `+tokenColumns+`) VALUES (?,?,?,?,?,?,?,?,?,?)`,
			key, t.ID, t.User, t.Name, strings.Join(scopes, " "), t.Project, db.Millis(t.CreatedAt), db.Millis(t.ExpiresAt), db.Millis(t.UsedAt), t.UsedFrom)
		if err != nil {
			return err
		}
		return auditlog.Append(ctx, tx, "token:"+string(t.ID), t.Project, nil, tokenFacts{t, u.Name})
	})
}

// TokenByKey returns the API token of a secret, or [fault.ErrNoToken].
func (a *Accounts) TokenByKey(ctx context.Context, key string) (access.Token, error) {
	t, err := scanToken(a.db.QueryRow(ctx, `SELECT `+tokenColumns+` FROM api_tokens WHERE key = ?`, key))
	if err != nil {
		return t, fmt.Errorf("read a token: %w", missing(err, fault.ErrNoToken))
	}
	return t, nil
}

// Tokens returns a user's API tokens, the newest first.
func (a *Accounts) Tokens(ctx context.Context, user access.UserID) ([]access.Token, error) {
	out, err := db.Select(ctx, a.db, scanToken, `SELECT `+tokenColumns+` FROM api_tokens WHERE user_id = ? ORDER BY created_at DESC, id`, user)
	if err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	return out, nil
}

// RevokeToken ends an API token of a user for good.
func (a *Accounts) RevokeToken(ctx context.Context, user access.UserID, id access.TokenID) error {
	return a.change(ctx, "revoke a token", func(tx *db.Tx) error {
		before, err := scanToken(tx.QueryRow(ctx, `SELECT `+tokenColumns+` FROM api_tokens WHERE user_id = ? AND id = ?`, user, id))
		if err != nil {
			return missing(err, fault.ErrNoToken)
		}
		if _, err := tx.Exec(ctx, `DELETE FROM api_tokens WHERE id = ?`, id); err != nil {
			return err
		}
		u, err := liveUser(ctx, tx, user)
		if err != nil {
			return err
		}
		return auditlog.Append(ctx, tx, "token:"+string(id), before.Project, tokenFacts{before, u.Name}, nil)
	})
}
