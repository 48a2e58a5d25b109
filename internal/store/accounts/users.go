package accounts

import (
	"context"
	"errors"
	"fmt"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/store/auditlog"
	"github.com/cotrain/cotrain/internal/store/db"
)

const userColumns = `id, name, kind, display_name, email, administrator, disabled, deleted, password <> '', created_at, seen_at,
	EXISTS (SELECT 1 FROM group_roles g WHERE g.user_id = users.id AND g.project = ''), EXISTS (SELECT 1 FROM totp t WHERE t.user_id = users.id), one_time_password,
	(SELECT count(*) FROM passkeys k WHERE k.user_id = users.id)`

func scanUser(row db.Scanner) (u access.User, err error) {
	var created, seen int64
	err = row.Scan(&u.ID, &u.Name, &u.Kind, &u.DisplayName, &u.Email, &u.Administrator, &u.Disabled, &u.Deleted, &u.HasPassword, &created, &seen, &u.ByGroups, &u.SecondFactor, &u.OneTimePassword, &u.Passkeys)
	u.CreatedAt, u.SeenAt = db.FromMillis(created), db.FromMillis(seen)
	return u, err
}

// CreateUser stores a new user with the hash of its password, "" for none. A name that somebody has or had is a conflict.
func (a *Accounts) CreateUser(ctx context.Context, u access.User, password string) error {
	return a.change(ctx, "create user "+u.Name, func(tx *db.Tx) error { return insertUser(ctx, tx, u, password) })
}

// CreateFirstAdministrator is [Accounts.CreateUser] on a console that has no administrator yet, and a conflict on any other.
func (a *Accounts) CreateFirstAdministrator(ctx context.Context, u access.User, password string) error {
	return a.change(ctx, "create the first administrator", func(tx *db.Tx) error {
		has, err := hasAdministrator(ctx, tx)
		if err != nil {
			return err
		}
		if has {
			return fault.New(fault.ErrConflict, "This console is set up already: it has an administrator.", "Sign in, or ask an administrator for an account.")
		}
		return insertUser(ctx, tx, u, password)
	})
}

func insertUser(ctx context.Context, tx *db.Tx, u access.User, password string) error {
	var taken bool
	if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM users WHERE name = ?)`, u.Name).Scan(&taken); err != nil {
		return err
	}
	if taken {
		return fault.New(fault.ErrNotPossible, fmt.Sprintf("There is, or was, a user %s.", u.Name), "Choose another name: that of a deleted user is not given again.")
	}
	_, err := tx.Exec(ctx, `INSERT INTO users (id, name, kind, display_name, email, administrator, disabled, deleted, password, one_time_password, created_at, seen_at) VALUES (?,?,?,?,?,?,?,0,?,?,?,0)`,
		u.ID, u.Name, u.Kind, u.DisplayName, u.Email, u.Administrator, u.Disabled, password, u.OneTimePassword, db.Millis(u.CreatedAt))
	if err != nil {
		return err
	}
	u.HasPassword = password != ""
	return auditlog.Append(ctx, tx, "user:"+u.Name, "", nil, u)
}

// User returns a user, [fault.ErrNoUser] if it was deleted.
func (a *Accounts) User(ctx context.Context, id access.UserID) (access.User, error) {
	u, err := liveUser(ctx, a.db, id)
	if err != nil {
		return u, fmt.Errorf("read user %.40s: %w", id, err)
	}
	return u, nil
}

func liveUser(ctx context.Context, q db.Querier, id access.UserID) (access.User, error) {
	u, err := scanUser(q.QueryRow(ctx, `SELECT `+userColumns+` FROM users WHERE id = ? AND deleted = 0`, id))
	return u, missing(err, fault.ErrNoUser)
}

// ChangeUser changes display name, email, whether it is an administrator and whether it is disabled, which ends its sessions.
// It returns the user before and after. What changes nothing is not audited.
func (a *Accounts) ChangeUser(ctx context.Context, id access.UserID, fn func(*access.User) error) (before, after access.User, err error) {
	err = a.change(ctx, "change user "+string(id), func(tx *db.Tx) (err error) {
		if before, err = liveUser(ctx, tx, id); err != nil {
			return err
		}
		after = before
		if err := fn(&after); err != nil || after == before {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE users SET display_name = ?, email = ?, administrator = ?, disabled = ? WHERE id = ?`,
			after.DisplayName, after.Email, after.Administrator, after.Disabled, id); err != nil {
			return err
		}
		if after.Disabled {
			if _, err := tx.Exec(ctx, `DELETE FROM sessions WHERE user_id = ?`, id); err != nil {
				return err
			}
		}
		if err := administered(ctx, tx, before); err != nil {
			return err
		}
		return auditlog.Append(ctx, tx, "user:"+before.Name, "", before, after)
	})
	return before, after, err
}

// administered is an error if a change of a user left nobody who may manage users.
func administered(ctx context.Context, tx *db.Tx, before access.User) error {
	if !before.Administrator || before.Disabled {
		return nil
	}
	if left, err := hasAdministrator(ctx, tx); err != nil || left {
		return err
	}
	return fault.New(fault.ErrConflict, before.Name+" is the last administrator.", "Make another user an administrator first.")
}

// hasAdministrator reports whether anybody may manage users.
func hasAdministrator(ctx context.Context, tx *db.Tx) (has bool, err error) {
	err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM users WHERE administrator = 1 AND disabled = 0 AND deleted = 0 AND kind = ?)`, access.Person).Scan(&has)
	return has, err
}

// SetPassword stores the hash of a new password, that the user has to change if somebody else chose it, and ends all sessions
// of the user but one ("" for none).
func (a *Accounts) SetPassword(ctx context.Context, id access.UserID, hash string, oneTime bool, keep string) error {
	return a.change(ctx, "set the password of "+string(id), func(tx *db.Tx) error {
		u, ended, err := setPassword(ctx, tx, id, hash, oneTime, keep)
		if err != nil {
			return err
		}
		return auditlog.Append(ctx, tx, "user:"+u.Name, "", passwordFacts{OneTime: u.OneTimePassword}, passwordFacts{oneTime, ended, ""})
	})
}

// ResetPassword stores the hash of a one-time password, ends all sessions of the user, and revokes its API tokens if asked to.
// tokens are those that stay.
func (a *Accounts) ResetPassword(ctx context.Context, id access.UserID, hash string, revokeTokens bool) (tokens int, err error) {
	err = a.change(ctx, "reset the password of "+string(id), func(tx *db.Tx) error {
		u, ended, err := setPassword(ctx, tx, id, hash, true, "")
		if err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM api_tokens WHERE user_id = ?`, id).Scan(&tokens); err != nil {
			return err
		}
		api := fmt.Sprintf("%d tokens stay", tokens)
		if revokeTokens {
			if _, err := tx.Exec(ctx, `DELETE FROM api_tokens WHERE user_id = ?`, id); err != nil {
				return err
			}
			api, tokens = fmt.Sprintf("%d tokens revoked", tokens), 0
		}
		return auditlog.Append(ctx, tx, "user:"+u.Name, "", passwordFacts{OneTime: u.OneTimePassword}, passwordFacts{true, ended, api})
	})
	return tokens, err
}

// passwordFacts is what the audit log tells of a password.
type passwordFacts struct {
	OneTime bool   `json:"one_time_password"`
	Ended   int64  `json:"sessions_ended,omitempty"`
	API     string `json:"api,omitempty"`
}

// setPassword returns the user as it was before, and how many sessions it has ended.
func setPassword(ctx context.Context, tx *db.Tx, id access.UserID, hash string, oneTime bool, keep string) (u access.User, ended int64, err error) {
	if u, err = liveUser(ctx, tx, id); err != nil {
		return u, 0, err
	}
	if _, err := tx.Exec(ctx, `UPDATE users SET password = ?, one_time_password = ? WHERE id = ?`, hash, oneTime, id); err != nil {
		return u, 0, err
	}
	ended, err = endSessions(ctx, tx, id, keep)
	return u, ended, err
}

// RenewPassword replaces the hash of a password by another of the same password, if it is still that.
func (a *Accounts) RenewPassword(ctx context.Context, id access.UserID, old, hash string) error {
	if _, err := a.db.Exec(ctx, `UPDATE users SET password = ? WHERE id = ? AND password = ?`, hash, id, old); err != nil {
		return fmt.Errorf("renew the password of %s: %w", id, err)
	}
	return nil
}

// Password returns the hash of a user's password, "" without one.
func (a *Accounts) Password(ctx context.Context, id access.UserID) (hash string, err error) {
	err = a.db.QueryRow(ctx, `SELECT password FROM users WHERE id = ? AND deleted = 0`, id).Scan(&hash)
	if err != nil && !errors.Is(err, fault.ErrNotFound) {
		return "", fmt.Errorf("read the password of %s: %w", id, err)
	}
	return hash, nil
}

// leaving removes what belongs to a deleted user, and what is known of the person but the name.
var leaving = []string{
	`UPDATE users SET deleted = 1, administrator = 0, display_name = '', email = '', password = '' WHERE id = ?`,
	`DELETE FROM sessions WHERE user_id = ?`, `DELETE FROM api_tokens WHERE user_id = ?`, `DELETE FROM devices WHERE user_id = ?`, `DELETE FROM members WHERE user_id = ?`,
	`DELETE FROM group_roles WHERE user_id = ?`, `DELETE FROM totp WHERE user_id = ?`, `DELETE FROM recovery_codes WHERE user_id = ?`, `DELETE FROM passkeys WHERE user_id = ?`,
	`DELETE FROM layouts WHERE owner = ?`,
}

// DeleteUser deletes a user with its sessions, tokens and memberships; runs stay, and tell its name.
func (a *Accounts) DeleteUser(ctx context.Context, id access.UserID) error {
	return a.change(ctx, "delete user "+string(id), func(tx *db.Tx) error {
		before, err := liveUser(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := executed(ctx, tx, leaving, id); err != nil {
			return err
		}
		if err := administered(ctx, tx, before); err != nil {
			return err
		}
		return auditlog.Append(ctx, tx, "user:"+before.Name, "", before, nil)
	})
}
