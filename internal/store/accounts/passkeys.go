package accounts

import (
	"context"
	"fmt"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/store/auditlog"
	"github.com/cotrain/cotrain/internal/store/db"
)

// MaxPasskeys is how many passkeys a user has at most.
const MaxPasskeys = 20

const passkeyColumns = `id, user_id, name, domain, credential, public_key, uses, syncs, synced, created_at, used_at` // #nosec G101 -- names of columns

func scanPasskey(row db.Scanner) (p access.Passkey, err error) {
	var created, used int64
	err = row.Scan(&p.ID, &p.User, &p.Name, &p.Domain, &p.Credential, &p.PublicKey, &p.Uses, &p.Syncs, &p.Synced, &created, &used)
	p.CreatedAt, p.UsedAt = db.FromMillis(created), db.FromMillis(used)
	return p, err
}

// AddPasskey stores a passkey of a person. A session that a password has begun counts as begun by the passkey from then on; ""
// for none.
func (a *Accounts) AddPasskey(ctx context.Context, p access.Passkey, session string) error {
	return a.change(ctx, "add a passkey", func(tx *db.Tx) error {
		u, err := liveUser(ctx, tx, p.User)
		if err != nil {
			return err
		}
		if u.Passkeys >= MaxPasskeys {
			return fault.New(fault.ErrConflict, fmt.Sprintf("A user may have %d passkeys.", MaxPasskeys), "Remove those that are not used.")
		}
		if err := changedOne(ctx, tx, fault.ErrConflict, `INSERT INTO passkeys (`+passkeyColumns+`) VALUES (?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (credential) DO NOTHING`,
			p.ID, p.User, p.Name, p.Domain, p.Credential, p.PublicKey, p.Uses, p.Syncs, p.Synced, db.Millis(p.CreatedAt), db.Millis(p.UsedAt)); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE sessions SET issuer = ? WHERE user_id = ? AND id = ? AND issuer = ''`, access.PasskeyIssuer(p.ID), p.User, session); err != nil {
			return err
		}
		return auditlog.Append(ctx, tx, "user:"+u.Name, "", nil, p)
	})
}

// Passkeys returns a user's passkeys, the newest first.
func (a *Accounts) Passkeys(ctx context.Context, user access.UserID) ([]access.Passkey, error) {
	out, err := db.Select(ctx, a.db, scanPasskey, `SELECT `+passkeyColumns+` FROM passkeys WHERE user_id = ? ORDER BY created_at DESC, id`, user)
	if err != nil {
		return nil, fmt.Errorf("list passkeys: %w", err)
	}
	return out, nil
}

// PasskeyByCredential returns the passkey that authenticators call so, or [fault.ErrNotFound].
func (a *Accounts) PasskeyByCredential(ctx context.Context, credential []byte) (access.Passkey, error) {
	p, err := scanPasskey(a.db.QueryRow(ctx, `SELECT `+passkeyColumns+` FROM passkeys WHERE credential = ?`, credential))
	if err != nil {
		return p, fmt.Errorf("look up a passkey: %w", err)
	}
	return p, nil
}

// UsePasskey stores what a device says of a passkey when it signs. Where it counts, and has not counted on since, it is
// [fault.ErrConflict]: there may be a copy. One that was removed is [fault.ErrNotFound].
func (a *Accounts) UsePasskey(ctx context.Context, id string, uses uint32, synced bool, now time.Time) error {
	return a.write(ctx, "use a passkey", func(tx *db.Tx) error {
		var before uint32
		if err := tx.QueryRow(ctx, `SELECT uses FROM passkeys WHERE id = ? FOR UPDATE`, id).Scan(&before); err != nil {
			return err
		}
		if uses <= before && (uses > 0 || before > 0) {
			return fault.ErrConflict
		}
		_, err := tx.Exec(ctx, `UPDATE passkeys SET uses = ?, synced = ?, used_at = ? WHERE id = ?`, uses, synced, db.Millis(now), id)
		return err
	})
}

// RenamePasskey changes what a user calls a passkey.
func (a *Accounts) RenamePasskey(ctx context.Context, user access.UserID, id, name string) error {
	return a.changePasskey(ctx, "rename a passkey", user, id, func(tx *db.Tx, p access.Passkey) (any, error) {
		p.Name = name
		_, err := tx.Exec(ctx, `UPDATE passkeys SET name = ? WHERE id = ?`, name, id)
		return p, err
	})
}

// RemovePasskey removes a passkey of a user, and ends the sessions that it began but one ("" for none), which is a password's
// from then on.
func (a *Accounts) RemovePasskey(ctx context.Context, user access.UserID, id, keep string) error {
	return a.changePasskey(ctx, "remove a passkey", user, id, func(tx *db.Tx, _ access.Passkey) (any, error) {
		if _, err := tx.Exec(ctx, `DELETE FROM passkeys WHERE id = ?`, id); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, `UPDATE sessions SET issuer = '' WHERE user_id = ? AND id = ? AND issuer = ?`, user, keep, access.PasskeyIssuer(id)); err != nil {
			return nil, err
		}
		_, err := tx.Exec(ctx, `DELETE FROM sessions WHERE user_id = ? AND issuer = ?`, user, access.PasskeyIssuer(id))
		return nil, err
	})
}

// changePasskey has fn change a passkey, and the audit log tell of it: fn returns what it is then, nil for nothing.
func (a *Accounts) changePasskey(ctx context.Context, what string, user access.UserID, id string, fn func(*db.Tx, access.Passkey) (any, error)) error {
	return a.change(ctx, what, func(tx *db.Tx) error {
		u, err := liveUser(ctx, tx, user)
		if err != nil {
			return err
		}
		before, err := scanPasskey(tx.QueryRow(ctx, `SELECT `+passkeyColumns+` FROM passkeys WHERE user_id = ? AND id = ? FOR UPDATE`, user, id))
		if err != nil {
			return err
		}
		after, err := fn(tx, before)
		if err != nil {
			return err
		}
		return auditlog.Append(ctx, tx, "user:"+u.Name, "", before, after)
	})
}
