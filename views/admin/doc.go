// Package admin is the pages of users, service accounts, projects, members and the secrets of runs.
package admin

import (
	"cmp"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views/ui"
)

// Paths of the section.
const (
	UsersPath    = "/admin/users"
	ProjectsPath = "/admin/projects"
	auditPath    = "/admin/audit"
)

// UserPath is the address of a user.
func UserPath(name string) string { return UsersPath + "/" + url.PathEscape(name) }

// ProjectPath is the address of a project.
func ProjectPath(name string) string { return "/projects/" + url.PathEscape(name) }

// Form is fields that are sent together.
type Form struct {
	Fields  []ui.Field
	Problem string // what stands in the way, or ""
}

// Overview is what there is to manage.
type Overview struct {
	MayUsers, MayProjects, MayAudit, MaySecrets, MayCauses bool
	Users                                                  []access.User
	Projects                                               []access.Project // whose members one may manage
	Secrets                                                []run.Secret
	Logs                                                   []run.LogUsage // by project, and of all at the end
}

// largest are the projects whose logs take most.
func (o Overview) largest() []run.LogUsage {
	of := slices.DeleteFunc(slices.Clone(o.Logs), func(u run.LogUsage) bool { return u.Project == "" || u.Bytes == 0 })
	slices.SortStableFunc(of, func(a, b run.LogUsage) int { return cmp.Compare(b.Bytes, a.Bytes) })
	return of[:min(len(of), 5)]
}

func (o Overview) people() string {
	people, services, disabled := 0, 0, 0
	for _, u := range o.Users {
		if u.Kind == access.Service {
			services++
		} else {
			people++
		}
		if u.Disabled {
			disabled++
		}
	}
	parts := []string{ui.Integer(people) + " people", ui.Plural(services, "service account")}
	if people == 1 {
		parts[0] = "1 person"
	}
	if disabled > 0 {
		parts = append(parts, ui.Integer(disabled)+" disabled")
	}
	return strings.Join(parts, ", ")
}

// UserList is the users that match a text.
type UserList struct {
	Users  []access.User
	Total  int
	Text   string
	Now    time.Time
	Notice string
	Form   Form // for a new one
}

// UserDetails is one user.
type UserDetails struct {
	User        access.User
	Self        bool // who looks at it
	Memberships []access.Member
	Tokens      []access.Token
	Sessions    []access.Session // of a person
	Provider    string           // of log-ins, "" for none
	Identities  []access.ProviderIdentity
	Link        Form // no fields where there is nothing to link
	Profile     Form
	Membership  Form // no fields where it is in every project
	Token       Form
	Now         time.Time
	Notice      string
}

// signsIn says with what a person signs in.
func signsIn(u access.User) string {
	text := "no password here"
	switch {
	case u.OneTimePassword:
		text = "one-time password, not changed yet"
	case u.HasPassword:
		text = "password"
	}
	if u.SecondFactor {
		return "Sign-in: " + text + " and second factor"
	}
	return "Sign-in: " + text + ", without second factor"
}

// actions are what can be done to the user beside changing its profile.
func (d UserDetails) actions() []ui.Confirm {
	keys := []string{"disable", "sessions", "password", "factor", "delete"}
	if d.User.Disabled {
		keys = []string{"enable", "delete"}
	}
	var out []ui.Confirm
	for _, key := range keys {
		if c, ok := UserConfirm(d.User, key); ok {
			out = append(out, c)
		}
	}
	return out
}

// UserConfirm asks before something is done to a user.
func UserConfirm(u access.User, action string) (ui.Confirm, bool) {
	c := ui.Confirm{Key: action, Action: UserPath(u.Name) + "/" + action, Back: UserPath(u.Name), KeepLabel: "Cancel"}
	service := u.Kind == access.Service
	switch {
	case action == "disable":
		c.Title, c.Label, c.Icon = "Disable "+u.Name+"?", "Disable", "paused"
		c.Effects = []string{u.Name + " is signed out at once, and cannot sign in or use API tokens until enabled again.", "Runs go on. Memberships and tokens are kept."}
		if service {
			c.Effects[0] = "The API tokens of " + u.Name + " do not count until it is enabled again."
		}
	case action == "enable":
		c.Title, c.Label, c.Icon, c.Effects = "Enable "+u.Name+"?", "Enable", "play", []string{u.Name + " can sign in and use API tokens again."}
		if service {
			c.Effects[0] = "The API tokens of " + u.Name + " count again."
		}
	case action == "sessions" && !service:
		c.Title, c.Label, c.Icon, c.Effects = "Sign "+u.Name+" out?", "Sign out everywhere", "sign-out", []string{"All sessions of " + u.Name + " end at once. API tokens stay valid."}
	case action == "password" && !service:
		c.Title, c.Label, c.Icon = "Give "+u.Name+" a new password?", "Reset password", "sync"
		c.Effects = []string{"The old password stops working, and all sessions of " + u.Name + " end at once. API tokens can still be used: revoke on this page what somebody else may have.", "The console chooses the new one, and shows it once. It has to be changed at the next log-in."}
		if u.Passkeys > 0 {
			c.Effects = append(c.Effects, "Passkeys stay: remove second factors, too, if somebody else may have added one.")
		}
	case action == "factor" && (u.SecondFactor || u.Passkeys > 0):
		c.Title, c.Label, c.Icon, c.Effects = "Remove the second factors of "+u.Name+"?", "Remove second factors", "trash", []string{"The app that makes codes, and all passkeys: the password alone signs " + u.Name + " in then. Be sure that it is " + u.Name + " who asks."}
	case action == "delete":
		c.Title, c.Label, c.Icon = "Delete "+u.Name+"?", "Delete", "trash"
		c.Effects = []string{
			"Sessions, API tokens and memberships of " + u.Name + " are deleted. This cannot be undone, and nobody can have that name again.",
			"Runs of " + u.Name + " go on and stay, with that name: the operators of their projects manage them.",
		}
	default:
		return c, false
	}
	return c, true
}

// RevokeConfirm asks before a token of a user is revoked.
func RevokeConfirm(user string, t access.Token) ui.Confirm {
	return ui.Confirm{
		Key: "revoke", Title: "Revoke token " + t.Name + "?", Effects: []string{"Programs that use it are refused at once. This cannot be undone."},
		Action: revokePath(user, t), Back: UserPath(user), Label: "Revoke", KeepLabel: "Cancel", Icon: "trash",
	}
}

func revokePath(user string, t access.Token) string {
	return UserPath(user) + "/tokens/" + url.PathEscape(string(t.ID)) + "/revoke"
}

// scopes says what a token is for: "read, runs.submit in llm".
func scopes(t access.Token) string {
	out := make([]string, len(t.Scopes))
	for i, s := range t.Scopes {
		out[i] = string(s)
	}
	if t.Project != "" {
		return strings.Join(out, ", ") + " in " + t.Project
	}
	return strings.Join(out, ", ")
}

// Secret is shown once.
type Secret struct{ Title, Label, Text, Note, Back string }

// ProjectList is the projects.
type ProjectList struct {
	Projects []ProjectRow
	Now      time.Time
	Notice   string
	Form     Form // for a new one
}

// ProjectRow is a project in a list.
type ProjectRow struct {
	access.Project
	Members int
}

// ProjectDetails is one project.
type ProjectDetails struct {
	Project                                            access.Project
	Members                                            []access.Member
	MayEdit, MayMembers, MayDelete, MayUsers, MayAudit bool
	MaySettings                                        bool
	Logs                                               run.LogUsage
	AllLogs                                            string    // what limits those of all projects together, "" for nothing
	Settings                                           []ui.Fact // for who may not change them
	About, Member                                      Form
	Now                                                time.Time
	Notice                                             string
}

// logs says how much its logs take, and what limits them.
func (d ProjectDetails) logs() string {
	text := "Logs: " + d.Logs.String()
	if d.AllLogs != "" {
		text += "; those of all projects together: " + d.AllLogs
	}
	return text
}

// auditOfUser leads to what was done to a user, and auditBy to what it did.
func auditOfUser(name string) string {
	return auditPath + "?" + url.Values{"subject": {"user:" + name}}.Encode()
}

func auditBy(name string) string { return auditPath + "?" + url.Values{"actor": {name}}.Encode() }

func auditOf(project string) string {
	return auditPath + "?" + url.Values{"project": {project}}.Encode()
}

func removePath(m access.Member) string {
	return ProjectPath(m.Project) + "/members/" + url.PathEscape(m.Name) + "/remove"
}

// RemoveConfirm asks before a member is removed.
func RemoveConfirm(m access.Member) ui.Confirm {
	return ui.Confirm{
		Key: "remove", Title: "Remove " + m.Name + " from " + m.Project + "?",
		Effects: []string{m.Name + " no longer sees the project from now on. Runs of " + m.Name + " go on and stay in it."},
		Action:  removePath(m), Back: ProjectPath(m.Project), Label: "Remove", KeepLabel: "Cancel", Icon: "trash",
	}
}

// DeleteProjectConfirm asks before a project is deleted.
func DeleteProjectConfirm(p access.Project) ui.Confirm {
	return ui.Confirm{
		Key: "delete", Title: "Delete project " + p.Name + "?",
		Effects: []string{"Its memberships and the API tokens for it alone are deleted. This cannot be undone.", "Only a project without runs, sweeps and templates can be deleted."},
		Action:  ProjectPath(p.Name) + "/delete", Back: ProjectPath(p.Name), Label: "Delete", KeepLabel: "Cancel", Icon: "trash",
	}
}

// roles are a member's, given by hand and by groups.
func roles(m access.Member) string {
	switch {
	case m.ByGroups == "":
		return string(m.Role)
	case m.Role == "":
		return string(m.ByGroups) + " by groups"
	}
	return string(m.Role) + ", " + string(m.ByGroups) + " by groups"
}
