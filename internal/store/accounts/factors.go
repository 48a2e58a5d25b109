package accounts

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/store/auditlog"
	"github.com/cotrain/cotrain/internal/store/db"
)

// Factor is a user's second factor.
type Factor struct {
	Secret    string // as the caller stores it
	CreatedAt time.Time
	Recovery  int // codes that are left
}

// SetFactor stores a user's second factor, of which a code of a step was just taken, with the keys of its recovery codes. A user
// who has one is a conflict.
func (a *Accounts) SetFactor(ctx context.Context, user access.UserID, f Factor, step int64, recovery []string) error {
	return a.change(ctx, "set a second factor", func(tx *db.Tx) error {
		u, err := liveUser(ctx, tx, user)
		if err != nil {
			return err
		}
		if u.SecondFactor {
			return fault.New(fault.ErrConflict, "There is a second factor already.", "Remove it first.")
		}
		if _, err := tx.Exec(ctx, `INSERT INTO totp (user_id, secret, used_step, created_at) VALUES (?,?,?,?)`, user, f.Secret, step, db.Millis(f.CreatedAt)); err != nil {
			return err
		}
		for _, key := range recovery {
			if _, err := tx.Exec(ctx, `INSERT INTO recovery_codes (key, user_id) VALUES (?,?)`, key, user); err != nil {
				return err
			}
		}
		after := u
		after.SecondFactor = true
		return auditlog.Append(ctx, tx, "user:"+u.Name, "", u, after)
	})
}

// Factor returns a user's second factor, or [fault.ErrNotFound].
func (a *Accounts) Factor(ctx context.Context, user access.UserID) (f Factor, err error) {
	var created int64
	err = a.db.QueryRow(ctx, `SELECT secret, created_at, (SELECT count(*) FROM recovery_codes r WHERE r.user_id = totp.user_id) FROM totp WHERE user_id = ?`, user).Scan(&f.Secret, &created, &f.Recovery)
	if err != nil {
		return f, fmt.Errorf("read a second factor: %w", err)
	}
	f.CreatedAt = db.FromMillis(created)
	return f, nil
}

// UseFactor takes a code of a step, unless one of it or of a later step was taken: then it is [fault.ErrSignedOut].
func (a *Accounts) UseFactor(ctx context.Context, user access.UserID, step int64) error {
	return a.write(ctx, "use a second factor", func(tx *db.Tx) error {
		return changedOne(ctx, tx, fault.ErrSignedOut, `UPDATE totp SET used_step = ?1 WHERE user_id = ?2 AND used_step < ?1`, step, user)
	})
}

// UseRecovery takes a recovery code by its key, or is [fault.ErrSignedOut] if there is none.
func (a *Accounts) UseRecovery(ctx context.Context, user access.UserID, key string) error {
	return a.write(ctx, "use a recovery code", func(tx *db.Tx) error {
		return changedOne(ctx, tx, fault.ErrSignedOut, `DELETE FROM recovery_codes WHERE user_id = ? AND key = ?`, user, key)
	})
}

// RemoveFactor removes a user's second factor with its recovery codes, or is [fault.ErrConflict] if there is none.
func (a *Accounts) RemoveFactor(ctx context.Context, user access.UserID) error {
	return a.removeFactors(ctx, user, false)
}

// RemoveFactors does so, and removes passkeys, too, with the sessions that they began.
func (a *Accounts) RemoveFactors(ctx context.Context, user access.UserID) error {
	return a.removeFactors(ctx, user, true)
}

func (a *Accounts) removeFactors(ctx context.Context, user access.UserID, passkeys bool) error {
	return a.change(ctx, "remove a second factor", func(tx *db.Tx) error {
		u, err := liveUser(ctx, tx, user)
		if err != nil {
			return err
		}
		after, statements := u, forgetFactor
		after.SecondFactor = false
		if passkeys {
			after.Passkeys, statements = 0, slices.Concat(statements, forgetPasskeys)
		}
		if after == u {
			return fault.New(fault.ErrConflict, u.Name+" has no second factor.", "")
		}
		if err := executed(ctx, tx, statements, user); err != nil {
			return err
		}
		return auditlog.Append(ctx, tx, "user:"+u.Name, "", u, after)
	})
}

var (
	forgetFactor   = []string{`DELETE FROM totp WHERE user_id = ?`, `DELETE FROM recovery_codes WHERE user_id = ?`}
	forgetPasskeys = []string{`DELETE FROM passkeys WHERE user_id = ?`, `DELETE FROM sessions WHERE user_id = ? AND issuer LIKE 'passkey:%'`}
)
