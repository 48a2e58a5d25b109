package accounts

import (
	"context"
	"errors"
	"fmt"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/store/db"
)

// Accounts stores accounts, safe for concurrent use.
type Accounts struct{ db *db.DB }

// New returns the accounts in a database.
func New(d *db.DB) *Accounts { return &Accounts{d} }

// State is who may do what at one moment, without the secrets.
type State struct {
	Revision int64
	Users    []access.User // by name, those that were deleted too
	Projects []access.Project
	Members  []access.Member
}

// Access reads all of it.
func (a *Accounts) Access(ctx context.Context) (s State, err error) {
	err = a.db.Read(ctx, func(snap *db.Snapshot) (err error) {
		if s.Revision, err = revision(ctx, snap); err != nil {
			return err
		}
		if s.Users, err = db.Select(ctx, snap, scanUser, `SELECT `+userColumns+` FROM users ORDER BY name`); err != nil {
			return err
		}
		if s.Projects, err = projects(ctx, snap); err != nil {
			return err
		}
		s.Members, err = db.Select(ctx, snap, func(row db.Scanner) (m access.Member, err error) {
			return m, row.Scan(&m.Project, &m.User, &m.Name, &m.Kind, &m.Role, &m.ByGroups)
		}, everyMember)
		return err
	})
	if err != nil {
		return s, fmt.Errorf("read accounts: %w", err)
	}
	return s, nil
}

// everyMember are those with a role given by hand, by groups, or both.
const everyMember = `SELECT p.project, p.user_id, u.name, u.kind, COALESCE(m.role, ''), COALESCE(g.role, '')
	FROM (SELECT project, user_id FROM members UNION SELECT project, user_id FROM group_roles WHERE project <> '') p
	JOIN users u ON u.id = p.user_id
	LEFT JOIN members m ON m.project = p.project AND m.user_id = p.user_id
	LEFT JOIN group_roles g ON g.project = p.project AND g.user_id = p.user_id
	ORDER BY p.project, u.name`

// AccessRevision is higher after each change of what [Accounts.Access] returns, and after each session or token that ended.
func (a *Accounts) AccessRevision(ctx context.Context) (int64, error) {
	n, err := revision(ctx, a.db)
	if err != nil {
		return 0, fmt.Errorf("read the access revision: %w", err)
	}
	return n, nil
}

func revision(ctx context.Context, q db.Querier) (n int64, err error) {
	err = q.QueryRow(ctx, `SELECT number FROM access_revision WHERE id = 0`).Scan(&n)
	if errors.Is(err, fault.ErrNotFound) { // nothing has changed yet
		err = nil
	}
	return n, err
}

// change is a transaction that changes who may do what; see the package's documentation.
func (a *Accounts) change(ctx context.Context, what string, fn func(*db.Tx) error) error {
	return a.write(ctx, what, func(tx *db.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO access_revision (id, number) VALUES (0, 1)
			ON CONFLICT (id) DO UPDATE SET number = access_revision.number + 1`); err != nil {
			return err
		}
		return fn(tx)
	})
}

func (a *Accounts) write(ctx context.Context, what string, fn func(*db.Tx) error) error {
	if err := a.db.Write(ctx, fn); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// missing replaces a not-found error by a more precise one.
func missing(err error, kind fault.Kind) error {
	if errors.Is(err, fault.ErrNotFound) {
		return kind
	}
	return err
}

// executed runs statements that share their parameters.
func executed(ctx context.Context, tx *db.Tx, statements []string, args ...any) error {
	for _, q := range statements {
		if _, err := tx.Exec(ctx, q, args...); err != nil {
			return err
		}
	}
	return nil
}

// changedOne is kind if a statement changed no row.
func changedOne(ctx context.Context, tx *db.Tx, kind fault.Kind, query string, args ...any) error {
	res, err := tx.Exec(ctx, query, args...)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n > 0 {
		return err
	}
	return kind
}
