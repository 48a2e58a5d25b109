package apitest

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// admin is users and projects in memory. The zero admin has the project default and no user.
type admin struct {
	mu         sync.Mutex
	users      map[string]access.User
	tokens     map[string][]access.Token            // by user, newest first
	identities map[string][]access.ProviderIdentity // by user
	projects   map[string]access.Project
	members    map[string]map[string]access.Role // by project
}

func (a *admin) lock() func() {
	a.mu.Lock()
	if a.users == nil {
		a.users, a.tokens, a.identities = map[string]access.User{}, map[string][]access.Token{}, map[string][]access.ProviderIdentity{}
		a.projects, a.members = map[string]access.Project{access.DefaultProject: {Name: access.DefaultProject}}, map[string]map[string]access.Role{}
	}
	return a.mu.Unlock
}

func bad(field string) error {
	return run.FieldErrors{{Field: field, Rule: "is not valid", Fix: "use another"}}
}

func find[T any](all map[string]T, name string, kind fault.Kind) (v T, err error) {
	v, ok := all[name]
	if !ok {
		err = kind
	}
	return v, err
}

func byName[T any](all map[string]T) (out []T) {
	for _, name := range slices.Sorted(maps.Keys(all)) {
		out = append(out, all[name])
	}
	return out
}

func (a *admin) Users(context.Context) ([]access.User, error) {
	defer a.lock()()
	return byName(a.users), nil
}

func (a *admin) User(_ context.Context, name string) (access.User, error) {
	defer a.lock()()
	return find(a.users, name, fault.ErrNoUser)
}

func (a *admin) CreateUser(_ context.Context, u access.User) (access.User, string, error) {
	defer a.lock()()
	if _, err := find(a.users, u.Name, fault.ErrNoUser); err == nil {
		return u, "", fault.ErrConflict
	}
	if !access.CheckUserName(u.Name) {
		return u, "", bad("name")
	}
	u.ID, u.SecondFactor = access.UserID("u-"+u.Name), u.Administrator
	a.users[u.Name] = u
	if u.Kind == access.Service {
		return u, "", nil
	}
	return u, "one-time", nil
}

func (a *admin) ChangeUser(_ context.Context, name string, change func(*access.User)) (access.User, error) {
	defer a.lock()()
	u, err := find(a.users, name, fault.ErrNoUser)
	if err != nil {
		return u, err
	}
	was := u.Administrator
	if change(&u); was && (u.Disabled || !u.Administrator) {
		return u, fault.ErrConflict
	}
	a.users[name] = u
	return u, nil
}

func (a *admin) DeleteUser(_ context.Context, name string) error {
	defer a.lock()()
	u, err := find(a.users, name, fault.ErrNoUser)
	if err == nil && u.Administrator {
		err = fault.ErrConflict
	}
	if err == nil {
		delete(a.users, name)
	}
	return err
}

// withPassword is a person.
func (a *admin) withPassword(name string) (access.User, error) {
	u, err := find(a.users, name, fault.ErrNoUser)
	if err == nil && u.Kind == access.Service {
		err = fault.ErrConflict
	}
	return u, err
}

func (a *admin) ResetPassword(_ context.Context, name string, revokeTokens bool) (string, int, error) {
	defer a.lock()()
	_, err := a.withPassword(name)
	if revokeTokens {
		return "one-time", 0, err
	}
	return "one-time", 2, err
}

func (a *admin) EndUserSessions(_ context.Context, name string) error {
	defer a.lock()()
	_, err := find(a.users, name, fault.ErrNoUser)
	return err
}

func (a *admin) RemoveUserFactor(_ context.Context, name string) error {
	defer a.lock()()
	u, err := find(a.users, name, fault.ErrNoUser)
	if err == nil && !u.SecondFactor {
		err = fault.ErrConflict
	}
	if u.SecondFactor = false; err == nil {
		a.users[name] = u
	}
	return err
}

func (a *admin) Identities(_ context.Context, name string) ([]access.ProviderIdentity, error) {
	defer a.lock()()
	_, err := find(a.users, name, fault.ErrNoUser)
	return slices.Clone(a.identities[name]), err
}

func (a *admin) LinkIdentity(_ context.Context, name, subject string) error {
	defer a.lock()()
	u, err := a.withPassword(name)
	switch {
	case err != nil:
		return err
	case subject == "":
		return bad("subject")
	}
	a.identities[name] = append(a.identities[name], access.ProviderIdentity{Issuer: "https://id.example", Subject: subject, User: u.ID})
	return nil
}

func (a *admin) UnlinkIdentity(_ context.Context, name, issuer, subject string) error {
	defer a.lock()()
	i := slices.IndexFunc(a.identities[name], func(i access.ProviderIdentity) bool { return i.Issuer == issuer && i.Subject == subject })
	if i < 0 {
		return fault.ErrNotFound
	}
	a.identities[name] = slices.Delete(a.identities[name], i, i+1)
	return nil
}

func (a *admin) UserTokens(_ context.Context, name string) ([]access.Token, error) {
	defer a.lock()()
	_, err := find(a.users, name, fault.ErrNoUser)
	return slices.Clone(a.tokens[name]), err
}

func (a *admin) CreateUserToken(_ context.Context, name string, t access.Token) (access.Token, string, error) {
	defer a.lock()()
	u, err := find(a.users, name, fault.ErrNoUser)
	switch {
	case err != nil:
		return t, "", err
	case u.Kind != access.Service:
		return t, "", fault.ErrConflict
	case t.Name == "":
		return t, "", bad("name")
	}
	t.ID, t.User = access.TokenID(name+"-"+strings.ToLower(t.Name)), u.ID
	a.tokens[name] = append([]access.Token{t}, a.tokens[name]...)
	return t, "ctk_" + string(t.ID), nil
}

func (a *admin) RevokeUserToken(_ context.Context, name string, id access.TokenID) error {
	defer a.lock()()
	i := slices.IndexFunc(a.tokens[name], func(t access.Token) bool { return t.ID == id })
	if i < 0 {
		return fault.ErrNoToken
	}
	a.tokens[name] = slices.Delete(a.tokens[name], i, i+1)
	return nil
}

func (a *admin) Projects(context.Context) ([]access.Project, error) {
	defer a.lock()()
	return byName(a.projects), nil
}

func (a *admin) Project(_ context.Context, name string) (access.Project, error) {
	defer a.lock()()
	return find(a.projects, name, fault.ErrNoProject)
}

func (a *admin) CreateProject(_ context.Context, p access.Project) (access.Project, error) {
	defer a.lock()()
	if _, err := find(a.projects, p.Name, fault.ErrNoProject); err == nil {
		return p, fault.ErrConflict
	}
	if !access.CheckProjectName(p.Name) {
		return p, bad("name")
	}
	a.projects[p.Name] = p
	return p, nil
}

func (a *admin) ChangeProject(_ context.Context, name string, change func(*access.Project)) (access.Project, error) {
	defer a.lock()()
	p, err := find(a.projects, name, fault.ErrNoProject)
	if err == nil {
		change(&p)
		a.projects[name] = p
	}
	return p, err
}

func (a *admin) DeleteProject(_ context.Context, name string) error {
	defer a.lock()()
	_, err := find(a.projects, name, fault.ErrNoProject)
	if err == nil && name == access.DefaultProject {
		err = fault.ErrConflict
	}
	if err == nil {
		delete(a.projects, name)
	}
	return err
}

func (a *admin) Members(_ context.Context, project string) (out []access.Member, err error) {
	defer a.lock()()
	for _, name := range slices.Sorted(maps.Keys(a.members[project])) {
		out = append(out, access.Member{Project: project, User: a.users[name].ID, Name: name, Kind: a.users[name].Kind, Role: a.members[project][name]})
	}
	_, err = find(a.projects, project, fault.ErrNoProject)
	return out, err
}

func (a *admin) SetMember(_ context.Context, project, user string, role access.Role) error {
	defer a.lock()()
	if _, err := find(a.projects, project, fault.ErrNoProject); err != nil {
		return err
	}
	if _, err := find(a.users, user, fault.ErrNoUser); err != nil {
		return err
	}
	if a.members[project] == nil {
		a.members[project] = map[string]access.Role{}
	}
	if a.members[project][user] = role; role == "" {
		delete(a.members[project], user)
	}
	return nil
}
