// Package admin serves the pages on which users, service accounts, projects, their members and the secrets of runs are managed.
package admin

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/form"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/admin"
	"github.com/cotrain/cotrain/views/ui"
)

// Users manages users and service accounts, which are named by their login names. What who asks may not do is
// [fault.ErrForbidden].
type Users interface {
	Users(ctx context.Context) ([]access.User, error)
	User(ctx context.Context, name string) (access.User, error)
	// CreateUser returns the password that the console chose for a person: it is nowhere else.
	CreateUser(ctx context.Context, u access.User) (created access.User, password string, err error)
	ChangeUser(ctx context.Context, name string, change func(*access.User)) (access.User, error)
	// ResetPassword also returns how many API tokens stay valid.
	ResetPassword(ctx context.Context, name string, revokeTokens bool) (password string, tokens int, err error)
	UserSessions(ctx context.Context, name string) ([]access.Session, error)
	EndUserSessions(ctx context.Context, name string) error
	DeleteUser(ctx context.Context, name string) error
	RemoveUserFactor(ctx context.Context, name string) error
}

// Tokens manages the API tokens of users. People make theirs themselves.
type Tokens interface {
	UserTokens(ctx context.Context, name string) ([]access.Token, error)
	CreateUserToken(ctx context.Context, name string, t access.Token) (token access.Token, secret string, err error)
	RevokeUserToken(ctx context.Context, name string, id access.TokenID) error
}

// Projects manages projects.
type Projects interface {
	// Projects returns those that who asks may see.
	Projects(ctx context.Context) ([]access.Project, error)
	Project(ctx context.Context, name string) (access.Project, error)
	CreateProject(ctx context.Context, p access.Project) (access.Project, error)
	// ChangeProject changes the description; the settings are for administrators of the console.
	ChangeProject(ctx context.Context, name string, change func(*access.Project)) (access.Project, error)
	DeleteProject(ctx context.Context, name string) error
}

// Members manages who is in which project.
type Members interface {
	Members(ctx context.Context, project string) ([]access.Member, error)
	Memberships(ctx context.Context, user string) ([]access.Member, error)
	// SetMember takes the role "" for none.
	SetMember(ctx context.Context, project, user string, role access.Role) error
}

// Identities manages who users are at the provider of log-ins.
type Identities interface {
	ProviderName() string // "" where there is none
	Identities(ctx context.Context, user string) ([]access.ProviderIdentity, error)
	LinkIdentity(ctx context.Context, user, subject string) error
	UnlinkIdentity(ctx context.Context, user, issuer, subject string) error
}

// Accounts manages all of it.
type Accounts interface {
	Users
	Tokens
	Projects
	Members
	Identities
}

// Usage tells how much the logs of projects take, of those that who asks may see, and of all with the project "".
type Usage interface {
	LogUsage(ctx context.Context) ([]run.LogUsage, error)
}

// Pages are the section's handlers.
type Pages struct {
	*page.Site
	Accounts Accounts
	Registry Registry
	Causes   CauseRules
	Usage    Usage
}

const nav = "admin"

// Overview leads on to what there is to manage.
func (p *Pages) Overview(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	may := access.From(ctx).MayAnywhere
	o := view.Overview{MayUsers: may(access.UsersManage), MayProjects: may(access.ProjectsManage), MayAudit: may(access.AuditRead), MaySecrets: may(access.SecretsManage), MayCauses: may(access.CausesManage)}
	var err error
	if o.Projects, err = p.Accounts.Projects(ctx); err != nil {
		return err
	}
	o.Projects = slices.DeleteFunc(o.Projects, func(x access.Project) bool { return !access.From(ctx).May(access.MembersManage, x.Name) })
	if o.MayUsers {
		if o.Users, err = p.Accounts.Users(ctx); err != nil {
			return err
		}
	}
	if o.MaySecrets {
		if o.Secrets, err = p.Registry.Secrets(ctx, ""); err != nil {
			return err
		}
	}
	if o.MayProjects {
		if o.Logs, err = p.Usage.LogUsage(ctx); err != nil {
			return err
		}
	}
	return p.Render(w, r, http.StatusOK, view.OverviewPage(p.Frame(r, "Administration", nav), o))
}

// message is what a form is told: about its fields, or what stands in the way.
type message struct {
	fields run.FieldErrors
	text   string
}

// messageOf returns what of an error can be mended in the form, or the error.
func messageOf(err error) (m message, other error) {
	switch f := fault.Of(err); {
	case err == nil:
	case errors.As(err, &m.fields):
	case slices.Contains([]fault.Kind{fault.ErrConflict, fault.ErrNotPossible, fault.ErrInUse, fault.ErrNoUser, fault.ErrNoProject, fault.ErrOutdated, fault.ErrBusy}, f.Kind):
		m.text = f.Text()
	default:
		return m, err
	}
	return m, nil
}

func (m message) any() bool { return len(m.fields) > 0 || m.text != "" }

func (m message) status() int {
	if m.any() {
		return http.StatusUnprocessableEntity
	}
	return http.StatusOK
}

// on puts the messages beside their fields, those without a field above the form.
func (m message) on(f view.Form) view.Form {
	f.Problem = m.text
	for _, e := range m.fields {
		i := slices.IndexFunc(f.Fields, func(x ui.Field) bool { return x.Name == e.Field })
		switch {
		case i < 0:
			f.Problem += form.Labelled(e)
		case f.Fields[i].Error == "":
			f.Fields[i].Error = form.Sentence(e)
		}
	}
	return f
}

// text is a field of one line.
func text(name, label, value, help string) ui.Field {
	return ui.Field{Name: name, Label: label, Kind: ui.KindText, Value: value, Help: help, MaxBytes: 800}
}

// roleField chooses a role.
func roleField(value string) ui.Field {
	f := ui.Field{Name: "role", Label: "Role", Kind: ui.KindSelect, Value: value}
	for _, role := range access.Roles() {
		f.Choices = append(f.Choices, ui.Choice{Value: string(role), Label: string(role)})
	}
	return f
}

// frame is the layout of a page that a form may have led to.
func (p *Pages) frame(r *http.Request, title, path string) ui.Page {
	f := p.Frame(r, title, nav)
	if r.Method != http.MethodGet {
		f.Path = path
	}
	return f
}

// done goes back to a page, which says what was done.
func done(w http.ResponseWriter, r *http.Request, path, what string) error {
	return page.Redirect(w, r, path+"?done="+what)
}

// notices are what a page says was done.
var notices = map[string]string{
	"saved": "Saved.", "sessions": "Signed out everywhere.", "disabled": "Disabled.", "enabled": "Enabled.", "deleted": "Deleted.", "member": "Member saved.", "removed": "Member removed.",
	"registered": "Registered.", "unregistered": "Removed. Its value stays where it is.", "stored": "Stored in Nomad.",
	"rules":  "Saved. The next failure is explained by these rules.",
	"linked": "Linked.", "unlinked": "Unlinked.", "factor": "Second factors removed.", "revoked": "Token revoked.", "created": "Created.",
}

func notice(r *http.Request) string { return notices[r.URL.Query().Get("done")] }
