package auth

import (
	"context"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// The changes below are for who may make them: package guard decides that, and begins their entry in the audit log.

// Users returns all users by name, without those that were deleted.
func (s *Service) Users(context.Context) []access.User {
	snap := s.snapshot.Load()
	var out []access.User
	for _, u := range snap.inOrder {
		if !u.Deleted {
			out = append(out, u)
		}
	}
	return out
}

// CreateUser makes a user of a name and kind, a person with a password. What is not valid is [run.FieldErrors].
func (s *Service) CreateUser(ctx context.Context, u access.User, password string) (access.User, error) {
	u, hash, err := s.newUser(ctx, u, password)
	if err != nil {
		return u, err
	}
	return u, s.after(ctx, s.accounts.CreateUser(ctx, u, hash))
}

// ChangeUser changes display name, email, whether a user is an administrator and whether it is disabled.
func (s *Service) ChangeUser(ctx context.Context, id access.UserID, fn func(*access.User) error) (access.User, error) {
	_, after, err := s.accounts.ChangeUser(ctx, id, fn)
	return after, s.after(ctx, err)
}

// ResetPassword gives a user another password, and ends its sessions.
func (s *Service) ResetPassword(ctx context.Context, id access.UserID, password string) error {
	user, err := s.accounts.User(ctx, id)
	if err != nil {
		return err
	}
	if user.Kind != access.Person {
		return fault.New(fault.ErrConflict, user.Name+" is a service account, which has no password.", "Make an API token for it.")
	}
	if errs := checkPassword("password", user.Name, password); errs != nil {
		return errs
	}
	hash, err := s.hashes.Hash(ctx, password)
	if err != nil {
		return err
	}
	return s.after(ctx, s.accounts.SetPassword(ctx, id, hash, ""))
}

// DeleteUser deletes a user; its runs stay.
func (s *Service) DeleteUser(ctx context.Context, id access.UserID) error {
	return s.after(ctx, s.accounts.DeleteUser(ctx, id))
}

// Projects returns all projects by name.
func (s *Service) Projects(context.Context) []access.Project { return s.snapshot.Load().projects }

// Members returns the members of a project by name.
func (s *Service) Members(_ context.Context, project string) (out []access.Member) {
	for _, m := range s.snapshot.Load().members {
		if m.Project == project {
			out = append(out, m)
		}
	}
	return out
}

// CreateProject makes a project. What is not valid is [run.FieldErrors].
func (s *Service) CreateProject(ctx context.Context, p access.Project) (access.Project, error) {
	if !access.CheckProjectName(p.Name) {
		return p, run.FieldErrors{{Field: "name", Value: fault.Quote(p.Name), Rule: "is no name of a project", Fix: "use 1 to 63 lower-case letters, digits and hyphens, with none at either end"}}
	}
	p.CreatedAt = s.now()
	return p, s.after(ctx, s.accounts.CreateProject(ctx, p))
}

// DescribeProject changes a project's description.
func (s *Service) DescribeProject(ctx context.Context, name, description string) error {
	return s.after(ctx, s.accounts.DescribeProject(ctx, name, description))
}

// DeleteProject deletes a project that owns nothing.
func (s *Service) DeleteProject(ctx context.Context, name string) error {
	return s.after(ctx, s.accounts.DeleteProject(ctx, name))
}

// SetMember gives a user a role in a project, "" for none.
func (s *Service) SetMember(ctx context.Context, project string, user access.UserID, role access.Role) error {
	return s.after(ctx, s.accounts.SetMember(ctx, project, user, role))
}
