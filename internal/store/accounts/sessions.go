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

// kept is how many sessions, and how many devices, a user has at most: the oldest give way.
const kept = 50

const sessionColumns = `id, user_id, created_at, seen_at, expires_at, address, agent, issuer, second_factor`

func scanSession(row db.Scanner) (s access.Session, err error) {
	var created, seen, expires int64
	err = row.Scan(&s.ID, &s.User, &created, &seen, &expires, &s.Address, &s.Agent, &s.Issuer, &s.SecondFactor)
	s.CreatedAt, s.SeenAt, s.ExpiresAt = db.FromMillis(created), db.FromMillis(seen), db.FromMillis(expires)
	return s, err
}

// CreateSession stores a session of a user who is enabled, with the key of its cookie. password is the hash that the log-in
// has verified: if it has changed meanwhile, or the passkey was removed, there is no session, but [fault.ErrSignedOut].
func (a *Accounts) CreateSession(ctx context.Context, key string, s access.Session, password string) error {
	return a.write(ctx, "sign in", func(tx *db.Tx) error {
		if err := lockUser(ctx, tx, s.User, fault.ErrSignedOut, ` AND disabled = 0 AND password = ?`, password); err != nil {
			return err
		}
		var by any
		if id := s.Passkey(); id != "" {
			var one int
			by = map[string]string{"passkey": id}
			if err := missing(tx.QueryRow(ctx, `SELECT 1 FROM passkeys WHERE id = ? AND user_id = ? FOR UPDATE`, id, s.User).Scan(&one), fault.ErrSignedOut); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, `INSERT INTO sessions (key, `+sessionColumns+`) VALUES (?,?,?,?,?,?,?,?,?,?)`,
			key, s.ID, s.User, db.Millis(s.CreatedAt), db.Millis(s.SeenAt), db.Millis(s.ExpiresAt), s.Address, s.Agent, s.Issuer, s.SecondFactor); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE users SET seen_at = ?1 WHERE id = ?2 AND seen_at < ?1`, db.Millis(s.SeenAt), s.User); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `DELETE FROM sessions WHERE user_id = ?1 AND id NOT IN (SELECT id FROM sessions WHERE user_id = ?1 ORDER BY seen_at DESC, id LIMIT ?2)`, s.User, kept)
		if err != nil {
			return err
		}
		return auditlog.Append(ctx, tx, "session:"+s.ID, "", nil, by)
	})
}

// lockUser keeps a user from being deleted or changed until the transaction ends; kind is the error if it does not fulfil a
// condition.
func lockUser(ctx context.Context, tx *db.Tx, id access.UserID, kind fault.Kind, condition string, args ...any) error {
	var one int
	return missing(tx.QueryRow(ctx, `SELECT 1 FROM users WHERE id = ? AND deleted = 0`+condition+` FOR UPDATE`, append([]any{id}, args...)...).Scan(&one), kind)
}

// SessionByKey returns the session of a cookie, or [fault.ErrNoSession].
func (a *Accounts) SessionByKey(ctx context.Context, key string) (access.Session, error) {
	s, err := scanSession(a.db.QueryRow(ctx, `SELECT `+sessionColumns+` FROM sessions WHERE key = ?`, key))
	if err != nil {
		return s, fmt.Errorf("read a session: %w", missing(err, fault.ErrNoSession))
	}
	return s, nil
}

// Sessions returns a user's sessions, the newest first.
func (a *Accounts) Sessions(ctx context.Context, user access.UserID) ([]access.Session, error) {
	out, err := db.Select(ctx, a.db, scanSession, `SELECT `+sessionColumns+` FROM sessions WHERE user_id = ? ORDER BY created_at DESC, id`, user)
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	return out, nil
}

// EndSession ends a session of a user.
func (a *Accounts) EndSession(ctx context.Context, user access.UserID, id string) error {
	return a.change(ctx, "end a session", func(tx *db.Tx) error {
		if err := changedOne(ctx, tx, fault.ErrNoSession, `DELETE FROM sessions WHERE user_id = ? AND id = ?`, user, id); err != nil {
			return err
		}
		return auditlog.Append(ctx, tx, "session:"+id, "", nil, nil)
	})
}

// EndSessions ends all sessions of a user but one ("" for none).
func (a *Accounts) EndSessions(ctx context.Context, user access.UserID, keep string) error {
	return a.change(ctx, "end sessions", func(tx *db.Tx) error {
		u, err := liveUser(ctx, tx, user)
		if err != nil {
			return err
		}
		ended, err := endSessions(ctx, tx, user, keep)
		if err != nil {
			return err
		}
		return auditlog.Append(ctx, tx, "user:"+u.Name, "", nil, map[string]int64{"sessions_ended": ended})
	})
}

func endSessions(ctx context.Context, tx *db.Tx, user access.UserID, keep string) (ended int64, err error) {
	res, err := tx.Exec(ctx, `DELETE FROM sessions WHERE user_id = ? AND id <> ?`, user, keep)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// RememberDevice stores that a user has signed in with a device, by the key of its cookie.
func (a *Accounts) RememberDevice(ctx context.Context, key string, user access.UserID, now time.Time) error {
	return a.write(ctx, "remember a device", func(tx *db.Tx) error {
		if err := lockUser(ctx, tx, user, fault.ErrNoUser, ``); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO devices (key, user_id, seen_at) VALUES (?,?,?) ON CONFLICT (key) DO UPDATE SET seen_at = excluded.seen_at`, key, user, db.Millis(now)); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `DELETE FROM devices WHERE user_id = ?1 AND key NOT IN (SELECT key FROM devices WHERE user_id = ?1 ORDER BY seen_at DESC, key LIMIT ?2)`, user, kept)
		return err
	})
}

// KnowsDevice reports whether a user has signed in with a device.
func (a *Accounts) KnowsDevice(ctx context.Context, key string, user access.UserID) (known bool, err error) {
	err = a.db.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM devices WHERE key = ? AND user_id = ?)`, key, user).Scan(&known)
	if err != nil {
		return false, fmt.Errorf("look up a device: %w", err)
	}
	return known, nil
}

// Seen is that a session or token was used: one of the two.
type Seen struct {
	Session string
	Token   access.TokenID
	User    access.UserID
	At      time.Time
	From    string // address
}

// SaveSeen stores when sessions, tokens and their users were last seen. Those that have ended meanwhile are no error.
func (a *Accounts) SaveSeen(ctx context.Context, all []Seen) error {
	return a.write(ctx, "store who was seen", func(tx *db.Tx) error {
		for _, s := range all {
			at := db.Millis(s.At)
			if _, err := tx.Exec(ctx, `UPDATE users SET seen_at = ?1 WHERE id = ?2 AND seen_at < ?1`, at, s.User); err != nil {
				return err
			}
			var err error
			if s.Token != "" {
				_, err = tx.Exec(ctx, `UPDATE api_tokens SET used_at = ?, used_from = ? WHERE id = ?`, at, s.From, s.Token)
			} else {
				_, err = tx.Exec(ctx, `UPDATE sessions SET seen_at = ?, address = ? WHERE id = ?`, at, s.From, s.Session)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// DropExpired removes sessions that expired before now or were not seen since, devices not seen since forgotten, and the log-ins
// of an hour ago that are kept against a replay.
func (a *Accounts) DropExpired(ctx context.Context, now, unseen, forgotten time.Time) error {
	return a.write(ctx, "remove expired sessions", func(tx *db.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM sessions WHERE expires_at < ? OR seen_at < ?`, db.Millis(now), db.Millis(unseen)); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM used_logins WHERE used_at < ?`, db.Millis(now.Add(-time.Hour))); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `DELETE FROM devices WHERE seen_at < ?`, db.Millis(forgotten))
		return err
	})
}
