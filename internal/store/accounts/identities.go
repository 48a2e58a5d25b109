package accounts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/store/auditlog"
	"github.com/cotrain/cotrain/internal/store/db"
)

// UseLogIn stores that a log-in came back from the provider, by its key. One that did before is [fault.ErrSignedOut].
func (a *Accounts) UseLogIn(ctx context.Context, key string, now time.Time) error {
	return a.write(ctx, "use a log-in", func(tx *db.Tx) error {
		return changedOne(ctx, tx, fault.ErrSignedOut, `INSERT INTO used_logins (key, used_at) VALUES (?,?) ON CONFLICT (key) DO NOTHING`, key, db.Millis(now))
	})
}

// ByIdentity returns who a user of a provider is here, or [fault.ErrNoUser]. One that was deleted is returned, too.
func (a *Accounts) ByIdentity(ctx context.Context, issuer, subject string) (access.User, error) {
	u, err := byIdentity(ctx, a.db, issuer, subject)
	if err != nil {
		return u, fmt.Errorf("look up an identity: %w", err)
	}
	return u, nil
}

func byIdentity(ctx context.Context, q db.Querier, issuer, subject string) (access.User, error) {
	u, err := scanUser(q.QueryRow(ctx, `SELECT `+userColumns+` FROM users WHERE id = (SELECT user_id FROM identities WHERE issuer = ? AND subject = ?)`, issuer, subject))
	return u, missing(err, fault.ErrNoUser)
}

// Identities returns who a user is at providers.
func (a *Accounts) Identities(ctx context.Context, user access.UserID) ([]access.ProviderIdentity, error) {
	out, err := db.Select(ctx, a.db, func(row db.Scanner) (i access.ProviderIdentity, err error) {
		var created int64
		err = row.Scan(&i.Issuer, &i.Subject, &i.User, &created)
		i.CreatedAt = db.FromMillis(created)
		return i, err
	}, `SELECT issuer, subject, user_id, created_at FROM identities WHERE user_id = ? ORDER BY issuer, subject`, user)
	if err != nil {
		return nil, fmt.Errorf("list identities: %w", err)
	}
	return out, nil
}

// CreateFromIdentity stores a new user without a password, and who it is at a provider. A name that somebody has or had, and
// an identity that is somebody's, are conflicts.
func (a *Accounts) CreateFromIdentity(ctx context.Context, u access.User, i access.ProviderIdentity) error {
	return a.change(ctx, "create user "+u.Name, func(tx *db.Tx) error {
		if err := link(ctx, tx, i); err != nil {
			return err
		}
		return insertUser(ctx, tx, u, "")
	})
}

// LinkIdentity lets a user of a provider sign in as the user that it names. One that is another user's is a conflict, unless
// that one was deleted.
func (a *Accounts) LinkIdentity(ctx context.Context, i access.ProviderIdentity) error {
	return a.change(ctx, "link an identity", func(tx *db.Tx) error {
		u, err := liveUser(ctx, tx, i.User)
		if err != nil {
			return err
		}
		if err := link(ctx, tx, i); err != nil {
			return err
		}
		return auditlog.Append(ctx, tx, "user:"+u.Name, "", nil, i)
	})
}

func link(ctx context.Context, tx *db.Tx, i access.ProviderIdentity) error {
	switch has, err := byIdentity(ctx, tx, i.Issuer, i.Subject); {
	case errors.Is(err, fault.ErrNoUser), err == nil && has.Deleted:
	case err != nil:
		return err
	default:
		return fault.New(fault.ErrConflict, fmt.Sprintf("This subject signs in as %s.", has.Name), "Unlink it there first.")
	}
	_, err := tx.Exec(ctx, `INSERT INTO identities (issuer, subject, user_id, created_at) VALUES (?,?,?,?)
		ON CONFLICT (issuer, subject) DO UPDATE SET user_id = excluded.user_id, created_at = excluded.created_at`, i.Issuer, i.Subject, i.User, db.Millis(i.CreatedAt))
	return err
}

// UnlinkIdentity forgets who a user is at a provider, with what its groups gave and the sessions that it began.
func (a *Accounts) UnlinkIdentity(ctx context.Context, i access.ProviderIdentity) error {
	return a.change(ctx, "unlink an identity", func(tx *db.Tx) error {
		u, err := liveUser(ctx, tx, i.User)
		if err != nil {
			return err
		}
		if err := changedOne(ctx, tx, fault.ErrNotFound, `DELETE FROM identities WHERE issuer = ? AND subject = ? AND user_id = ?`, i.Issuer, i.Subject, i.User); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM group_roles WHERE user_id = ?`, i.User); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM sessions WHERE user_id = ? AND issuer = ?`, i.User, i.Issuer); err != nil {
			return err
		}
		return auditlog.Append(ctx, tx, "user:"+u.Name, "", i, nil)
	})
}

// GroupGrants returns what a user's groups gave at the last log-in.
func (a *Accounts) GroupGrants(ctx context.Context, user access.UserID) (map[string]access.Grant, error) {
	out, err := groupGrants(ctx, a.db, user)
	if err != nil {
		return nil, fmt.Errorf("read what groups give: %w", err)
	}
	return out, nil
}

func groupGrants(ctx context.Context, q db.Querier, user access.UserID) (map[string]access.Grant, error) {
	all, err := db.Select(ctx, q, func(row db.Scanner) (g access.Grant, err error) {
		return g, row.Scan(&g.Project, &g.Role)
	}, `SELECT project, role FROM group_roles WHERE user_id = ? ORDER BY project`, user)
	out := make(map[string]access.Grant, len(all))
	for _, g := range all {
		out[g.Project] = g
	}
	return out, err
}

// SetGroupGrants replaces what a user has by groups, by project; roles given by hand stay. Each project in which it differs
// gets an entry of the audit log. Projects that do not exist are left out.
func (a *Accounts) SetGroupGrants(ctx context.Context, user access.UserID, grants map[string]access.Grant) error {
	return a.change(ctx, "set what groups give to "+string(user), func(tx *db.Tx) error {
		u, err := liveUser(ctx, tx, user)
		if err != nil {
			return err
		}
		before, err := groupGrants(ctx, tx, user)
		if err != nil {
			return err
		}
		all, err := projects(ctx, tx)
		if err != nil {
			return err
		}
		after := maps.Clone(grants)
		maps.DeleteFunc(after, func(name string, g access.Grant) bool {
			return !g.Administrates() && !slices.ContainsFunc(all, func(p access.Project) bool { return p.Name == name })
		})
		if _, err := tx.Exec(ctx, `DELETE FROM group_roles WHERE user_id = ?`, user); err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(after)) {
			if _, err := tx.Exec(ctx, `INSERT INTO group_roles (user_id, project, role) VALUES (?,?,?)`, user, name, after[name].Role); err != nil {
				return err
			}
		}
		return logGrants(ctx, tx, u, before, after)
	})
}

// logGrants has the audit log tell what differs, to each project what concerns it.
func logGrants(ctx context.Context, tx *db.Tx, u access.User, before, after map[string]access.Grant) error {
	names := slices.Concat(slices.Collect(maps.Keys(before)), slices.Collect(maps.Keys(after)))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		was, had := before[name]
		is, has := after[name]
		if had == has && was == is {
			continue
		}
		if err := auditlog.Append(ctx, tx, "user:"+u.Name, name, granted(was, had), granted(is, has)); err != nil {
			return err
		}
	}
	return nil
}

// granted is what the audit log tells of a grant, nil for none.
func granted(g access.Grant, has bool) any {
	if !has {
		return nil
	}
	return membership(cmp.Or(g.Role, "administrator"))
}
