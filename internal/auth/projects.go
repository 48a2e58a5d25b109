package auth

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/accounts"
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

// CreateProject makes a project with its settings, which are checked against the cluster.
func (s *Service) CreateProject(ctx context.Context, p access.Project) (access.Project, error) {
	ctx, err := s.managing(ctx, access.ProjectsManage, "", actionCreateProject)
	if err != nil {
		return p, err
	}
	var errs run.FieldErrors
	if !access.CheckProjectName(p.Name) {
		errs = append(errs, run.FieldError{Field: "name", Value: fault.Quote(p.Name), Rule: "cannot be the name of a project", Fix: "use at most 63 lower-case letters, digits and dashes, with a letter or digit at both ends"})
	}
	if errs = append(errs, checkLine("description", p.Description)...); len(errs) > 0 {
		return p, errs
	}
	if err := accounts.Addable(p, s.snapshot.Load().projects); err != nil {
		return p, err
	}
	if err := s.checkSettings(ctx, access.Project{Name: p.Name}, p); err != nil {
		return p, err
	}
	p.CreatedAt = s.now()
	return p, s.after(ctx, s.accounts.CreateProject(ctx, p))
}

// ChangeProject changes a project's description, and for administrators of the console its settings, which are checked against
// the cluster.
func (s *Service) ChangeProject(ctx context.Context, name string, change func(*access.Project)) (access.Project, error) {
	ctx, err := s.managing(ctx, access.ProjectEdit, name, string(access.ProjectEdit))
	if err != nil {
		return access.Project{}, err
	}
	before, err := s.Project(ctx, name)
	if err != nil {
		return before, err
	}
	// Nomad is asked outside the transaction, about what is new: what it lost since is no reason to refuse another change.
	wanted := before
	change(&wanted)
	if err := s.checkSettings(ctx, before, wanted); err != nil {
		return before, err
	}
	after, err := s.accounts.ChangeProject(ctx, name, func(p *access.Project) error {
		settings := p.Settings
		if change(p); wanted.Settings == before.Settings {
			p.Settings = settings // of others meanwhile: whoever asks may not be one who may set them
		} else {
			audit.Of(ctx).Action = actionSetProject
		}
		return checkText(*p)
	})
	return after, s.after(ctx, err)
}

func checkText(p access.Project) error {
	if errs := checkLine("description", p.Description); errs != nil {
		return errs
	}
	return nil
}

// maxLimit bounds what a project's limits may say: seconds of 30 years, and more workers than there are.
const maxLimit = 1_000_000_000

// maxBytes bounds what a project's limits of logs may say: an exabyte.
const maxBytes = 1_000_000_000_000_000_000

// checkSettings judges new settings of a project, as an administrator of the console may give it.
func (s *Service) checkSettings(ctx context.Context, from, to access.Project) error {
	before, after := from.Settings, to.Settings
	if before == after {
		return nil
	}
	if err := s.may(ctx, access.ProjectsManage, ""); err != nil {
		return err
	}
	var errs run.FieldErrors
	word := func(field, value, old string, good func(string) bool, rule, fix string) {
		if value != "" && value != old && !good(value) {
			errs = append(errs, run.FieldError{Field: field, Value: fault.Quote(value), Rule: rule, Fix: fix})
		}
	}
	word("namespace", after.Namespace, before.Namespace, access.CheckNamespace, "cannot be the name of a Nomad namespace", "use at most 128 letters, digits and dashes, or leave it empty")
	word("node_pool", after.NodePool, before.NodePool, access.CheckNodePool, "cannot be the name of a Nomad node pool", "use at most 128 letters, digits, dashes and underscores, or leave it empty")
	word("folder", after.Folder, before.Folder, access.CheckFolder, "cannot be the folder of a project", "use up to four names with / between them, of letters, digits and . _ -, such as teams/vision, or leave it empty")
	most := func(field string, value, limit int64) {
		if value < 0 || value > limit {
			errs = append(errs, run.FieldError{Field: field, Value: strconv.FormatInt(value, 10), Rule: fmt.Sprintf("must be from 0, for no limit, to %d", limit), Fix: "use " + strconv.FormatInt(min(max(value, 0), limit), 10)})
		}
	}
	l := after.Limits
	most("workers", int64(l.Workers), maxLimit)
	most("gpus", int64(l.GPUs), maxLimit)
	most("priority", int64(l.Priority), 100) // Nomad's scale
	most("max_duration_seconds", l.MaxDuration, maxLimit)
	between := func(field string, value, low, high int64) {
		if value != 0 && (value < low || value > high) {
			errs = append(errs, run.FieldError{Field: field, Value: strconv.FormatInt(value, 10), Rule: fmt.Sprintf("must be 0, for no limit, or from %d to %d", low, high), Fix: "use " + strconv.FormatInt(min(max(value, low), high), 10)})
		}
	}
	between("retention_seconds", after.Logs.Retention, 86_400, maxLimit)
	between("max_bytes", after.Logs.MaxBytes, 1_000_000, maxBytes)
	if len(errs) > 0 {
		return errs
	}
	// The transaction asks again: this is before anything is made in shared storage.
	if err := accounts.Apart(to, s.snapshot.Load().projects); err != nil || s.placement == nil {
		return err
	}
	return s.placement(ctx, before, after)
}

// Settings returns what is set for the runs of a project, nothing if there is none of that name.
func (s *Service) Settings(project string) access.Settings {
	all := s.snapshot.Load().projects
	i, _ := slices.BinarySearchFunc(all, project, func(p access.Project, name string) int { return strings.Compare(p.Name, name) })
	if i == len(all) || all[i].Name != project {
		return access.Settings{}
	}
	return all[i].Settings
}

// Folders returns the folders of projects in shared storage, sorted.
func (s *Service) Folders() []string {
	var out []string
	for _, p := range s.snapshot.Load().projects {
		if p.Settings.Folder != "" {
			out = append(out, p.Settings.Folder)
		}
	}
	slices.Sort(out)
	return out
}

// DeleteProject deletes a project that owns nothing, with its memberships and the tokens for it.
func (s *Service) DeleteProject(ctx context.Context, name string) error {
	ctx, err := s.managing(ctx, access.ProjectsManage, "", actionDeleteProject)
	if err != nil {
		return err
	}
	return s.after(ctx, s.accounts.DeleteProject(ctx, name))
}

// SetMember gives the user with a login name a role in a project, "" for none.
func (s *Service) SetMember(ctx context.Context, project, user string, role access.Role) error {
	ctx, err := s.managing(ctx, access.MembersManage, project, string(access.MembersManage))
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
