package api

import (
	"context"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/client"
)

// Users manages users and service accounts by their login names. What who asks may not do is [fault.ErrForbidden].
type Users interface {
	Users(ctx context.Context) ([]access.User, error)
	User(ctx context.Context, name string) (access.User, error)
	// CreateUser returns the password that the console chose for a person: it is nowhere else.
	CreateUser(ctx context.Context, u access.User) (created access.User, password string, err error)
	ChangeUser(ctx context.Context, name string, change func(*access.User)) (access.User, error)
	DeleteUser(ctx context.Context, name string) error
	// ResetPassword returns the password that the console chose, which is nowhere else, and how many API tokens stay valid.
	ResetPassword(ctx context.Context, name string, revokeTokens bool) (password string, tokens int, err error)
	EndUserSessions(ctx context.Context, name string) error
	RemoveUserFactor(ctx context.Context, name string) error
}

// UserTokens manages the API tokens of service accounts.
type UserTokens interface {
	UserTokens(ctx context.Context, name string) ([]access.Token, error)
	CreateUserToken(ctx context.Context, name string, t access.Token) (token access.Token, secret string, err error)
	RevokeUserToken(ctx context.Context, name string, id access.TokenID) error
}

// Identities manages who users are at the provider of log-ins.
type Identities interface {
	Identities(ctx context.Context, user string) ([]access.ProviderIdentity, error)
	LinkIdentity(ctx context.Context, user, subject string) error
	UnlinkIdentity(ctx context.Context, user, issuer, subject string) error
}

// Projects manages projects and who is in them.
type Projects interface {
	// Projects returns those that who asks may see.
	Projects(ctx context.Context) ([]access.Project, error)
	Project(ctx context.Context, name string) (access.Project, error)
	CreateProject(ctx context.Context, p access.Project) (access.Project, error)
	// ChangeProject changes the description; the settings are for administrators of the console.
	ChangeProject(ctx context.Context, name string, change func(*access.Project)) (access.Project, error)
	DeleteProject(ctx context.Context, name string) error
	Members(ctx context.Context, project string) ([]access.Member, error)
	// SetMember takes the role "" for none.
	SetMember(ctx context.Context, project, user string, role access.Role) error
}

// Admin manages all of it.
type Admin interface {
	Users
	UserTokens
	Identities
	Projects
}

type userParam struct {
	Name string `path:"name" doc:"Login name"`
}

func (s *server) listUsers(ctx context.Context, _ *struct{}) (client.UserList, error) {
	all, err := s.Admin.Users(ctx)
	return client.UserList{Items: notNil(all)}, err
}

func (s *server) getUser(ctx context.Context, in *userParam) (access.User, error) {
	return s.Admin.User(ctx, in.Name)
}

type createUserInput struct{ Body client.UserInput }

func (s *server) createUser(ctx context.Context, in *createUserInput) (*secretOutput[client.NewUser], error) {
	b := in.Body
	u, password, err := s.Admin.CreateUser(ctx, access.User{Name: b.Name, Kind: b.Kind, DisplayName: b.DisplayName, Email: b.Email, Administrator: b.Administrator})
	if err != nil {
		return nil, err
	}
	return secret(client.NewUser{User: u, Password: password}), nil
}

type changeUserInput struct {
	Name string `path:"name" doc:"Login name"`
	Body client.UserChange
}

func (s *server) changeUser(ctx context.Context, in *changeUserInput) (access.User, error) {
	return s.Admin.ChangeUser(ctx, in.Name, func(u *access.User) {
		set(&u.DisplayName, in.Body.DisplayName)
		set(&u.Email, in.Body.Email)
		set(&u.Administrator, in.Body.Administrator)
		set(&u.Disabled, in.Body.Disabled)
	})
}

func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

func (s *server) deleteUser(ctx context.Context, in *userParam) (*struct{}, error) {
	return nil, s.Admin.DeleteUser(ctx, in.Name)
}

type resetParam struct {
	Name         string `path:"name" doc:"Login name"`
	RevokeTokens bool   `query:"revoke_tokens" doc:"Revoke the user's API tokens, too"`
}

func (s *server) resetPassword(ctx context.Context, in *resetParam) (*secretOutput[client.NewPassword], error) {
	password, tokens, err := s.Admin.ResetPassword(ctx, in.Name, in.RevokeTokens)
	if err != nil {
		return nil, err
	}
	return secret(client.NewPassword{Password: password, Tokens: tokens}), nil
}

func (s *server) endUserSessions(ctx context.Context, in *userParam) (*struct{}, error) {
	return nil, s.Admin.EndUserSessions(ctx, in.Name)
}

func (s *server) removeUserFactor(ctx context.Context, in *userParam) (*struct{}, error) {
	return nil, s.Admin.RemoveUserFactor(ctx, in.Name)
}

func (s *server) listIdentities(ctx context.Context, in *userParam) (client.IdentityList, error) {
	all, err := s.Admin.Identities(ctx, in.Name)
	return client.IdentityList{Items: notNil(all)}, err
}

type linkIdentityInput struct {
	Name string `path:"name" doc:"Login name"`
	Body client.IdentityInput
}

func (s *server) linkIdentity(ctx context.Context, in *linkIdentityInput) (*struct{}, error) {
	return nil, s.Admin.LinkIdentity(ctx, in.Name, in.Body.Subject)
}

type identityParam struct {
	Name    string `path:"name" doc:"Login name"`
	Issuer  string `query:"issuer" required:"true" doc:"URL of the provider"`
	Subject string `query:"subject" required:"true" doc:"Who the user is there"`
}

func (s *server) unlinkIdentity(ctx context.Context, in *identityParam) (*struct{}, error) {
	return nil, s.Admin.UnlinkIdentity(ctx, in.Name, in.Issuer, in.Subject)
}

func (s *server) listUserTokens(ctx context.Context, in *userParam) (client.TokenList, error) {
	all, err := s.Admin.UserTokens(ctx, in.Name)
	return client.TokenList{Items: notNil(all)}, err
}

type createUserTokenInput struct {
	Name string `path:"name" doc:"Login name"`
	Body client.TokenInput
}

func (s *server) createUserToken(ctx context.Context, in *createUserTokenInput) (*secretOutput[client.NewToken], error) {
	t, text, err := s.Admin.CreateUserToken(ctx, in.Name, access.Token{Name: in.Body.Name, Scopes: in.Body.Scopes, Project: in.Body.Project, ExpiresAt: in.Body.ExpiresAt})
	if err != nil {
		return nil, err
	}
	return secret(client.NewToken{Token: t, Secret: text}), nil
}

type userTokenParam struct {
	Name string         `path:"name" doc:"Login name"`
	ID   access.TokenID `path:"id" doc:"ID of the token"`
}

func (s *server) revokeUserToken(ctx context.Context, in *userTokenParam) (*struct{}, error) {
	return nil, s.Admin.RevokeUserToken(ctx, in.Name, in.ID)
}

type projectParam struct {
	Project string `path:"project" doc:"Name of the project"`
}

func (s *server) listProjects(ctx context.Context, _ *struct{}) (client.ProjectList, error) {
	all, err := s.Admin.Projects(ctx)
	return client.ProjectList{Items: notNil(all)}, err
}

func (s *server) getProject(ctx context.Context, in *projectParam) (access.Project, error) {
	return s.Admin.Project(ctx, in.Project)
}

type createProjectInput struct{ Body client.ProjectInput }

func (s *server) createProject(ctx context.Context, in *createProjectInput) (access.Project, error) {
	b := in.Body
	return s.Admin.CreateProject(ctx, access.Project{
		Name: b.Name, Description: b.Description,
		Settings: access.Settings{Namespace: b.Namespace, NodePool: b.NodePool, Folder: b.Folder, Limits: b.Limits, Logs: b.Logs},
	})
}

type changeProjectInput struct {
	Project string `path:"project" doc:"Name of the project"`
	Body    client.ProjectChange
}

func (s *server) changeProject(ctx context.Context, in *changeProjectInput) (access.Project, error) {
	return s.Admin.ChangeProject(ctx, in.Project, func(p *access.Project) {
		set(&p.Description, in.Body.Description)
		set(&p.Settings.Namespace, in.Body.Namespace)
		set(&p.Settings.NodePool, in.Body.NodePool)
		set(&p.Settings.Folder, in.Body.Folder)
		set(&p.Settings.Limits, in.Body.Limits)
		set(&p.Settings.Logs, in.Body.Logs)
	})
}

func (s *server) deleteProject(ctx context.Context, in *projectParam) (*struct{}, error) {
	return nil, s.Admin.DeleteProject(ctx, in.Project)
}

func (s *server) listMembers(ctx context.Context, in *projectParam) (client.MemberList, error) {
	all, err := s.Admin.Members(ctx, in.Project)
	return client.MemberList{Items: notNil(all)}, err
}

type memberParam struct {
	Project string `path:"project" doc:"Name of the project"`
	User    string `path:"user" doc:"Login name"`
}

type setMemberInput struct {
	Project string `path:"project" doc:"Name of the project"`
	User    string `path:"user" doc:"Login name"`
	Body    client.MemberInput
}

func (s *server) setMember(ctx context.Context, in *setMemberInput) (*struct{}, error) {
	return nil, s.Admin.SetMember(ctx, in.Project, in.User, in.Body.Role)
}

func (s *server) removeMember(ctx context.Context, in *memberParam) (*struct{}, error) {
	return nil, s.Admin.SetMember(ctx, in.Project, in.User, "")
}
