package auth

import (
	"context"
	"slices"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// ProjectNames returns the names of all projects, sorted.
func (s *Service) ProjectNames(context.Context) []string {
	projects := s.snapshot.Load().projects
	out := make([]string, len(projects))
	for i, p := range projects {
		out[i] = p.Name
	}
	return out
}

// Projects returns the projects that who asks may see, by name.
func (s *Service) Projects(ctx context.Context) ([]access.Project, error) {
	who := access.From(ctx)
	if !who.Known() {
		return nil, fault.ErrSignedOut
	}
	var out []access.Project
	for _, p := range s.snapshot.Load().projects {
		if who.May(access.ProjectRead, p.Name) {
			out = append(out, p)
		}
	}
	return out, nil
}

// Project returns a project that who asks may see, or [fault.ErrNoProject].
func (s *Service) Project(ctx context.Context, name string) (access.Project, error) {
	all, err := s.Projects(ctx)
	if i := slices.IndexFunc(all, func(p access.Project) bool { return p.Name == name }); i >= 0 {
		return all[i], nil
	}
	if err == nil {
		err = fault.ErrNoProject
	}
	return access.Project{}, err
}

// Members returns the members of a project by name.
func (s *Service) Members(ctx context.Context, project string) ([]access.Member, error) {
	if _, err := s.Project(ctx, project); err != nil {
		return nil, err
	}
	return s.membersWhere(func(m access.Member) bool { return m.Project == project }), nil
}

// Memberships returns the roles of a user by project.
func (s *Service) Memberships(ctx context.Context, user string) ([]access.Member, error) {
	u, err := s.User(ctx, user)
	if err != nil {
		return nil, err
	}
	return s.membersWhere(func(m access.Member) bool { return m.User == u.ID }), nil
}

func (s *Service) membersWhere(want func(access.Member) bool) []access.Member {
	var out []access.Member
	for _, m := range s.snapshot.Load().members {
		if want(m) {
			out = append(out, m)
		}
	}
	return out
}

// CreateProject makes a project.
func (s *Service) CreateProject(ctx context.Context, p access.Project) (access.Project, error) {
	ctx, err := s.managing(ctx, access.ProjectsManage, "")
	if err != nil {
		return p, err
	}
	var errs run.FieldErrors
	if !access.CheckProjectName(p.Name) {
		errs = append(errs, run.FieldError{Field: "name", Value: fault.Quote(p.Name), Rule: "is no name of a project", Fix: "use at most 63 lower-case letters, digits and dashes within"})
	}
	if errs = append(errs, checkLine("description", p.Description)...); len(errs) > 0 {
		return p, errs
	}
	p.CreatedAt = s.now()
	return p, s.after(ctx, s.accounts.CreateProject(ctx, p))
}

// DescribeProject changes a project's description.
func (s *Service) DescribeProject(ctx context.Context, name, description string) error {
	ctx, err := s.managing(ctx, access.ProjectEdit, name)
	if err != nil {
		return err
	}
	if errs := checkLine("description", description); errs != nil {
		return errs
	}
	return s.after(ctx, s.accounts.DescribeProject(ctx, name, description))
}

// DeleteProject deletes a project that owns nothing, with its memberships and the tokens for it.
func (s *Service) DeleteProject(ctx context.Context, name string) error {
	ctx, err := s.managing(ctx, access.ProjectsManage, "")
	if err != nil {
		return err
	}
	return s.after(ctx, s.accounts.DeleteProject(ctx, name))
}

// SetMember gives the user with a login name a role in a project, "" for none.
func (s *Service) SetMember(ctx context.Context, project, user string, role access.Role) error {
	ctx, err := s.managing(ctx, access.MembersManage, project)
	if err != nil {
		return err
	}
	if role != "" {
		if _, err := access.ParseRole(string(role)); err != nil {
			return run.FieldErrors{{Field: "role", Value: fault.Quote(string(role)), Rule: "is no role", Fix: "use viewer, operator or admin"}}
		}
	}
	u, err := s.named(ctx, user)
	if err != nil {
		return err
	}
	return s.after(ctx, s.accounts.SetMember(ctx, project, u.ID, role))
}
