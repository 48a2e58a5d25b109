package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/cotrain/cotrain/internal/access"
)

// Paths of what administrators manage.
const (
	usersPath    = "/api/v1/users"
	projectsPath = "/api/v1/projects"
)

func userPath(name string) string    { return usersPath + "/" + url.PathEscape(name) }
func projectPath(name string) string { return projectsPath + "/" + url.PathEscape(name) }
func memberPath(project, user string) string {
	return projectPath(project) + "/members/" + url.PathEscape(user)
}

// UserList is people and service accounts.
type UserList struct {
	Items []access.User `json:"items" nullable:"false" doc:"By name"`
}

// UserInput is a new user.
type UserInput struct {
	Name          string      `json:"name" doc:"Login name, for ever"`
	Kind          access.Kind `json:"kind,omitempty" enum:"person,service" doc:"person signs in, service has API tokens; person if left out"`
	DisplayName   string      `json:"display_name,omitempty"`
	Email         string      `json:"email,omitempty"`
	Administrator bool        `json:"administrator,omitempty" doc:"May do everything in every project; never a service account"`
}

// NewUser is a user who was just made.
type NewUser struct {
	access.User
	Password string `json:"password,omitempty" doc:"Of a person; it is not shown again"`
}

// NewPassword is a password that the console chose.
type NewPassword struct {
	Password string `json:"password" doc:"To be changed at the next log-in; it is not shown again"`
	Tokens   int    `json:"tokens" doc:"How many API tokens of the user stay valid"`
}

// IdentityList is who a user is at providers of log-ins.
type IdentityList struct {
	Items []access.ProviderIdentity `json:"items" nullable:"false"`
}

// IdentityInput is who a user is at the provider of log-ins.
type IdentityInput struct {
	Subject string `json:"subject" doc:"As the page tells it on which a log-in was refused, and the audit log"`
}

// UserChange is what of a user is to change; what is left out stays.
type UserChange struct {
	DisplayName   *string `json:"display_name,omitempty"`
	Email         *string `json:"email,omitempty"`
	Administrator *bool   `json:"administrator,omitempty"`
	Disabled      *bool   `json:"disabled,omitempty" doc:"A disabled user cannot sign in, and its sessions end"`
}

// ProjectList is projects.
type ProjectList struct {
	Items []access.Project `json:"items" nullable:"false" doc:"By name"`
}

// ProjectInput is a new project.
type ProjectInput struct {
	Name        string        `json:"name" doc:"Cannot be changed"`
	Description string        `json:"description,omitempty"`
	Namespace   string        `json:"namespace,omitempty" doc:"Namespace of Nomad for its jobs; the console's without"`
	NodePool    string        `json:"node_pool,omitempty" doc:"Node pool of its workers; the console's without"`
	Folder      string        `json:"folder,omitempty" doc:"Its folder in shared storage, which other projects do not see; without, it shares what is nobody's"`
	Limits      access.Limits `json:"limits,omitzero" doc:"The most that one run may ask for"`

	Logs access.LogLimits `json:"logs,omitzero" doc:"How much is kept of the logs of ended runs"`
}

// ProjectChange is what of a project is to change; what is left out stays. All but the description is for administrators of
// the console.
type ProjectChange struct {
	Description *string        `json:"description,omitempty"`
	Namespace   *string        `json:"namespace,omitempty" doc:"Namespace of Nomad for its jobs; empty for the console's"`
	NodePool    *string        `json:"node_pool,omitempty" doc:"Node pool of its workers; empty for the console's"`
	Folder      *string        `json:"folder,omitempty" doc:"Its folder in shared storage, which other projects do not see; empty for what is nobody's"`
	Limits      *access.Limits `json:"limits,omitempty" doc:"The most that one run may ask for, instead of all the limits before"`

	Logs *access.LogLimits `json:"logs,omitempty" doc:"How much is kept of the logs of ended runs, instead of both limits before; counts a day later"`
}

// MemberList is who is in a project.
type MemberList struct {
	Items []access.Member `json:"items" nullable:"false" doc:"By name"`
}

// MemberInput is a role in a project.
type MemberInput struct {
	Role access.Role `json:"role" enum:"viewer,operator,admin"`
}

// Users lists users.
func (c *Client) Users(ctx context.Context) (UserList, error) {
	return get[UserList](ctx, c, usersPath, nil)
}

// CreateUser makes a user.
func (c *Client) CreateUser(ctx context.Context, in UserInput) (out NewUser, err error) {
	return out, c.send(ctx, http.MethodPost, usersPath, in, &out)
}

// ChangeUser changes a user.
func (c *Client) ChangeUser(ctx context.Context, name string, in UserChange) (out access.User, err error) {
	return out, c.send(ctx, http.MethodPatch, userPath(name), in, &out)
}

// DeleteUser deletes a user.
func (c *Client) DeleteUser(ctx context.Context, name string) error {
	return c.send(ctx, http.MethodDelete, userPath(name), nil, nil)
}

// User reads a user.
func (c *Client) User(ctx context.Context, name string) (access.User, error) {
	return get[access.User](ctx, c, userPath(name), nil)
}

// ResetPassword has the console choose a one-time password, ends the user's sessions, and revokes its API tokens if asked to.
func (c *Client) ResetPassword(ctx context.Context, name string, revokeTokens bool) (out NewPassword, err error) {
	query := url.Values{"revoke_tokens": {strconv.FormatBool(revokeTokens)}}
	return out, c.send(ctx, http.MethodPost, userPath(name)+"/password?"+query.Encode(), nil, &out)
}

// EndUserSessions signs a user out everywhere.
func (c *Client) EndUserSessions(ctx context.Context, name string) error {
	return c.send(ctx, http.MethodDelete, userPath(name)+"/sessions", nil, nil)
}

// RemoveUserFactor removes a user's second factor.
func (c *Client) RemoveUserFactor(ctx context.Context, name string) error {
	return c.send(ctx, http.MethodDelete, userPath(name)+"/factor", nil, nil)
}

// Identities lists who a user is at providers of log-ins.
func (c *Client) Identities(ctx context.Context, name string) (IdentityList, error) {
	return get[IdentityList](ctx, c, userPath(name)+"/identities", nil)
}

// LinkIdentity lets whoever has a subject at the provider sign in as a user.
func (c *Client) LinkIdentity(ctx context.Context, name, subject string) error {
	return c.send(ctx, http.MethodPost, userPath(name)+"/identities", IdentityInput{subject}, nil)
}

// UnlinkIdentity takes that back, and ends the sessions that began so.
func (c *Client) UnlinkIdentity(ctx context.Context, name string, i access.ProviderIdentity) error {
	return c.send(ctx, http.MethodDelete, userPath(name)+"/identities?"+url.Values{"issuer": {i.Issuer}, "subject": {i.Subject}}.Encode(), nil, nil)
}

// UserTokens lists the API tokens of a user.
func (c *Client) UserTokens(ctx context.Context, name string) (TokenList, error) {
	return get[TokenList](ctx, c, userPath(name)+"/tokens", nil)
}

// CreateUserToken makes an API token of a service account.
func (c *Client) CreateUserToken(ctx context.Context, name string, in TokenInput) (out NewToken, err error) {
	return out, c.send(ctx, http.MethodPost, userPath(name)+"/tokens", in, &out)
}

// RevokeUserToken revokes an API token of a user.
func (c *Client) RevokeUserToken(ctx context.Context, name string, id access.TokenID) error {
	return c.send(ctx, http.MethodDelete, userPath(name)+"/tokens/"+url.PathEscape(string(id)), nil, nil)
}

// Projects lists the projects that who asks may see.
func (c *Client) Projects(ctx context.Context) (ProjectList, error) {
	return get[ProjectList](ctx, c, projectsPath, nil)
}

// CreateProject makes a project.
func (c *Client) CreateProject(ctx context.Context, in ProjectInput) (out access.Project, err error) {
	return out, c.send(ctx, http.MethodPost, projectsPath, in, &out)
}

// Project returns a project.
func (c *Client) Project(ctx context.Context, name string) (access.Project, error) {
	return get[access.Project](ctx, c, projectPath(name), nil)
}

// ChangeProject changes a project.
func (c *Client) ChangeProject(ctx context.Context, name string, in ProjectChange) (out access.Project, err error) {
	return out, c.send(ctx, http.MethodPatch, projectPath(name), in, &out)
}

// DeleteProject deletes a project that owns nothing.
func (c *Client) DeleteProject(ctx context.Context, name string) error {
	return c.send(ctx, http.MethodDelete, projectPath(name), nil, nil)
}

// Members lists the members of a project.
func (c *Client) Members(ctx context.Context, project string) (MemberList, error) {
	return get[MemberList](ctx, c, projectPath(project)+"/members", nil)
}

// SetMember gives a user a role in a project.
func (c *Client) SetMember(ctx context.Context, project, user string, role access.Role) error {
	return c.send(ctx, http.MethodPut, memberPath(project, user), MemberInput{role}, nil)
}

// RemoveMember takes the role away.
func (c *Client) RemoveMember(ctx context.Context, project, user string) error {
	return c.send(ctx, http.MethodDelete, memberPath(project, user), nil, nil)
}
