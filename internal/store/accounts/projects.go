package accounts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/auditlog"
	"github.com/cotrain/cotrain/internal/store/db"
)

// projects returns all by name; the default one is there without a row.
func projects(ctx context.Context, q db.Querier) ([]access.Project, error) {
	out, err := db.Select(ctx, q, func(row db.Scanner) (p access.Project, err error) {
		var created int64
		var settings string
		if err = row.Scan(&p.Name, &p.Description, &created, &settings); err != nil {
			return p, err
		}
		p.CreatedAt = db.FromMillis(created)
		return p, json.Unmarshal([]byte(settings), &p.Settings)
	}, `SELECT name, description, created_at, settings FROM projects ORDER BY name`)
	if i, ok := slices.BinarySearchFunc(out, access.DefaultProject, func(p access.Project, name string) int {
		return strings.Compare(p.Name, name)
	}); !ok && err == nil {
		out = slices.Insert(out, i, access.Project{Name: access.DefaultProject})
	}
	return out, err
}

func project(ctx context.Context, q db.Querier, name string) (access.Project, error) {
	all, err := projects(ctx, q)
	if err != nil {
		return access.Project{}, err
	}
	i := slices.IndexFunc(all, func(p access.Project) bool { return p.Name == name })
	if i < 0 {
		return access.Project{}, fault.ErrNoProject
	}
	return all[i], nil
}

// CreateProject stores a new project. No two projects' folders overlap.
func (a *Accounts) CreateProject(ctx context.Context, p access.Project) error {
	return a.change(ctx, "create project "+p.Name, func(tx *db.Tx) error {
		all, err := projects(ctx, tx)
		if err != nil {
			return err
		}
		if err := Addable(p, all); err != nil {
			return err
		}
		settings, err := json.Marshal(p.Settings)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO projects (name, description, created_at, settings) VALUES (?,?,?,?)`, p.Name, p.Description, db.Millis(p.CreatedAt), string(settings)); err != nil {
			return err
		}
		return auditlog.Append(ctx, tx, "project:"+p.Name, p.Name, nil, p)
	})
}

// ChangeProject changes a project's description and settings. No two projects' folders overlap. What changes nothing is not audited.
func (a *Accounts) ChangeProject(ctx context.Context, name string, fn func(*access.Project) error) (after access.Project, err error) {
	err = a.change(ctx, "change project "+name, func(tx *db.Tx) error {
		all, err := projects(ctx, tx)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(all, func(p access.Project) bool { return p.Name == name })
		if i < 0 {
			return fault.ErrNoProject
		}
		before := all[i]
		after = before
		if err := fn(&after); err != nil || after == before {
			return err
		}
		if err := Apart(after, all); err != nil {
			return err
		}
		settings, err := json.Marshal(after.Settings)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO projects (name, description, created_at, settings) VALUES (?,?,0,?)
			ON CONFLICT (name) DO UPDATE SET description = excluded.description, settings = excluded.settings`, name, after.Description, string(settings)); err != nil {
			return err
		}
		return auditlog.Append(ctx, tx, "project:"+name, name, before, after)
	})
	return after, err
}

// Addable is an error if a new project has the name of another, or is not [Apart] from all others.
func Addable(p access.Project, all []access.Project) error {
	if slices.ContainsFunc(all, func(other access.Project) bool { return other.Name == p.Name }) {
		return fault.New(fault.ErrConflict, fmt.Sprintf("There is a project %s already.", p.Name), "Choose another name.")
	}
	return Apart(p, all)
}

// Apart is an error if a project's folder is that of another one, or in it, or around it.
func Apart(p access.Project, all []access.Project) error {
	for _, other := range all {
		if other.Name != p.Name && access.Overlap(other.Settings.Folder, p.Settings.Folder) {
			return run.FieldErrors{{Field: "folder", Value: p.Settings.Folder, Rule: fmt.Sprintf("overlaps the folder %s of project %s", other.Settings.Folder, other.Name), Fix: "use a folder beside it"}}
		}
	}
	return nil
}

// KeepProject keeps a project from being deleted until the transaction ends, which puts something into it; [fault.ErrNoProject]
// if it is gone. The default one always stays.
func KeepProject(ctx context.Context, tx *db.Tx, name string) error {
	if name == "" || name == access.DefaultProject {
		return nil
	}
	var one int
	return missing(tx.QueryRow(ctx, `SELECT 1 FROM projects WHERE name = ? FOR KEY SHARE`, name).Scan(&one), fault.ErrNoProject)
}

// owned are the tables whose rows are of a project, as their indexes begin: while there is one the project stays.
var owned = [...]struct{ table, where string }{{"runs", "archived = 0 AND "}, {"runs", "archived = 1 AND "}, {"sweeps", ""}, {"templates", ""}}

// DeleteProject deletes a project that owns nothing, with its memberships and the tokens that are for it alone.
func (a *Accounts) DeleteProject(ctx context.Context, name string) error {
	return a.change(ctx, "delete project "+name, func(tx *db.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT 1 FROM projects WHERE name = ? FOR UPDATE`, name); err != nil { // waits for who is about to put something into it
			return err
		}
		before, err := project(ctx, tx, name)
		if err != nil {
			return err
		}
		if name == access.DefaultProject {
			return fault.New(fault.ErrNotPossible, "The project default stays: it owns what names no project.", "")
		}
		for _, o := range owned {
			// The first from it on is found by index, also by a plan that is made for any project.
			var first string
			err := tx.QueryRow(ctx, `SELECT project FROM `+o.table+` WHERE `+o.where+`project >= ? ORDER BY project LIMIT 1`, name).Scan(&first)
			if err != nil && !errors.Is(err, fault.ErrNotFound) {
				return err
			}
			if first == name {
				return fault.New(fault.ErrInUse, fmt.Sprintf("Project %s has %s.", name, o.table), "Delete them first.")
			}
		}
		if err := noSecretOf(ctx, tx, name); err != nil {
			return err
		}
		if err := executed(ctx, tx, []string{`DELETE FROM projects WHERE name = ?`, `DELETE FROM members WHERE project = ?`, `DELETE FROM group_roles WHERE project = ?`, `DELETE FROM api_tokens WHERE project = ?`, `DELETE FROM layouts WHERE project = ?`}, name); err != nil {
			return err
		}
		return auditlog.Append(ctx, tx, "project:"+name, name, before, nil)
	})
}

// noSecretOf is an error where a secret names the project: a later one of its name would have it.
func noSecretOf(ctx context.Context, tx *db.Tx, project string) error {
	secrets, err := db.Select(ctx, tx, func(row db.Scanner) (out run.Secret, err error) {
		var body string
		if err := row.Scan(&body); err != nil {
			return out, err
		}
		return out, json.Unmarshal([]byte(body), &out)
	}, `SELECT body FROM run_secrets ORDER BY name`)
	if err != nil {
		return err
	}
	for _, secret := range secrets {
		if slices.Contains(secret.Projects, project) {
			return fault.New(fault.ErrInUse, fmt.Sprintf("Project %s may use the secret %s.", project, secret.Name), "Change that secret first.")
		}
	}
	return nil
}

// SetMember gives a user a role in a project, "" for none.
func (a *Accounts) SetMember(ctx context.Context, name string, user access.UserID, role access.Role) error {
	return a.change(ctx, fmt.Sprintf("change member %s of %s", user, name), func(tx *db.Tx) error {
		if _, err := project(ctx, tx, name); err != nil {
			return err
		}
		u, err := liveUser(ctx, tx, user)
		if err != nil {
			return err
		}
		var before access.Role
		err = tx.QueryRow(ctx, `SELECT role FROM members WHERE project = ? AND user_id = ?`, name, user).Scan(&before)
		switch none := errors.Is(err, fault.ErrNotFound); {
		case err != nil && !none:
			return err
		case role != "" && role == before:
			return nil
		case role != "":
			_, err = tx.Exec(ctx, `INSERT INTO members (project, user_id, role) VALUES (?,?,?) ON CONFLICT (project, user_id) DO UPDATE SET role = excluded.role`, name, user, role)
		case none:
			return noMember(ctx, tx, name, u)
		default:
			_, err = tx.Exec(ctx, `DELETE FROM members WHERE project = ? AND user_id = ?`, name, user)
		}
		if err != nil {
			return err
		}
		return auditlog.Append(ctx, tx, "user:"+u.Name, name, membership(before), membership(role))
	})
}

// noMember is why a user's role in a project cannot be taken away: there is none, or none that was given by hand.
func noMember(ctx context.Context, tx *db.Tx, project string, u access.User) error {
	var role access.Role
	err := tx.QueryRow(ctx, `SELECT role FROM group_roles WHERE project = ? AND user_id = ?`, project, u.ID).Scan(&role)
	switch {
	case err == nil:
		return fault.New(fault.ErrConflict, fmt.Sprintf("%s is %s of project %s because of its groups at the log-in provider.", u.Name, role, project), "Change them there, or the mapping of groups (oidc.groups).")
	case errors.Is(err, fault.ErrNotFound):
		return fault.New(fault.ErrNoUser, fmt.Sprintf("%s is no member of project %s.", u.Name, project), "")
	}
	return err
}

// membership is what the audit log tells of a member, nil for none.
func membership(role access.Role) any {
	if role == "" {
		return nil
	}
	return struct {
		Role access.Role `json:"role"`
	}{role}
}
